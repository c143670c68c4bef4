"""MsgData: a message or an event as document 004 defines it, in history and in what listeners receive."""

import json
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from chalicelib.files import links
from chalicelib.identity import session_names
from chalicelib.messaging.feed import Event, EventKind
from chalicelib.messaging.models import Message

WITHDRAWN_STATUS = -1
# Types of events; those of other parts of the system are above 1099.
WITHDRAWN_EVENT, READ_EVENT = 1000, 1001


class MsgData(TypedDict):
    """A message in the format of document 004."""

    MsgId: Annotated[str, Field(examples=["EDCZL-SY32-243Y-VWQ"])]
    ConversationID: Annotated[str, Field(examples=["87ba7679-b682-47e7-8499-0385dda22b66"])]
    FromSession: Annotated[str, Field(examples=["50864896-8136-4a43-8a48-1d3325a7f78f"])]
    SendTime: Annotated[int, Field(description="微秒", examples=[1698119710632897])]
    Status: Annotated[int, Field(description="发送时所填；-1 为已撤回", examples=[0])]
    Type: Annotated[int, Field(description="0 文本，1 图片，其他由客户端自定", examples=[0])]
    Content: Annotated[str, Field(description="图片为 30 分钟有效的地址；已撤回为空", examples=["多喝水，明天再看。"])]


class Delivered(MsgData):
    """A message or event as /notify delivers it."""

    PreId: Annotated[str, Field(description="该会话的上一条消息，第一条为空", examples=["EDCZL-SY32-2436-VWQ"])]
    Cursor: Annotated[str, Field(description="本条之后的位置", examples=["4f1c20aa9b3e77d0.12"])]


def build_msg_data(public_id: str, message: Message) -> MsgData:
    """Return a message as history shows it."""
    return {
        "MsgId": message.id,
        "ConversationID": public_id,
        "FromSession": session_names.format_principal(message.sender),
        "SendTime": message.sent_at,
        "Status": WITHDRAWN_STATUS if message.withdrawn else message.status,
        "Type": message.type,
        "Content": links.sign(message.object_key) if message.object_key else message.content,
    }


def build_delivered(event: Event, cursor: str, message: Message | None) -> Delivered | None:
    """Return an event as listeners receive it.

    Args:
        cursor: the position after the event.
        message: the message that a MESSAGE event names, None if the listener may not read it.

    Returns:
        None for a MESSAGE event without message.
    """
    match event["kind"]:
        case EventKind.MESSAGE:
            if message is None:
                return None
            return {
                **build_msg_data(event["conversation"], message),
                "PreId": event["prev_id"],
                "Cursor": cursor,
            }
        case EventKind.WITHDRAWN:
            return _build_delivered_event(WITHDRAWN_EVENT, event, {"MsgId": event["id"]}, cursor)
        case EventKind.READ:
            return _build_delivered_event(READ_EVENT, event, {"MsgId": event["id"]}, cursor)
    return _build_delivered_event(event["type"], event, event["content"], cursor)


def _build_delivered_event(event_type: int, event: Event, content: dict[str, Any], cursor: str) -> Delivered:
    """Return an event that is no message: its content is JSON."""
    return {
        "MsgId": event.get("id", ""),
        "ConversationID": event.get("conversation", ""),
        "FromSession": session_names.format_principal(event.get("sender", "")),
        "SendTime": event.get("at", 0),
        "Status": 0,
        "Type": event_type,
        "Content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
        "PreId": "",
        "Cursor": cursor,
    }
