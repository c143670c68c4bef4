"""What crosses the wire in the IM gateway, in document 004's own spelling."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.http.fields import ChatText, MessageId, MessageIdIfAny, PublicId, RetryKey, SessionId, Whole, Wire
from chalicelib.messaging.msg_data import MsgData

CONVERSATION = "87ba7679-b682-47e7-8499-0385dda22b66"
MSG_ID = "EDCZL-SY32-243Y-VWQ"
SESSION = "50864896-8136-4a43-8a48-1d3325a7f78f"
SENT_AT = 1698119710632897
THE_CONVERSATION = AliasChoices("conversation_id", "ConversationId", "ConversationID")
THE_MESSAGE = AliasChoices("msg_id", "MsgId", "MsgID")

ConversationType = Annotated[Whole, Field(json_schema_extra={"minimum": 0, "maximum": 15}, examples=[0])]
Sessions = Annotated[list[SessionId], Field(max_length=500, json_schema_extra={"minItems": 1}, examples=[[SESSION]])]
Own = Annotated[Whole, Field(ge=0, le=255, description="由客户端自定，原样返回")]
Newest = Annotated[bool, Field(description="true 为从新到旧，false 为从旧到新", examples=[False])]


class TokenRequest(Wire):
    session: SessionId = Field(examples=[SESSION])
    platform: Whole = Field(0, ge=0, le=255, examples=[1])


class Conversation(Wire):
    conversation_id: PublicId = Field(validation_alias=THE_CONVERSATION, examples=[CONVERSATION])


class Text(Conversation):
    content: ChatText = Field(examples=["医生您好，我发烧两天了。"])
    type: Own = Field(0, examples=[0])
    status: Own = Field(0, examples=[0])
    client_msg_id: RetryKey | None = None


class Sent(Wire):
    MsgID: str = Field(examples=[MSG_ID])


class ConversationWanted(Wire):
    conversation_type: ConversationType = 0


class ConversationOfMembers(ConversationWanted):
    sessions: Sessions


class Members(Conversation):
    sessions: Sessions


class Archiving(Wire):
    conversation_ids: list[PublicId] = Field(min_length=1, max_length=500, examples=[[CONVERSATION]])
    is_archive: bool = Field(examples=[True])


class ConversationNamed(Wire):
    ConversationId: str = Field(examples=[CONVERSATION])


class Joined(Wire):
    Joined: bool = Field(examples=[True])


class OwnSession(Wire):
    session_id: str = Field(
        "",
        max_length=136,
        validation_alias=AliasChoices("SessionId", "session_id"),
        description="可不填；若填写，须是登录者本人",
        examples=[""],
    )


class Conversations(Wire):
    Conversations: list[str] = Field(examples=[[CONVERSATION]])


class ConversationDetail(Wire):
    ConversationID: str = Field(examples=[CONVERSATION])
    LastMsgID: str = Field(description="没有消息时为空", examples=[MSG_ID])
    LastSendTime: int | None = Field(description="微秒；没有消息时为 null", examples=[SENT_AT])
    IsDelete: bool = Field(description="本人已从列表中删除，有新消息时恢复", examples=[False])
    ConversationType: int = Field(examples=[0])
    LastSendSession: str = Field(description="没有消息时为空", examples=[SESSION])
    IsArchive: bool = Field(examples=[False])


class NewestMessageId(Wire):
    MsgId: str = Field(description="没有消息时为空", examples=[MSG_ID])


class NewestMessages(Conversation):
    desc: Newest = False


class Around(NewestMessages):
    msg_id: MessageId = Field(validation_alias=THE_MESSAGE, examples=[MSG_ID])


class Span(NewestMessages):
    start_msg_id: MessageIdIfAny = Field(None, description="为空则从第一条起", examples=[MSG_ID])
    end_msg_id: MessageIdIfAny = Field(None, description="为空则到最后一条止", examples=[""])


class Messages(Wire):
    Msg: list[MsgData]
