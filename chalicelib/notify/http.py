"""The HTTP transports of /notify: long poll and server-sent events (SSE).

An SSE response is of bounded length, as a Lambda function cannot stream: the client's EventSource reconnects.
https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.http.fields import CURSOR_PATTERN
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Caller
from chalicelib.messaging import delivery
from chalicelib.messaging.delivery import MAX_EVENTS_PER_DELIVERY, Delivery
from chalicelib.messaging.feed import Listener
from chalicelib.notify.models import ListenQuery, PollManyResponse, PollOneResponse
from chalicelib.settings import settings

RESPONSE_MARGIN_SECONDS = 3.0  # a function responds at least so long before it is stopped
SSE_CONTENT_TYPE = "text/event-stream"
UNKNOWN_CURSOR = "0.0"  # of no feed: stands for a Last-Event-ID that is no cursor
SSE_RETRY_MS = 300  # after which the client reconnects
SSE_UNAVAILABLE_RETRY_MS = 2_000  # the same while Redis is unavailable

# Response to a poll for one message if there is none, but messages before are lost.
GAP_RESPONSE: PollOneResponse = {
    "MsgId": "",
    "ConversationID": "",
    "FromSession": "",
    "SendTime": 0,
    "Status": 0,
    "Type": 0,
    "Content": "",
    "PreId": "",
    "Cursor": "",
    "gap": True,
}


def respond(
    caller: Caller, query: ListenQuery, last_event_id: str | None, time_left: float
) -> PollOneResponse | PollManyResponse | RawContent | None:
    """Wait for events and return them in the form of the transport and limit that the query names.

    Raises:
        ApiError: 400 for another transport, 503 for a poll without Redis.
    """
    if query.protoc == "sse":
        return _build_stream(caller, query, last_event_id, time_left)
    if query.protoc == "ws":
        raise ApiError(errors.UNSUPPORTED_PROTOCOL, "protoc：ws 请用 WebSocket 连接")
    if query.protoc != "poll":
        raise ApiError(errors.UNSUPPORTED_PROTOCOL)
    # A client that receives one message at a time, as in document 004, is not notified of a gap that is only possible.
    found = wait_for_events(caller, query, query.after or "", query.limit or 1, time_left, bool(query.limit))
    if query.limit:
        return {"Msg": list(found.frames), "cursor": found.cursor, "gap": found.gap}
    if found.frames:
        return {**found.frames[0], "gap": found.gap}
    return {**GAP_RESPONSE, "Cursor": found.cursor} if found.gap and not found.position_unknown else None


def wait_for_events(
    caller: Caller, query: ListenQuery, cursor: str, limit: int, time_left: float, report_unknown_position: bool = True
) -> Delivery:
    """Wait for events as long as the function's remaining time and the settings allow."""
    listener = Listener(caller.tenant_id, caller.principal, caller.token_hash_hex, cursor, query.events == "1")
    seconds = max(min(settings.long_poll_seconds, time_left - RESPONSE_MARGIN_SECONDS), 0.0)
    return delivery.wait_for_events(listener, limit, seconds, report_unknown_position)


def _build_stream(caller: Caller, query: ListenQuery, last_event_id: str | None, time_left: float) -> RawContent:
    """Return what there is as a stream. Its last id is the position from which the client continues, also if empty."""
    if last_event_id and not re.fullmatch(CURSOR_PATTERN, last_event_id):
        last_event_id = UNKNOWN_CURSOR
    cursor, limit = last_event_id or query.after or "", query.limit or MAX_EVENTS_PER_DELIVERY
    try:
        found = wait_for_events(caller, query, cursor, limit, time_left)
    except ApiError as error:
        if error.kind is not errors.UNAVAILABLE:
            raise
        # An EventSource does not reconnect after an error status.
        return RawContent(SSE_CONTENT_TYPE, f"retry: {SSE_UNAVAILABLE_RETRY_MS}\n\n")
    lines = [f"retry: {SSE_RETRY_MS}\n"]
    if found.gap:
        lines.append(f'event: gap\ndata: {{"gap":true,"cursor":"{found.cursor}"}}\nid: {found.cursor}\n')
    for frame in found.frames:
        text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
        lines.append(f"id: {frame['Cursor']}\ndata: {text}\n")
    lines.append(f"id: {found.cursor}\n")
    return RawContent(SSE_CONTENT_TYPE, "\n".join(lines) + "\n")
