"""Write events to open WebSockets, after the response of the sender and independently of it.

The frames of one connection are written in the order in which this process published them. A frame that is not written
is not lost: the feed holds its event. Its connection is closed, so that the client reconnects and continues from its
cursor.
"""

import atexit
import json
import logging
from collections.abc import Iterable
from functools import partial

from chalicelib import logs
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.aws import lambda_extension, ws_push
from chalicelib.errors import ApiError
from chalicelib.messaging import msg_data, socket_store, sockets
from chalicelib.messaging.feed import EventKind, PublishedEvent
from chalicelib.messaging.models import Message
from chalicelib.messaging.ordered_tasks import OrderedTasks
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

MAX_THREADS = 16
MAX_EVENTS = 10_000  # that wait until their frames are built
MAX_FRAMES = 100  # that wait for one connection: a slower client is disconnected
LAMBDA_WAIT_SECONDS = 0.02  # that a sender in Lambda waits if the extension, which prevents its suspension, is absent
EXIT_WAIT_SECONDS = 1.0
NO_SOCKETS = "[]"  # a cached list
BUILD_FRAMES = ""  # the key of tasks that build frames; the other keys are connection ids

_tasks = OrderedTasks(MAX_THREADS)


def push_events(tenant_id: int, published: Iterable[PublishedEvent], message: Message | None = None) -> None:
    """Have threads write events to the open sockets of their principals.

    Args:
        message: the message that the events name.
    """
    listening = [one for one in published if one.cached_sockets != NO_SOCKETS]
    if not settings.ws_endpoint_url or not listening:
        return
    if not _tasks.add(BUILD_FRAMES, partial(_write_events, tenant_id, listening, message), MAX_EVENTS):
        logger.warning("sockets not notified", extra={"ids": {"reason": "too many events wait"}})
    if settings.in_lambda and not lambda_extension.is_running():
        wait_until_written(LAMBDA_WAIT_SECONDS)


def wait_until_written(seconds: float) -> bool:
    """Wait at most so long until no frame waits; return whether none does."""
    return _tasks.wait_until_done(seconds)


atexit.register(wait_until_written, EXIT_WAIT_SECONDS)


def encode_frame(frame: object) -> str:
    """Return a frame as JSON text."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _write_events(tenant_id: int, published: list[PublishedEvent], message: Message | None) -> None:
    for connection_id, text in _build_frames(tenant_id, published, message):
        if not _tasks.add(connection_id, partial(_write_frame, connection_id, text), MAX_FRAMES):
            _disconnect(connection_id, "too many frames wait")


def _write_frame(connection_id: str, text: str) -> None:
    try:
        if not ws_push.post(connection_id, text):
            sockets.unregister(connection_id, sockets.CONNECT_GRACE)
    except ws_push.PushError as error:
        _disconnect(connection_id, f"status {error.status}")
    except ApiError as error:
        _log_failure(error)


def _disconnect(connection_id: str, reason: str) -> None:
    """Close a connection instead of writing the frames that wait for it: the client continues from its cursor."""
    logger.warning("socket not written to", extra={"ids": {"reason": reason}})
    _tasks.replace(connection_id, partial(_close, connection_id))


def _close(connection_id: str) -> None:
    try:
        sockets.close(connection_id)
    except ApiError as error:
        _log_failure(error)


def _log_failure(error: ApiError) -> None:
    logger.warning("sockets not notified", extra={"ids": logs.describe_error(error.__cause__ or error)})


def _build_frames(tenant_id: int, published: list[PublishedEvent], message: Message | None) -> list[tuple[str, str]]:
    """Return the connection and the text of each frame."""
    unknown = [one.principal for one in published if one.cached_sockets in (None, cache.TOMBSTONE)]
    fetched = _fetch_connections(tenant_id, unknown) if unknown else {}
    frames = []
    for one in published:
        connections = fetched[one.principal] if one.principal in fetched else json.loads(one.cached_sockets or "[]")
        frame = msg_data.build_delivered(one.event, one.cursor, message) if connections else None
        if frame is None:
            continue
        text = encode_frame(frame)
        is_message = one.event["kind"] == EventKind.MESSAGE
        frames += [(connection_id, text) for connection_id, wants_events in connections if wants_events or is_message]
    return frames


def _fetch_connections(tenant_id: int, principals: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Return connection id and wants_events of all connections, by principal, and cache them; none without MySQL."""
    found: dict[str, list[tuple[str, int]]] = {principal: [] for principal in principals}
    try:
        connections = socket_store.list_by_principals(mysql.autocommit, tenant_id, principals)
    except ApiError as error:
        _log_failure(error)
        return found
    for connection in connections:
        found[connection.principal].append((connection.connection_id, int(connection.wants_events)))
    for principal, of_principal in found.items():
        cache.write(sockets.build_cache_key(tenant_id, principal), json.dumps(of_principal))
    return found
