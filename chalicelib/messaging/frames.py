"""Events as clients are shown them."""

from collections.abc import Iterable
from typing import Any

from chalicelib.messaging import msg_data
from chalicelib.messaging.feed import Told
from chalicelib.messaging.models import Message
from chalicelib.messaging.msg_data import Delivered
from chalicelib.messaging.sockets import Parcel

Event = dict[str, Any]


def parcels(told: Iterable[Told], message: Message | None = None) -> list[Parcel]:
    """What was told, for the sockets of those whom it was told; `message` is the one that it is about."""
    return [
        Parcel(one.principal, one.listening, shown, one.event["kind"] == "message")
        for one in told
        if (shown := frame(one.event, one.cursor, message))
    ]


def frame(event: Event, cursor: str, message: Message | None) -> Delivered | None:
    """An event as a client is shown it; None for a message that is not there for them."""
    match event["kind"]:
        case "message":
            return message and msg_data.delivered(event["conversation"], message, event["prev_id"], cursor)
        case "withdrawn":
            return msg_data.event(msg_data.WITHDRAWN, event, {"MsgId": event["id"]}, cursor)
        case "read":
            return msg_data.event(msg_data.READ, event, {"MsgId": event["id"]}, cursor)
    return msg_data.event(event["type"], event, event["content"], cursor)
