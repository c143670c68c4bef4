"""Request and response about consultations of closed accounts."""

from pydantic import Field

from chalicelib.http.fields import (
    IdText,
    OptionalId,
    OptionalMessageId,
    OptionalPublicId,
    PageSize,
    Reason,
    WireModel,
)

SESSION_NO_EXAMPLE = "1f0c8e9e-6f3b-4c0e-9f57-0d6c2f3f7a11"
TIME_EXAMPLE = "2026-01-05 09:30:00"


class StoredMessagesQuery(WireModel):
    """A page of a consultation's messages, and why they are read. pati_id or session_no is required."""

    pati_id: OptionalId = Field(None, description="患者档案；与 session_no 必填其一", examples=["1"])
    session_no: OptionalPublicId = Field(None, description="不填：该患者最近的一次问诊", examples=[""])
    reason: Reason = Field(description="查阅原因，记入审计日志", examples=["司法调取"])
    msg_id: OptionalMessageId = Field(None, description="返回比这一条更早的；不填：最新的", examples=[""])
    page_size: PageSize = Field(20, examples=[20])


class StoredSession(WireModel):
    """A consultation of a closed account."""

    session_no: str = Field(examples=[SESSION_NO_EXAMPLE])
    member_id: IdText = Field(examples=["1"])
    member_name: str = Field(examples=["林小雨"])
    doctor_id: IdText = Field(examples=["3"])
    doctor_name: str = Field(examples=["陈医生"])
    created_date: str = Field(examples=[TIME_EXAMPLE])
    closed_date: str = Field(description="账号注销的时间", examples=[TIME_EXAMPLE])


class StoredMessage(WireModel):
    """A message of the consultation."""

    msg_id: str = Field(examples=["EDCZL-SY32-243Y-VWQ"])
    msg_type: int = Field(description="0 文本，1 图片", examples=[0])
    from_doctor: bool = Field(description="true 医生发出，false 患者发出", examples=[False])
    message: str = Field(description="图片消息为空；已撤回为空", examples=["医生您好，我发烧两天了。"])
    res_url: str = Field(description="图片地址，30 分钟有效；文本消息为空", examples=[""])
    msg_date: str = Field(examples=[TIME_EXAMPLE])
    withdrawn: bool = Field(description="已撤回", examples=[False])


StoredSessions = list[StoredSession]  # in a class with a field `list`, that name means the field


class StoredMessages(WireModel):
    """The consultations that match, and a page of the messages of one, newest first."""

    session_no: str = Field(description="list 所属的问诊", examples=[SESSION_NO_EXAMPLE])
    sessions: StoredSessions = Field(description="最近的在前")
    list: list[StoredMessage]
