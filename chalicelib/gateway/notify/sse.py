"""Server-sent events, of a bounded length: a Lambda cannot stream, so the client's EventSource keeps coming back.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
import re

from chalicelib import errors
from chalicelib.errors import Refused
from chalicelib.gateway.notify import listening
from chalicelib.gateway.notify.models import Listening
from chalicelib.http.fields import CURSOR
from chalicelib.http.routing import Raw
from chalicelib.identity.callers import Caller
from chalicelib.messaging.delivery import MOST

CONTENT_TYPE = "text/event-stream"
ELSEWHERE = "0.0"  # no feed's cursor: what a client has come to there is not known here
RETRY, AWAY = 300, 2_000  # milliseconds until the client comes back, and where there is nothing to wait on


def stream(caller: Caller, asked: Listening, last_event: str | None, time_left: float) -> Raw:
    """Return what there is as a stream. Its last event's id is where the client goes on from, also without any."""
    if last_event and not re.fullmatch(CURSOR, last_event):
        last_event = ELSEWHERE
    try:
        found = listening.awaited(caller, asked, last_event or asked.after or "", asked.limit or MOST, time_left)
    except Refused as refused:
        if refused.kind is not errors.UNAVAILABLE:
            raise
        return Raw(CONTENT_TYPE, f"retry: {AWAY}\n\n")  # an EventSource gives up for good on any other answer
    lines = [f"retry: {RETRY}\n"]
    if found.gap:
        lines.append(f'event: gap\ndata: {{"gap":true,"cursor":"{found.cursor}"}}\nid: {found.cursor}\n')
    for frame in found.frames:
        text = json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
        lines.append(f"id: {frame['Cursor']}\ndata: {text}\n")
    lines.append(f"id: {found.cursor}\n")
    return Raw(CONTENT_TYPE, "\n".join(lines) + "\n")
