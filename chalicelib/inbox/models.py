"""Requests and responses of site messages (站内消息)."""

from typing import Literal

from pydantic import Field

from chalicelib.http.fields import ChatText, Id, IdempotencyKey, IdText, OptionalId, PageSize, WireModel

EXAMPLE_TEXT = "本院国庆节期间门诊照常。"


class Receiver(WireModel):
    """A user to whom a message is sent."""

    user_id: Id = Field(examples=["1"])


class SendSiteMessageRequest(WireModel):
    """A text and its recipients."""

    tenantId: Id = Field(description="须是发送者所在的租户", examples=["1"])
    msg_text: ChatText = Field(examples=[EXAMPLE_TEXT])
    user_list: list[Receiver] = Field(min_length=1, max_length=1000, examples=[[{"user_id": "1"}]])
    client_msg_id: IdempotencyKey | None = None


class MessageListQuery(WireModel):
    """A page of the caller's messages."""

    status: Literal["unread", "read", "all"] = Field("unread", description="不填：未读", examples=["unread"])
    page_size: PageSize = Field(100, examples=[20])
    msg_id: OptionalId = Field(None, description="返回比这一条更早的；不填：最新的", examples=[""])


class SiteMessage(WireModel):
    """A message in the caller's list."""

    msg_id: IdText = Field(examples=["12"])
    msg_text: str = Field(examples=[EXAMPLE_TEXT])
    msg_date: str = Field(examples=["2026-01-05 09:30:00"])
    is_read: bool = Field(examples=[False])
    sender_id: IdText = Field(description="医生的用户编号；0 为医院（客服、管理员、医院的系统）", examples=["0"])
    sender_name: str = Field(description="医生的姓名；医院的名称", examples=["仁和医院"])


class UnreadCount(WireModel):
    """The number of unread messages."""

    count: int = Field(examples=[3])


class MarkSiteMessageReadRequest(WireModel):
    """The message to mark as read."""

    msg_id: Id = Field(examples=["12"])


class MarkAllReadRequest(WireModel):
    """The user whose messages are marked as read."""

    user_id: Id = Field(alias="userId", description="须是登录者本人", examples=["1"])
