"""Write events to open WebSockets.

A frame that does not arrive is not lost: the feed holds its event, and the client continues from its cursor.
"""

import json
import logging
from collections.abc import Iterable

from chalicelib import logs
from chalicelib.adapters import cache, mysql
from chalicelib.adapters.aws import ws_push
from chalicelib.errors import ApiError
from chalicelib.messaging import msg_data, socket_store, sockets
from chalicelib.messaging.feed import EventKind, PublishedEvent
from chalicelib.messaging.models import Message
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

PUSH_TIMEOUT_SECONDS = 0.3  # that a sender waits for the sockets of others


def push_events(tenant_id: int, published: Iterable[PublishedEvent], message: Message | None = None) -> None:
    """Write events to the open sockets of their principals, as far as possible: the feeds hold them, too.

    Args:
        message: the message that the events name.
    """
    if not settings.ws_endpoint_url:
        return
    try:
        posts = _build_posts(tenant_id, list(published), message)
        for connection_id in ws_push.post_all(posts, PUSH_TIMEOUT_SECONDS):
            sockets.unregister(connection_id, sockets.CONNECT_GRACE)
    except ApiError as error:  # the change is committed and must not fail because of this
        logger.warning("sockets not notified", extra={"ids": logs.describe_error(error.__cause__ or error)})


def encode_frame(frame: object) -> str:
    """Return a frame as JSON text."""
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def _build_posts(tenant_id: int, published: list[PublishedEvent], message: Message | None) -> list[tuple[str, str]]:
    """Return the connection and the text of each frame."""
    unknown = [one.principal for one in published if one.cached_sockets in (None, cache.TOMBSTONE)]
    fetched = _fetch_connections(tenant_id, unknown) if unknown else {}
    posts = []
    for one in published:
        connections = fetched[one.principal] if one.principal in fetched else json.loads(one.cached_sockets or "[]")
        frame = msg_data.build_delivered(one.event, one.cursor, message) if connections else None
        if frame is None:
            continue
        text = encode_frame(frame)
        is_message = one.event["kind"] == EventKind.MESSAGE
        posts += [(connection_id, text) for connection_id, wants_events in connections if wants_events or is_message]
    return posts


def _fetch_connections(tenant_id: int, principals: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Return connection id and wants_events of all connections, by principal, and cache them."""
    found: dict[str, list[tuple[str, int]]] = {principal: [] for principal in principals}
    for connection in socket_store.list_by_principals(mysql.autocommit, tenant_id, principals):
        found[connection.principal].append((connection.connection_id, int(connection.wants_events)))
    for principal, connections in found.items():
        cache.write(sockets.build_cache_key(tenant_id, principal), json.dumps(connections))
    return found
