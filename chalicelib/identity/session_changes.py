"""Changes of a principal's sessions, announced to requests that wait, such as a long poll, and to open WebSockets.

The announcement is the newest entry of a stream in Redis. Its key has the hash tag of the principal's feed, so that one
script reads both: who reads an event that was published after a sign-out also reads that the sign-out was announced.
"""

import json
import logging
from collections.abc import Sequence

from chalicelib import clock, logs
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.redis import ScriptCall, load_script
from chalicelib.errors import ApiError
from chalicelib.outbox import store
from chalicelib.outbox.jobs import Job

logger = logging.getLogger(__name__)

TTL_SECONDS = 120  # longer than any request waits
BATCH_SIZE = 500  # announcements that are sent at once

_ANNOUNCE = load_script(__file__, "session_change", TTL_SECONDS=TTL_SECONDS)


def announce(tenant_id: int, principals: Sequence[str]) -> None:
    """Wake the requests of principals that wait, so that they check their token again, and close their WebSockets.

    To be called when the change is in MySQL and no cached copy can hide it. A job closes the WebSockets: at once if
    outbox.wake_worker is called (sessions.py), else within a minute.
    """
    for start in range(0, len(principals), BATCH_SIZE):
        batch = principals[start : start + BATCH_SIZE]
        calls: list[ScriptCall] = [(_ANNOUNCE, [build_key(tenant_id, principal)], []) for principal in batch]
        redis.try_scripts(calls, ignore_backoff=True)
        _close_sockets(tenant_id, batch)


def _close_sockets(tenant_id: int, principals: Sequence[str]) -> None:
    """Enqueue the job that closes the connections whose token is not valid any more; sweep_sockets is its fallback.

    By the store, because not every function that reads tokens may invoke the worker, which outbox.py imports.
    """
    payload = json.dumps({"principals": list(principals)})
    try:
        store.insert(mysql.autocommit, tenant_id, Job.CLOSE_SOCKETS, None, payload, clock.now())
    except ApiError as error:
        logger.warning("sockets not closed", extra={"ids": logs.describe_error(error.__cause__ or error)})


def build_key(tenant_id: int, principal: str) -> str:
    """Return the key of the stream."""
    return f"session_changes:1:{{{tenant_id}:{principal}}}"
