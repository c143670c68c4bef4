"""Requests and responses of check-in and queues."""

from typing import Annotated, Literal

from pydantic import Field

from chalicelib.booking.reservations.models import BOOK_ID_ALIASES, EXAMPLE_DATETIME, BookId
from chalicelib.http.fields import Id, IdText, OptionalId, WireModel

EXAMPLE_CODE = "q7JkT2mVxW9cRzA4"
CODE_DESCRIPTION = "科室的签到码，即候诊区二维码的内容"
StateName = Literal["", "waiting", "called", "away", "seen", "ended"]
STATE_DESCRIPTION = (
    "空：未签到，waiting 等候，called 正在叫号，away 检查中（取得结果后再次签到即可回诊），seen 已就诊，"
    "ended 未就诊而队列已结束"
)


class CheckInRequest(BookId):
    """Request of book/check_in."""

    code: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description=CODE_DESCRIPTION, examples=[EXAMPLE_CODE]
    )


class QueuePlace(WireModel):
    """A patient's place in the queue."""

    bookId: IdText = Field(examples=["1024"])
    state: StateName = Field(description=STATE_DESCRIPTION, examples=["waiting"])
    before: int | None = Field(description="前面还有几位在等候，不含正在就诊的；null：不在等候", examples=[2])
    visiSerialno: str = Field(description="就诊序号；空：未签到", examples=["3"])
    treaArea: str = Field(description="候诊地点", examples=["门诊楼二层 A 区"])
    checkinFrom: str = Field(description="此时起可扫码签到", examples=["2036-01-07 07:24:00"])
    checkinUntil: str = Field(description="此时起不能再扫码签到", examples=[EXAMPLE_DATETIME])


class CheckinCodeQuery(WireModel):
    """A department."""

    dept_id: Id = Field(examples=["1"])


class CheckinCode(WireModel):
    """The code of a department by which patients check in."""

    dept_id: IdText = Field(examples=["1"])
    code: str = Field(description=f"{CODE_DESCRIPTION}；空：未启用，只能在前台签到", examples=[EXAMPLE_CODE])
    changed_time: str | None = Field(description="null：未启用", examples=[EXAMPLE_DATETIME])


class QueueQuery(WireModel):
    """A schedule."""

    schedule_id: Id = Field(examples=["12"])


class CallNextRequest(QueueQuery):
    """Request of queue/call_next."""

    current: OptionalId = Field(
        None, description="页面所见正在就诊者的 book_id，空：没有。与实际不符时不叫号，只返回队列", examples=[""]
    )


class CurrentPatientRequest(QueueQuery):
    """A patient in a queue; what does not fit their state changes nothing."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])


class QueuedPatient(WireModel):
    """A patient in a queue, as staff see it."""

    book_id: IdText = Field(examples=["1024"])
    serial_no: int = Field(examples=[3])
    pati_id: IdText = Field(examples=["9"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_age: str = Field(examples=["36岁"])
    time: str = Field(description="预约时间", examples=["08:24"])
    checkin_time: str = Field(description="签到时间；回诊：再次签到的时间", examples=[EXAMPLE_DATETIME])
    returning: bool = Field(description="true：回诊", examples=[False])
    calls: int = Field(description="已叫号次数", examples=[1])
    skips: int = Field(description="过号次数", examples=[0])


class Queue(WireModel):
    """The queue of a schedule."""

    schedule_id: IdText = Field(examples=["12"])
    current: QueuedPatient | None = Field(description="正在就诊；null：没有")
    waiting: list[QueuedPatient] = Field(description="等候，按叫号顺序")
    away: list[QueuedPatient] = Field(description="检查中，待回诊")
    seen: int = Field(description="已就诊人数", examples=[5])
    expected: int = Field(description="已预约未签到人数", examples=[4])
