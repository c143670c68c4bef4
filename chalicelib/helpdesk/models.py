"""Requests and responses of the messagecenter, with the field names of document 002."""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
)
from typing_extensions import TypedDict

from chalicelib.helpdesk.codes import MsgType, OwnType, UserType
from chalicelib.http.fields import (
    ID_LIMIT,
    Id,
    MessageId,
    OptionalMessageId,
    OptionalReason,
    PageSize,
    PublicId,
    SafeInt,
    WireModel,
    build_enum_schema,
    parse_choice,
)
from chalicelib.http.routing import CountedResult

EXAMPLE_SESSION_ID = "87ba7679-b682-47e7-8499-0385dda22b66"
EXAMPLE_MESSAGE_ID = "EDCZL-SY32-243Y-VWQ"
EXAMPLE_TIME = "2026-01-05 09:30:00"
MAX_RECEIVERS = 100  # of one request


def _int_to_text(value: Any) -> Any:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number and 0 <= value < ID_LIMIT else value


PartyId = Annotated[
    str,
    Field(max_length=64, pattern="^[0-9A-Za-z-]*$"),
    BeforeValidator(_int_to_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 64, "pattern": "^[0-9A-Za-z-]*$"},
                {"type": "integer", "minimum": 0, "maximum": ID_LIMIT - 1},
            ]
        }
    ),
]
"""A user id or a sessionId; a number is converted to text."""

OptionalPartyId = Annotated[PartyId, AfterValidator(lambda text: "" if text == "0" else text)]
"""Empty if absent or 0."""

