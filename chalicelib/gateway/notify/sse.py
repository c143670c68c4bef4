"""Server-sent events, of a bounded length: a Lambda cannot stream, so the client's EventSource keeps coming back.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.gateway.notify import listening
from chalicelib.gateway.notify.models import ListenQuery
from chalicelib.http.fields import CURSOR_PATTERN
from chalicelib.http.routing import RawContent
from chalicelib.identity.callers import Caller
from chalicelib.messaging.delivery import MAX_EVENTS_PER_DELIVERY

CONTENT_TYPE = "text/event-stream"
UNKNOWN_CURSOR = "0.0"  # no feed's cursor: what a client has come to there is not known here
RETRY_MS, UNAVAILABLE_RETRY_MS = (
    300,
    2_000,
)  # milliseconds until the client comes back, and where there is nothing to wait on


def build_stream(caller: Caller, asked: ListenQuery, last_event: str | None, time_left: float) -> RawContent:
    """Return what there is as a stream. Its last event's id is where the client goes on from, also without any."""
    if last_event and not re.fullmatch(CURSOR_PATTERN, last_event):
        last_event = UNKNOWN_CURSOR
    try:
        found = listening.wait_for_events(
            caller, asked, last_event or asked.after or "", asked.limit or MAX_EVENTS_PER_DELIVERY, time_left
        )
    except ApiError as refused:
        if refused.kind is not errors.UNAVAILABLE:
            raise
        return RawContent(
            CONTENT_TYPE, f"retry: {UNAVAILABLE_RETRY_MS}\n\n"
        )  # an EventSource gives up for good on any other answer
    lines = [f"retry: {RETRY_MS}\n"]
    if found.gap:
        lines.append(f'event: gap\ndata: {{"gap":true,"cursor":"{found.cursor}"}}\nid: {found.cursor}\n')
    for frame in found.frames:
        text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
        lines.append(f"id: {frame['Cursor']}\ndata: {text}\n")
    lines.append(f"id: {found.cursor}\n")
    return RawContent(CONTENT_TYPE, "\n".join(lines) + "\n")
