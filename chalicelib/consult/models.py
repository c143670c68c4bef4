"""Requests and responses of patient-doctor chat.

Entries of lists are typed dictionaries: a response has up to a hundred, and building a model of each takes longer than
reading them all from Redis.
"""

from typing import Annotated

from pydantic import AliasChoices, Field
from typing_extensions import TypedDict

from chalicelib.http.fields import (
    ChatText,
    Id,
    IdempotencyKey,
    OptionalMessageId,
    OptionalPublicId,
    PageSize,
    PublicId,
    WireModel,
)

SESSION_NO_EXAMPLE = "1f0c8e9e-6f3b-4c0e-9f57-0d6c2f3f7a11"
MSG_ID_EXAMPLE = "EDCZL-SY32-243Y-VWQ"
MSG_DATE_EXAMPLE = "2026-01-05 09:30:00"
ResType = Annotated[str, Field(description="文件内容的类型；文本消息为空", examples=["image/jpeg"])]
ResDisplayable = Annotated[
    bool,
    Field(
        description="false：有的浏览器不能用 <img>、<audio>、<video> 显示（HEIC、AVIF、MOV、AMR、PDF），请给下载链接",
        examples=[True],
    ),
]
OLDER_THAN_ALIASES = AliasChoices("msg_id", "last_msg_id", "last_message_id")


class MemberAndDoctor(WireModel):
    """A member of the caller's account and a doctor."""

    member_id: Id = Field(examples=["1"])
    doctor_id: Id = Field(examples=["3"])


class SessionNo(WireModel):
    """The number of a session."""

    session_no: str = Field(examples=[SESSION_NO_EXAMPLE])


class PatientTextRequest(MemberAndDoctor):
    """A text to a doctor."""

    message: ChatText = Field(examples=["医生您好，我发烧两天了。"])
    session_no: OptionalPublicId = Field(None, examples=[SESSION_NO_EXAMPLE])
    client_msg_id: IdempotencyKey | None = None


class DoctorTextRequest(WireModel):
    """A text to a session's patient."""

    message: ChatText = Field(examples=["量过体温吗？多少度？"])
    session_no: PublicId = Field(examples=[SESSION_NO_EXAMPLE])
    client_msg_id: IdempotencyKey | None = None


class PatientFileRequest(MemberAndDoctor):
    """An uploaded file to a doctor."""

    file_id: Id = Field(examples=["7"])
    session_no: OptionalPublicId = Field(None, examples=[SESSION_NO_EXAMPLE])
    client_msg_id: IdempotencyKey | None = None


class DoctorFileRequest(WireModel):
    """An uploaded file to a session's patient."""

    file_id: Id = Field(examples=["7"])
    session_no: PublicId = Field(examples=[SESSION_NO_EXAMPLE])
    client_msg_id: IdempotencyKey | None = None


class HideSessionRequest(WireModel):
    """The session to remove from the caller's list."""

    session_id: PublicId = Field(
        validation_alias=AliasChoices("session_id", "session_no"), examples=[SESSION_NO_EXAMPLE]
    )


class SendResponse(WireModel):
    """A message that was sent."""

    msg_id: str = Field(examples=[MSG_ID_EXAMPLE])
    msg_date: str = Field(examples=[MSG_DATE_EXAMPLE])


class PatientSendResponse(SendResponse):
    """A message that a patient has sent, with its session."""

    session_no: str = Field(examples=[SESSION_NO_EXAMPLE])


class SendFileResponse(SendResponse):
    """A file that a doctor has sent."""

    res_url: str = Field(description="文件地址，30 分钟有效")
    res_type: ResType
    res_displayable: ResDisplayable


class PatientSendFileResponse(PatientSendResponse):
    """A file that a patient has sent, with its session."""

    file_url: str = Field(description="文件地址，30 分钟有效")
    res_type: ResType
    res_displayable: ResDisplayable


class DoctorNewestQuery(WireModel):
    """A session of the doctor."""

    session_no: PublicId = Field(examples=[SESSION_NO_EXAMPLE])


class PatientNewestQuery(DoctorNewestQuery):
    """A session of a member of the caller's account."""

    member_id: Id = Field(examples=["1"])


class OlderPageQuery(WireModel):
    """A page of messages, optionally only those older than one."""

    page_size: PageSize = Field(examples=[20])
    msg_id: OptionalMessageId = Field(None, validation_alias=OLDER_THAN_ALIASES, examples=[MSG_ID_EXAMPLE])


