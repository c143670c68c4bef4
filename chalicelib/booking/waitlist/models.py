"""Requests and responses of the waitlist."""

from pydantic import Field

from chalicelib.booking.calendar.models import DEPT_ID_ALIASES, DOCTOR_ID_ALIASES, PageNoQuery
from chalicelib.booking.reservations.models import MEMBER_ID_ALIASES, SCHEDULE_ID_ALIASES
from chalicelib.http.fields import Date, Id, IdText, OptionalId, PageQuery, WireModel

STATE_DESCRIPTION = (
    "waiting 候补中，offered 已候补到号待确认，paused 同次候补的另一天待确认，accepted 已确认，declined 已放弃，"
    "lapsed 逾期未确认，left 已退出，ended 已结束"
)


class JoinWaitlistRequest(WireModel):
    """A schedule, or the days of a doctor in a department, and the member who waits."""

    member_id: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])
    schedule_id: OptionalId = Field(
        None, validation_alias=SCHEDULE_ID_ALIASES, description="某个半天；或填 doctorId 等", examples=["12"]
    )
    dept_id: OptionalId = Field(None, validation_alias=DEPT_ID_ALIASES, examples=[""])
    doctor_id: OptionalId = Field(None, validation_alias=DOCTOR_ID_ALIASES, examples=[""])
    from_date: Date | None = Field(None, description="与 doctorId 一起填写")
    to_date: Date | None = Field(None, description="与 doctorId 一起填写")


class LeaveWaitlistRequest(WireModel):
    """An entry of the account."""

    entry_id: Id = Field(validation_alias="entryId", examples=["7"])


class WaitlistEntry(WireModel):
    """An entry, for one half-day."""

    entryId: IdText = Field(examples=["7"])
    scheduleId: IdText = Field(examples=["12"])
    state: str = Field(description=STATE_DESCRIPTION, examples=["waiting"])
    position: int = Field(description="前面的人数加一；0：不在候补中", examples=[3])
    bookId: str = Field(description="候补到的预约；空：没有", examples=[""])
    date: str = Field(examples=["2036-01-07"])
    half: str = Field(description="AM 上午，PM 下午", examples=["AM"])
    deptName: str = Field(examples=["内科"])
    doctorName: str = Field(description="空：普通门诊", examples=["陈医生"])
    memberName: str = Field(examples=["林小雨"])
    time: str = Field(description="加入候补的时间", examples=["2036-01-01 09:30:00"])


class WaitlistQuery(PageNoQuery):
    """A page of the account's entries."""


class ScheduleWaitlistQuery(PageQuery):
    """A page of the entries of a schedule."""

    schedule_id: Id = Field(examples=["12"])
