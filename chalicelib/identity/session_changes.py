"""Changes of a principal's sessions, announced to requests that wait, such as a long poll.

The announcement is the newest entry of a stream in Redis. Its key has the hash tag of the principal's feed, so that one
script reads both: who reads an event that was published after a sign-out also reads that the sign-out was announced.
"""

from collections.abc import Sequence

from chalicelib.adapters import redis
from chalicelib.adapters.redis import ScriptCall, load_script

TTL_SECONDS = 120  # longer than any request waits
BATCH_SIZE = 500  # announcements that are sent at once

_ANNOUNCE = load_script(__file__, "session_change", TTL_SECONDS=TTL_SECONDS)


def announce(tenant_id: int, principals: Sequence[str]) -> None:
    """Wake the requests of principals that wait, so that they check their token again.

    To be called when the change is in MySQL and no cached copy can hide it.
    """
    for start in range(0, len(principals), BATCH_SIZE):
        batch = principals[start : start + BATCH_SIZE]
        calls: list[ScriptCall] = [(_ANNOUNCE, [build_key(tenant_id, principal)], []) for principal in batch]
        redis.try_scripts(calls, ignore_backoff=True)


def build_key(tenant_id: int, principal: str) -> str:
    """Return the key of the stream."""
    return f"session_changes:1:{{{tenant_id}:{principal}}}"
