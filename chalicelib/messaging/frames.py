"""Events as clients are shown them."""

from collections.abc import Iterable
from typing import Any

from chalicelib.messaging import msg_data
from chalicelib.messaging.feed import PublishedEvent
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered
from chalicelib.messaging.sockets import OutgoingFrame

Event = dict[str, Any]


def build_outgoing_frames(told: Iterable[PublishedEvent], message: Message | None = None) -> list[OutgoingFrame]:
    """What was told, for the sockets of those whom it was told; `message` is the one that it is about."""
    return [
        OutgoingFrame(one.principal, one.cached_sockets, shown, one.event["kind"] == "message")
        for one in told
        if (shown := build_frame(one.event, one.cursor, message))
    ]


def build_frame(event: Event, cursor: str, message: Message | None) -> Delivered | None:
    """An event as a client is shown it; None for a message that is not there for them."""
    match event["kind"]:
        case "message":
            return message and msg_data.build_delivered_message(
                event["conversation"], message, event["prev_id"], cursor
            )
        case "withdrawn":
            return msg_data.build_delivered_event(msg_data.WITHDRAWN_EVENT, event, {"MsgId": event["id"]}, cursor)
        case "read":
            return msg_data.build_delivered_event(msg_data.READ_EVENT, event, {"MsgId": event["id"]}, cursor)
    return msg_data.build_delivered_event(event["type"], event, event["content"], cursor)
