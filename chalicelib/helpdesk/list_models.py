"""Requests and responses of the messagecenter's lists."""

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from typing_extensions import TypedDict

from chalicelib import clock
from chalicelib.helpdesk.codes import QueryType
from chalicelib.helpdesk.models import (
    EXAMPLE_MESSAGE_ID,
    EXAMPLE_SESSION_ID,
    EXAMPLE_TIME,
    OptionalPartyId,
    ShortText,
    UserTypeField,
)
from chalicelib.http.fields import ID_LIMIT, OptionalPhone, SafeInt, WireModel, build_enum_schema, parse_choice

TIME_PATTERN = "^([0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?)?$"


def _validate_time(text: str) -> str:
    if not re.fullmatch(TIME_PATTERN, text):
        raise ValueError("格式应为 yyyy-MM-dd HH:mm:ss")
    try:
        datetime.fromisoformat(text or "2026-01-01")
    except ValueError:
        raise ValueError("不是有效的时间") from None
    return text


TimeText = Annotated[str, AfterValidator(_validate_time), Field(json_schema_extra={"pattern": TIME_PATTERN})]
Flag = Annotated[Literal[0, 1], BeforeValidator(parse_choice), build_enum_schema(0, 1)]
QueryTypeField = Annotated[QueryType, BeforeValidator(parse_choice), build_enum_schema(*QueryType)]


class ListRequest(WireModel):
    """Body of userList and conversationList: filters and a page."""

    userType: UserTypeField
    phone: OptionalPhone = Field("", description="对方的手机号", examples=[""])
    startTime: TimeText = Field("", description="最后活动不早于；yyyy-MM-dd 或 yyyy-MM-dd HH:mm:ss", examples=[""])
    endTime: TimeText = Field("", description="最后活动不晚于；只写日期则到当天结束", examples=[""])
    page: Annotated[SafeInt, Field(ge=0, lt=ID_LIMIT // 100)] = Field(1, examples=[1])
    size: Annotated[SafeInt, Field(ge=0)] = Field(10, description="至多 100", examples=[10])
    isArtificial: Flag = Field(0, description="1 只看有客服接待的", examples=[0])
    filtrationId: OptionalPartyId = Field("", description="不看的人或会话", examples=[""])
    queryType: QueryTypeField = Field(QueryType.ALL, description="0 全部，1 未读，2 进行中，3 已结束", examples=[0])
    nameSearch: ShortText = Field("", description="对方姓名中的文字", examples=[""])
    before: Annotated[str, Field(pattern=r"^([0-9]{1,18}\.[0-9]{1,16})?$")] = Field(
        "",
        description="从这一项（它的 position）之后的一页，不填则从头；长列表用它翻页，比 page 快",
        examples=["7356731910989183.17"],
    )
    isTourist: Flag = Field(0, description="1 只看访客：医院自己系统的用户", examples=[0])

    @property
    def limit(self) -> int:
        """Return the page size."""
        return min(self.size or 10, 100)

    @property
    def offset(self) -> int:
        """Return how many entries precede the page."""
        return (max(self.page, 1) - 1) * self.limit

    @property
    def since(self) -> int:
        """Return the first instant of the period, 0 if it has no start."""
        return _parse_instant(self.startTime) if self.startTime else 0

    @property
    def until(self) -> int:
        """Return the first instant after the period, ID_LIMIT if it has no end."""
        if not self.endTime:
            return ID_LIMIT
        return _parse_instant(self.endTime) + (clock.SECOND if " " in self.endTime else clock.DAY)


def _parse_instant(text: str) -> int:
    day, _, time = text.partition(" ")
    hours, minutes, seconds = map(int, time.split(":")) if time else (0, 0, 0)
    return clock.to_instant(date.fromisoformat(day), timedelta(hours=hours, minutes=minutes, seconds=seconds))


class ListEntry(TypedDict):
    """A conversation; in userList, a person with the conversation that was active last."""

    sessionId: Annotated[str, Field(examples=[EXAMPLE_SESSION_ID])]
    chatGroupId: Annotated[str, Field(description="群的编号，不是群则为空", examples=[""])]
    msgType: Annotated[int, Field(description="1 通知，2 个人会话，3 客服会话，4 群", examples=[2])]
    conversationType: Annotated[int, Field(description="1 用户与用户，2 用户与客服，3 群", examples=[2])]
    state: Annotated[str, Field(description="waiting 排队，open 进行中，closed 已结束", examples=["open"])]
    userId: Annotated[str, Field(description="对方；群、通知与排队时为空", examples=["3"])]
    userType: Annotated[int | None, Field(description="对方：1 客服，2 用户", examples=[1])]
    name: Annotated[str, Field(examples=["客服小李"])]
    phone: Annotated[str, Field(description="隐去中间四位；员工的为空", examples=["138****0001"])]
    photo: Annotated[str, Field(description="30 分钟有效，没有则为空", examples=[""])]
    unread: Annotated[int, Field(examples=[2])]
    lastMessageId: Annotated[str, Field(examples=[EXAMPLE_MESSAGE_ID])]
    lastMessage: Annotated[str, Field(description="已撤回为空", examples=["请空腹，八点以前。"])]
    lastItemType: Annotated[int, Field(examples=[0])]
    lastTime: Annotated[str, Field(description="最后活动", examples=[EXAMPLE_TIME])]
    position: Annotated[str, Field(description="在列表中的位置，见请求的 before", examples=["7356731910989183.17"])]
