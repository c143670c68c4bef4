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
from chalicelib.http.fields import Id, IdText, OptionalId, OptionalReason, WireModel

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
