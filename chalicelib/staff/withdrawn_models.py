"""Requests and responses about withdrawn messages."""

from pydantic import Field

from chalicelib.http.fields import IdText, MessageId, OptionalId, PageSize, Reason, WireModel

EXAMPLE_TIME = "2026-01-05 09:30:00"


class WithdrawnMessageListQuery(WireModel):
    """A page of the list of withdrawn messages."""

    page_size: PageSize = Field(20, examples=[20])
    withdrawal_id: OptionalId = Field(None, description="返回比这一条更早的；不填：最新的", examples=[""])
    withdrawn_by: OptionalId = Field(None, description="撤回者的用户编号", examples=[""])


class WithdrawnMessage(WireModel):
    """A withdrawn message, without its content."""

    withdrawal_id: IdText = Field(examples=["7"])
    msg_id: str = Field(examples=["EDCZL-SY32-243Y-VWQ"])
    session_id: str = Field(description="所在的会话", examples=["87ba7679-b682-47e7-8499-0385dda22b66"])
    sender_id: str = Field(description="发送者；0 为医院的通知", examples=["3"])
    sender_name: str = Field(description="外部系统的用户没有姓名", examples=["陈医生"])
    msg_date: str = Field(examples=[EXAMPLE_TIME])
    withdrawn_by: str = Field(description="撤回者的用户编号", examples=["5"])
    withdrawn_by_name: str = Field(examples=["管理员"])
    withdrawn_date: str = Field(examples=[EXAMPLE_TIME])
    withdrawn_reason: str = Field(description="没有填写则为空", examples=["发错了人"])


class WithdrawnMessageQuery(WireModel):
    """The withdrawn message to read, and why."""

    msg_id: MessageId = Field(examples=["EDCZL-SY32-243Y-VWQ"])
    reason: Reason = Field(description="查阅原因，记入审计日志", examples=["患者投诉，核对原文"])


class OriginalMessage(WithdrawnMessage):
    """A withdrawn message with the content that it had."""

    msg_type: int = Field(description="0 文本，1 图片，2 链接卡片", examples=[0])
    title: str = Field(examples=[""])
    message: str = Field(description="图片消息为其说明，可为空", examples=["请先缴费"])
    link: str = Field(description="图片（30 分钟有效）或链接卡片的地址；没有则为空", examples=[""])
    author_id: str = Field(description="实际撰写者：医院的通知为发布的员工，其他同 sender_id", examples=["3"])
    author_name: str = Field(examples=["陈医生"])