class DoctorMessagesQuery(OlderPageQuery, DoctorNewestQuery):
    """A page of messages of a doctor's session."""


class PatientMessagesQuery(DoctorMessagesQuery):
    """A page of messages of a patient's session."""

    member_id: Id = Field(examples=["1"])


MessageTypeCode = Annotated[int, Field(description="0 文本，1 图片", examples=[0], json_schema_extra={"enum": [0, 1]})]
LastMessageText = Annotated[str, Field(description="图片消息为空；没有消息时为空", examples=["多喝水，明天再看。"])]
SessionNoText = Annotated[str, Field(examples=[SESSION_NO_EXAMPLE])]
MessageIdText = Annotated[str, Field(examples=[MSG_ID_EXAMPLE])]
DateTimeText = Annotated[str, Field(examples=[MSG_DATE_EXAMPLE])]
ActiveTimeText = Annotated[str, Field(description="没有消息时为会话建立的时间", examples=[MSG_DATE_EXAMPLE])]
DoctorId = Annotated[str, Field(examples=["3"])]
DoctorName = Annotated[str, Field(examples=["陈医生"])]
PhotoUrl = Annotated[str, Field(examples=[""])]


class FileDescription(TypedDict):
    """What the file of a message is."""

    res_type: ResType
    res_displayable: ResDisplayable


class MessageForDoctor(FileDescription):
    """A message as the session's doctor sees it."""

    msg_id: MessageIdText
    msg_type: MessageTypeCode
    from_to: Annotated[
        int, Field(description="0 我发出的，1 发给我的", examples=[1], json_schema_extra={"enum": [0, 1]})
    ]
    message: Annotated[str, Field(description="图片消息为空", examples=["医生您好，我发烧两天了。"])]
    res_url: Annotated[str, Field(description="图片地址，30 分钟有效；文本消息为空", examples=[""])]
    msg_date: DateTimeText
    withdrawn: Annotated[bool, Field(description="已撤回：内容不再提供", examples=[False])]


class MessageForPatient(MessageForDoctor):
    """A message as the session's patient sees it."""

    doctor_id: DoctorId
    doctor_name: DoctorName
    doctor_photo_url: PhotoUrl


class PatientSessionsQuery(WireModel):
    """Filter of a patient's session list."""

    doctor_name: Annotated[str, Field(max_length=64)] | None = Field(None, examples=["陈"])


class DoctorSessionsQuery(OlderPageQuery):
    """A page of a doctor's session list."""


class Session(TypedDict):
    """A session in a list, with its newest message if it has one."""

    session_id: SessionNoText
    session_no: SessionNoText
    member_id: Annotated[str, Field(examples=["1"])]
    member_name: Annotated[str, Field(examples=["林小雨"])]
    last_message: LastMessageText
    last_message_type: MessageTypeCode
    unread: Annotated[int, Field(description="未读条数", examples=[2])]


class SessionForPatient(Session):
    """A session in a patient's list."""

    doctor_id: DoctorId
    doctor_name: DoctorName
    doctor_photo_url: PhotoUrl
    duty_code: Annotated[str, Field(description="0 医士，1 医师，2 主治医师，3 副主任医师，4 主任医师", examples=["4"])]
    last_message_date: ActiveTimeText
    last_msg_id: Annotated[str, Field(description="没有消息时为空", examples=[MSG_ID_EXAMPLE])]
    last_message_id: Annotated[str, Field(description="同 last_msg_id", examples=[MSG_ID_EXAMPLE])]


class SessionForDoctor(Session):
    """A session in a doctor's list."""

    member_photo_url: PhotoUrl
    gender: Annotated[int, Field(description="0 未知，1 男，2 女，9 未说明", examples=[2])]
    age: Annotated[str, Field(examples=["36岁"])]
    phone: Annotated[str, Field(examples=["138****0001"])]
    member_verified: Annotated[bool, Field(description="false：未核验身份", examples=[True])]
    guardian_name: Annotated[str, Field(description="6 岁以下儿童的监护人；空：没有", examples=[""])]
    guardian_phone: Annotated[str, Field(description="6 岁以下儿童的监护人的手机号", examples=[""])]
    last_msg_date: ActiveTimeText
    last_msg_id: Annotated[str, Field(description="没有消息时为仅供翻页的位置", examples=[MSG_ID_EXAMPLE])]
