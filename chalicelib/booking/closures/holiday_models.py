"""Requests and responses of the endpoints for holidays and make-up days."""

from typing import Annotated

from pydantic import Field

from chalicelib.booking.closures.models import ClosurePreview
from chalicelib.booking.schedules.models import Weekday
from chalicelib.http.fields import Date, Id, IdText, SafeInt, WireModel

WEEKDAY_DESCRIPTION = "按周几的每周排班出诊：1 周一至 7 周日"
Year = Annotated[SafeInt, Field(ge=2000, le=2100)]
HolidayName = Annotated[str, Field(min_length=1, max_length=16)]


class HolidayQuery(WireModel):
    """A year."""

    year: Year | None = Field(None, description="省略：今年", examples=[2036])


class ProposedMakeupDay(WireModel):
    """A day of a weekend on which people work instead, by the official list."""

    date: str = Field(examples=["2036-02-14"])
    weekday: int | None = Field(description=f"已设置的：{WEEKDAY_DESCRIPTION}；null：未设置", examples=[1])


class ProposedHoliday(ClosurePreview):
    """A holiday of the official list that is not over, and what closing the hospital would stop."""

    name: str = Field(examples=["春节"])
    from_date: str = Field(examples=["2036-02-05"])
    to_date: str = Field(description="最后一天", examples=["2036-02-11"])
    closure_id: str = Field(description="已确认的停诊安排；空：未确认", examples=["7"])
    makeup_days: list[ProposedMakeupDay] = Field(description="调休上班日，由管理员设置按周几出诊")


class HolidayProposals(WireModel):
    """The holidays of a year that the hospital can confirm."""

    year: int = Field(examples=[2036])
    published: bool = Field(description="false：没有该年的放假安排，不作建议", examples=[True])
    source: str = Field(description="国务院办公厅通知的文号，或没有建议的原因", examples=["国办发明电〔2035〕7号"])
    holidays: list[ProposedHoliday]


class ConfirmHolidaysRequest(WireModel):
    """Holidays on which the whole hospital is closed."""

    year: Year = Field(examples=[2036])
    holidays: Annotated[list[HolidayName], Field(min_length=1, max_length=20)] = Field(
        description="节日名称，见 holiday_proposals", examples=[["春节", "国庆节"]]
    )


class ConfirmedHoliday(WireModel):
    """The closure of a holiday, and how many schedules it has stopped now."""

    name: str = Field(examples=["春节"])
    closure_id: IdText = Field(examples=["7"])
    stopped: int = Field(description="本次停诊的排班数", examples=[4])


class SaveMakeupDayRequest(WireModel):
    """Request of save_makeup_day."""

    date: Date = Field(description="周六或周日", examples=["2036-02-16"])
    weekday: Weekday = Field(description=WEEKDAY_DESCRIPTION, examples=[1])


class SaveMakeupDayResult(WireModel):
    """The make-up day, and how many schedules it has."""

    makeup_id: IdText = Field(examples=["3"])
    schedules: int = Field(description="当日未停诊的排班数，含此前已有的", examples=[4])


class MakeupDayId(WireModel):
    """A request that names a make-up day."""

    makeup_id: Id = Field(examples=["3"])


class ListedMakeupDay(WireModel):
    """A make-up day that is not over."""

    makeup_id: IdText = Field(examples=["3"])
    date: str = Field(examples=["2036-02-16"])
    weekday: int = Field(description=WEEKDAY_DESCRIPTION, examples=[1])
