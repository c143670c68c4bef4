"""Requests and responses of the endpoints for schedules that the hospital stops."""

from typing import Literal

from pydantic import Field

from chalicelib.booking.reservations.models import (
    BOOK_ID_ALIASES,
    EXAMPLE_DATETIME,
    SCHEDULE_ID_ALIASES,
    SERIAL_NO_ALIASES,
    BookId,
    SerialNo,
)
from chalicelib.booking.schedules.models import ScheduleId
from chalicelib.http.fields import Date, Id, IdText, OptionalId, OptionalReason, Reason, WireModel

REASON_DESCRIPTION = "停诊原因，患者可见；可省略"
REASON_EXAMPLE = "医生临时出诊安排调整"


class StopScheduleRequest(ScheduleId):
    """Request of stop_schedule."""

    reason: OptionalReason = Field(None, description=REASON_DESCRIPTION, examples=[REASON_EXAMPLE])


class SubstituteRequest(ScheduleId):
    """Request of substitute_doctor: who sees the patients of a schedule instead of its doctor."""

    doctor_id: Id = Field(description="替诊医生", examples=["3"])
    reason: OptionalReason = Field(None, description=REASON_DESCRIPTION, examples=[REASON_EXAMPLE])


class SubstituteResult(WireModel):
    """The schedule of the substitute, and how many bookings it got."""

    schedule_id: IdText = Field(examples=["12"])
    moved: int = Field(description="改由替诊医生接诊的预约数", examples=[3])


class BookIdQuery(WireModel):
    """A query that names a booking."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])


class AcceptAlternativeRequest(BookId):
    """Request of book/accept_alternative: a booking and, to have another slot than the one that is held, that slot."""

    schedule_id: OptionalId = Field(
        None, validation_alias=SCHEDULE_ID_ALIASES, description="省略：确认保留的号源", examples=["12"]
    )
    serial_no: SerialNo | None = Field(
        None, validation_alias=SERIAL_NO_ALIASES, description="与 scheduleId 同时填写", examples=[2]
    )


class AlternativeSlot(WireModel):
    """A free slot that the patient could have instead. It is not held."""

    scheduleId: IdText = Field(examples=["12"])
    serialNo: int = Field(examples=[3])
    treaTime: str = Field(examples=[EXAMPLE_DATETIME])
    deptName: str = Field(examples=["内科"])
    doctorName: str = Field(description="空：普通门诊", examples=["陈医生"])
    bookfee: float = Field(description="元", examples=[12.5])


class Alternatives(WireModel):
    """What the hospital offers for a booking whose schedule it has stopped. book/{bookId} shows the slot it has now."""

    bookId: IdText = Field(examples=["1024"])
    kind: Literal["", "substitute", "held"] = Field(
        description="空：没有停诊改约；substitute 替诊；held 已为患者保留另一号源，须确认", examples=["held"]
    )
    state: Literal["", "open", "accepted", "declined", "lapsed", "ended"] = Field(
        description="open 待确认，accepted 已确认，declined 已退号，lapsed 逾期未确认，ended 已失效", examples=["open"]
    )
    reason: str = Field(description="停诊原因", examples=[REASON_EXAMPLE])
    expiresTime: str | None = Field(
        description="held：确认期限，逾期退号退费；substitute：就诊时间，此前可退号", examples=[EXAMPLE_DATETIME]
    )
    others: list[AlternativeSlot] = Field(description="其他可选号源，最多两个，未保留")


class ClosureDays(WireModel):
    """Days on which a doctor, or the whole hospital, sees no patients."""

    doctor_id: OptionalId = Field(None, description="空：全院", examples=["3"])
    from_date: Date = Field(examples=["2036-02-05"])
    to_date: Date = Field(description="最后一天", examples=["2036-02-11"])


class SaveClosureRequest(ClosureDays):
    """Request of save_closure."""

    reason: Reason = Field(description="患者可见", examples=["春节放假"])


class SaveClosureResult(WireModel):
    """The closure, and how many schedules it has stopped now."""

    closure_id: IdText = Field(examples=["7"])
    stopped: int = Field(description="本次停诊的排班数", examples=[4])


class ClosurePreview(WireModel):
    """What a closure would stop."""

    schedules: int = Field(description="将停诊的排班", examples=[4])
    bookings: int = Field(description="受影响的预约，含已挂号未就诊的", examples=[23])
    paid: int = Field(description="其中已付费的", examples=[20])
    paid_fee: float = Field(description="已付费用合计（元）", examples=[250.0])
    no_account: int = Field(description="患者没有账号、只能由前台通知的", examples=[1])


class ClosureId(WireModel):
    """A request that names a closure."""

    closure_id: Id = Field(examples=["7"])


class ListedClosure(WireModel):
    """A closure that is not over."""

    closure_id: IdText = Field(examples=["7"])
    doctor_id: str = Field(description="空：全院", examples=["3"])
    doctor_name: str = Field(examples=["陈医生"])
    from_date: str = Field(examples=["2036-02-05"])
    to_date: str = Field(examples=["2036-02-11"])
    reason: str = Field(examples=["春节放假"])
