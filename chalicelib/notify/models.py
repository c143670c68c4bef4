"""Query and responses of /notify."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from chalicelib.http.fields import OptionalCursor, SafeInt, WireModel
from chalicelib.messaging.msg_data import Delivered

GapFlag = Annotated[bool, Field(description="true 表示此前有内容已无法补发，请读取历史消息", examples=[False])]


class ListenQuery(WireModel):
    """The position and the form in which the caller receives events."""

    token: str = Field(min_length=1, max_length=128, examples=["tD6Dr3MrkIFOSLbrVoBbNnHWG9Y6wfP7PMzzzslcqVM"])
    protoc: str = Field(max_length=16, description="poll 或 sse；ws 请用 WebSocket 连接", examples=["poll"])
    after: OptionalCursor = Field(None, description="从这个位置之后继续；不填则接着该 token 上次收到的", examples=[""])
    limit: Annotated[SafeInt, Field(ge=1, le=100)] | None = Field(
        None, description="填写后返回列表和位置，最多这么多条；不填则返回一条", examples=[20]
    )
    events: Literal["", "0", "1"] = Field(
        "", description="1 表示也接收撤回、已读等事件（Type 不小于 1000）", examples=["1"]
    )


class PollOneResponse(Delivered):
    """Response to a poll without limit: one event."""

    gap: GapFlag


class PollManyResponse(TypedDict):
    """Response to a poll with limit: events and the position after the last one."""

    Msg: list[Delivered]
    cursor: Annotated[str, Field(description="下次从这里继续", examples=["4f1c20aa9b3e77d0.12"])]
    gap: GapFlag