OptionalTypeCode = Annotated[Literal[0, 1, 2, 3], BeforeValidator(parse_choice), build_enum_schema(0, 1, 2, 3)]
UserTypeField = Annotated[
    UserType,
    BeforeValidator(parse_choice),
    build_enum_schema(*UserType),
    Field(description="1 客服，2 用户，3 系统；是谁以登录身份为准", examples=[2]),
]
MsgTypeField = Annotated[MsgType, BeforeValidator(parse_choice), build_enum_schema(*MsgType)]
OwnTypeField = Annotated[OwnType, BeforeValidator(parse_choice), build_enum_schema(*OwnType)]
LineText = Annotated[str, Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
MessageText = Annotated[str, Field(max_length=4000, pattern=r"^[^\x00]*$")]
ShortText = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
LinkUrl = Annotated[str, Field(max_length=1024, pattern=r"^((https?://|/)[^\s\x00-\x1f\x7f]*)?$")]


class UnreadCountRequest(WireModel):
    """Body of messageCount."""

    userType: UserTypeField


class UnreadTotal(CountedResult[int]):
    """The number of unread messages, as data and as count."""

    data: int = Field(examples=[1])


class AddMessageRequest(WireModel):
    """Body of messageAdd: a message and its recipients."""

    ownType: OwnTypeField = Field(
        description="1 个人，2 企业（患者：发给医院客服；客服、管理员：以医院名义通知），3 群", examples=[1]
    )
    title: LineText = Field(examples=["咨询"])
    content: MessageText = Field(description="有 link 的图片可为空", examples=["您好，请问明天几点可以抽血？"])
    item: SafeInt = Field(description="业务对象，由客户端自定，原样返回", examples=[0])
    type: SafeInt = Field(description="业务事件，由客户端自定，原样返回", examples=[0])
    link: LinkUrl = Field(description="http(s) 地址或以 / 开头的页面，可为空", examples=[""])
    itemType: Annotated[SafeInt, Field(ge=0, le=255)] = Field(description="0 文本，1 图片，2 链接卡片", examples=[0])
    sendId: OptionalPartyId = Field("", description="可不填；若填写，须是本人")
    receiveId: OptionalPartyId = Field("", description="用户编号，或本人所在会话的 sessionId", examples=["3"])
    receiverIds: list[OptionalPartyId] = Field([], max_length=MAX_RECEIVERS)
    groupIds: list[OptionalPartyId] = Field([], max_length=MAX_RECEIVERS)


class SentMessage(TypedDict):
    """A message as it was sent to one recipient."""

    messageId: Annotated[str, Field(examples=[EXAMPLE_MESSAGE_ID])]
    sessionId: Annotated[str, Field(examples=[EXAMPLE_SESSION_ID])]
    receiveId: Annotated[str, Field(description="收信人或群", examples=["3"])]
    createTime: Annotated[str, Field(examples=[EXAMPLE_TIME])]


class MessagePageRequest(WireModel):
    """Body of findMessage: a conversation and a page of it."""

    msgType: MsgTypeField = Field(description="1 通知，2 个人会话，3 客服会话，4 群", examples=[2])
    userType: UserTypeField
    sendId: OptionalPartyId = Field("", description="对方；患者看自己的客服会话时可不填", examples=["3"])
    lastId: OptionalMessageId = Field(None, description="只取比它早的", examples=[""])
    pageSize: PageSize = Field(examples=[10])
    sort: Literal["", "asc", "desc"] = Field("", description="本页的次序，默认从新到旧", examples=["desc"])
    chatGroupId: OptionalPartyId = Field("", description="群：会话编号，数字或其文本亦可", examples=[""])


class MessageEntry(TypedDict):
    """A message as one reader sees it."""

    messageId: Annotated[str, Field(examples=[EXAMPLE_MESSAGE_ID])]
    sessionId: Annotated[str, Field(examples=[EXAMPLE_SESSION_ID])]
    sendId: Annotated[str, Field(description="0 为医院", examples=["3"])]
    sendName: Annotated[str, Field(examples=["客服小李"])]
    sendType: Annotated[int, Field(description="1 客服，2 用户，3 系统", examples=[1])]
    isSelf: Annotated[bool, Field(examples=[False])]
    title: Annotated[str, Field(examples=["咨询"])]
    content: Annotated[str, Field(description="已撤回为空", examples=["请空腹，八点以前。"])]
    link: Annotated[str, Field(examples=[""])]
    item: Annotated[int, Field(examples=[0])]
    type: Annotated[int, Field(examples=[0])]
    itemType: Annotated[int, Field(description="0 文本，1 图片，2 链接卡片", examples=[0])]
    createTime: Annotated[str, Field(examples=[EXAMPLE_TIME])]
    isWithdrawn: Annotated[bool, Field(examples=[False])]
    appraise: Annotated[int, Field(description="本人的评价：-1、1，0 未评价", examples=[0])]


class OpenSessionRequest(WireModel):
    """Body of createChatSession."""

    msgType: MsgTypeField = Field(description="2 个人会话，3 客服会话，4 群", examples=[2])
    userType: UserTypeField
    receiveId: OptionalPartyId = Field("", description="对方或群；患者找客服时可不填", examples=["3"])
    receiveEntId: OptionalPartyId = Field("", description="可不填；若填写，须是本医院")
    receiveAppId: str = Field("", max_length=64)
    customerserviceName: ShortText = Field("", description="想找的科室或服务，同 obtainShunt 的 type")


class CloseSessionRequest(WireModel):
    """Body of closeChatSession."""

    sessionId: PublicId = Field(examples=[EXAMPLE_SESSION_ID])


class AssignmentRequest(WireModel):
    """Body of obtainShunt."""

    type: ShortText = Field(description="科室或服务，空为不限", examples=["检查预约"])


class MarkReadRequest(WireModel):
    """Body of updateReadById."""

    sendId: PartyId = Field(description="对方的用户编号，或会话的 sessionId；0 为医院的通知", examples=["3"])
    userType: OptionalTypeCode = 0
    sendType: OptionalTypeCode = 0


class WithdrawRequest(WireModel):
    """Body of withdrawMessage. Only messageId and reason are used."""

    messageId: MessageId = Field(examples=[EXAMPLE_MESSAGE_ID])
    userType: UserTypeField
    senderId: SafeInt = 0
    recipientId: SafeInt = 0
    conversationType: OptionalTypeCode = 0
    chatGroupId: SafeInt = 0
    reason: OptionalReason = Field(None, description="撤回原因，留存备查", examples=["发错了人"])


class AppraiseRequest(WireModel):
    """Body of appraiseMessage."""

    messageId: MessageId = Field(examples=[EXAMPLE_MESSAGE_ID])
    appraise: Annotated[Literal[-1, 1], BeforeValidator(parse_choice), build_enum_schema(-1, 1)] = Field(examples=[1])


class PostCardRequest(WireModel):
    """Body of oneUserPosition."""

    positionId: Id = Field(examples=["1"])


class PeerConversationRequest(WireModel):
    """Body of oneUserConversation."""

    youPositionId: Id = Field(examples=["1"])


class PersonCard(TypedDict):
    """A person by the post that they hold; positionId is 0 for a person without a post."""

    positionId: Annotated[str, Field(examples=["1"])]
    userId: Annotated[str, Field(examples=["5"])]
    title: Annotated[str, Field(examples=["导诊"])]
    name: Annotated[str, Field(examples=["客服小李"])]
    photo: Annotated[str, Field(description="30 分钟有效，没有则为空", examples=[""])]
    department: Annotated[str, Field(examples=["呼吸内科"])]
    onDuty: Annotated[bool, Field(examples=[True])]


class PeerConversation(TypedDict):
    """A direct chat with the cards of both participants."""

    sessionId: Annotated[str, Field(examples=[EXAMPLE_SESSION_ID])]
    mine: PersonCard
    yours: PersonCard


class Session(TypedDict):
    """A conversation as the caller finds it."""

    sessionId: Annotated[str, Field(examples=[EXAMPLE_SESSION_ID])]
    state: Annotated[str, Field(description="waiting 排队，open 进行中，closed 已结束", examples=["open"])]
    place: Annotated[int, Field(description="排队时的位置，从 1 起；否则 0", examples=[0])]
    agent: Annotated[PersonCard | None, Field(description="客服会话中接待的人")]
