"""Requests and responses of the IM gateway, in the spelling of document 004."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.http.fields import (
    Boolean,
    ChatText,
    IdempotencyKey,
    MessageId,
    OptionalMessageId,
    OptionalPublicId,
    PublicId,
    SafeInt,
    SessionId,
    WireModel,
)
from chalicelib.messaging.msg_data import MsgData

CONVERSATION_ID_EXAMPLE = "87ba7679-b682-47e7-8499-0385dda22b66"
MSG_ID_EXAMPLE = "EDCZL-SY32-243Y-VWQ"
SESSION_ID_EXAMPLE = "50864896-8136-4a43-8a48-1d3325a7f78f"
SENT_AT_EXAMPLE = 1698119710632897
CONVERSATION_ID_ALIASES = AliasChoices("conversation_id", "ConversationId", "ConversationID")
MSG_ID_ALIASES = AliasChoices("msg_id", "MsgId", "MsgID")

MAX_JOINED = 1_000  # conversations in one response of get_joined_conversation

ConversationType = Annotated[SafeInt, Field(json_schema_extra={"minimum": 0, "maximum": 15}, examples=[0])]
SessionIds = Annotated[
    list[SessionId], Field(max_length=500, json_schema_extra={"minItems": 1}, examples=[[SESSION_ID_EXAMPLE]])
]
ClientDefinedNumber = Annotated[SafeInt, Field(ge=0, le=255, description="由客户端自定，原样返回")]
DescendingOrder = Annotated[Boolean, Field(description="true 为从新到旧，false 为从旧到新", examples=[False])]


class TokenRequest(WireModel):
    """Request for a token on behalf of a user."""

    session: SessionId = Field(examples=[SESSION_ID_EXAMPLE])
    platform: SafeInt = Field(0, ge=0, le=255, examples=[1])


class ConversationRequest(WireModel):
    """Request about a conversation."""

    conversation_id: PublicId = Field(validation_alias=CONVERSATION_ID_ALIASES, examples=[CONVERSATION_ID_EXAMPLE])


class SendMessageRequest(ConversationRequest):
    """Request to send a text."""

    content: ChatText = Field(examples=["医生您好，我发烧两天了。"])
    type: ClientDefinedNumber = Field(0, examples=[0])
    status: ClientDefinedNumber = Field(0, examples=[0])
    client_msg_id: IdempotencyKey | None = None


class SendMessageResponse(WireModel):
    """The id of the sent message."""

    MsgID: str = Field(examples=[MSG_ID_EXAMPLE])


class CreateConversationRequest(WireModel):
    """Request to create a conversation."""

    conversation_type: ConversationType = 0


class CreateServiceConversationRequest(CreateConversationRequest):
    """Request to create a conversation with its participants."""

    sessions: SessionIds


class ParticipantsRequest(ConversationRequest):
    """Request to add participants to a conversation or to remove them."""

    sessions: SessionIds


class SetArchivedRequest(WireModel):
    """Request to archive or reopen conversations."""

    conversation_ids: list[PublicId] = Field(min_length=1, max_length=500, examples=[[CONVERSATION_ID_EXAMPLE]])
    is_archive: Boolean = Field(examples=[True])


class ConversationReference(WireModel):
    """The id of a conversation."""

    ConversationId: str = Field(examples=[CONVERSATION_ID_EXAMPLE])


class JoinedResponse(WireModel):
    """Whether the caller takes part in the conversation."""

    Joined: bool = Field(examples=[True])


class JoinedConversationsRequest(WireModel):
    """Request for the conversations of the caller, whose session may be omitted."""

    session_id: str = Field(
        "",
        max_length=136,
        validation_alias=AliasChoices("SessionId", "session_id"),
        description="可不填；若填写，须是登录者本人",
        examples=[""],
    )
    after: OptionalPublicId = Field(
        None, description="从这个会话之后的一页，不填则从最新的起；填上一页的最后一个会话", examples=[""]
    )
    limit: Annotated[SafeInt, Field(ge=1, le=MAX_JOINED)] = Field(
        MAX_JOINED, description="最多返回这么多个会话", examples=[MAX_JOINED]
    )


class Conversations(WireModel):
    """The ids of conversations."""

    Conversations: list[str] = Field(examples=[[CONVERSATION_ID_EXAMPLE]])


class ConversationDetail(WireModel):
    """A conversation as the caller sees it."""

    ConversationID: str = Field(examples=[CONVERSATION_ID_EXAMPLE])
    LastMsgID: str = Field(description="没有消息时为空", examples=[MSG_ID_EXAMPLE])
    LastSendTime: int | None = Field(description="微秒；没有消息时为 null", examples=[SENT_AT_EXAMPLE])
    IsDelete: bool = Field(description="本人已从列表中删除，有新消息时恢复", examples=[False])
    ConversationType: int = Field(examples=[0])
    LastSendSession: str = Field(description="没有消息时为空", examples=[SESSION_ID_EXAMPLE])
    IsArchive: bool = Field(examples=[False])


class NewestMessageId(WireModel):
    """The id of the newest message."""

    MsgId: str = Field(description="没有消息时为空", examples=[MSG_ID_EXAMPLE])


class OrderedMessagesRequest(ConversationRequest):
    """Request for messages in one of both orders."""

    desc: DescendingOrder = False


class NewestMessagesRequest(OrderedMessagesRequest):
    """Request for the newest messages of a conversation."""


class PageRequest(OrderedMessagesRequest):
    """Request for a message and the messages before or after it."""

    msg_id: MessageId = Field(validation_alias=MSG_ID_ALIASES, examples=[MSG_ID_EXAMPLE])


class RangeRequest(OrderedMessagesRequest):
    """Request for the messages between two messages, including both."""

    start_msg_id: OptionalMessageId = Field(None, description="为空则从第一条起", examples=[MSG_ID_EXAMPLE])
    end_msg_id: OptionalMessageId = Field(None, description="为空则到最后一条止", examples=[""])


class Messages(WireModel):
    """Messages of a conversation."""

    Msg: list[MsgData]
