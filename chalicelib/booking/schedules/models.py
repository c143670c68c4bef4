"""Requests and responses of the endpoints for schedules, weekly patterns and booking rules."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from chalicelib.billing.money import YuanAmount
from chalicelib.http.fields import (
    Boolean,
    Date,
    Id,
    IdText,
    OptionalId,
    PageQuery,
    SafeInt,
    WireModel,
    build_enum_schema,
    parse_choice,
)

TYPE_DESCRIPTION = "0 普通，1 专家"
HALF_DESCRIPTION = "AM 上午，PM 下午"
HalfDayCode = Literal["AM", "PM"]
ScheduleType = Annotated[Literal[0, 1], BeforeValidator(parse_choice), build_enum_schema(0, 1)]
Weekday = Annotated[Literal[1, 2, 3, 4, 5, 6, 7], BeforeValidator(parse_choice), build_enum_schema(1, 2, 3, 4, 5, 6, 7)]
Area = Annotated[str, Field(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]
RELEASE_DESCRIPTION = "提前几天放号，之前患者不能预约；空：只按 days_ahead"
OptionalDays = Annotated[
    Annotated[SafeInt, Field(ge=0, le=180)] | None, BeforeValidator(lambda value: None if value == "" else value)
]
ShareSize = Annotated[SafeInt, Field(ge=0, le=500)]
ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:00"])]


class ScheduleFields(WireModel):
    """Fields of a schedule or a pattern that is saved."""

    dept_id: Id = Field(examples=["1"])
    doctor_id: OptionalId = Field(None, description="空：科室的普通门诊", examples=["3"])
    half: HalfDayCode = Field(description=HALF_DESCRIPTION, examples=["AM"])
    type: ScheduleType = Field(0, description=TYPE_DESCRIPTION, examples=[1])
    bookfee: YuanAmount = Field(0, description="元", examples=[12.5])
    area: Area = Field("", description="候诊地点", examples=["门诊楼二层 A 区"])
    begin: ClockTime = Field(examples=["08:00"])
    end: ClockTime = Field(examples=["12:00"])
    slots: Annotated[SafeInt, Field(ge=1, le=500)] = Field(description="号源数", examples=[20])
    desk_slots: ShareSize = Field(0, description="其中最后几个只由前台预约", examples=[2])
    same_day_slots: ShareSize = Field(0, description="其中（前台号之前）几个只在就诊当天可预约", examples=[3])
    release_days: OptionalDays = Field(None, description=RELEASE_DESCRIPTION, examples=[7])
    release_time: ClockTime = Field("00:00", description="放号时间", examples=["08:00"])


class SaveScheduleRequest(ScheduleFields):
    """Request of save_schedule: a new schedule, or a change of the one with schedule_id."""

    schedule_id: OptionalId = Field(None, description="空：新增", examples=[""])
    date: Date = Field(examples=["2036-01-07"])


class SaveScheduleResult(WireModel):
    """The saved schedule."""

    schedule_id: IdText = Field(examples=["12"])


class ScheduleId(WireModel):
    """A request that names a schedule."""

    schedule_id: Id = Field(examples=["12"])


class SchedulesQuery(PageQuery):
    """Query of the list of schedules between two days, inclusive."""

    dept_id: OptionalId = Field(None, examples=["1"])
    doctor_id: OptionalId = Field(None, examples=["3"])
    from_date: Date = Field(examples=["2036-01-05"])
    to_date: Date = Field(examples=["2036-01-11"])


class ListedScheduleFields(WireModel):
    """Fields of a schedule or a pattern in a list."""

    dept_id: IdText = Field(examples=["1"])
    dept_name: str = Field(examples=["内科"])
    doctor_id: str = Field(description="空：普通门诊", examples=["3"])
    doctor_name: str = Field(examples=["陈医生"])
    half: str = Field(description=HALF_DESCRIPTION, examples=["AM"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    bookfee: float = Field(description="元", examples=[12.5])
    area: str = Field(examples=["门诊楼二层 A 区"])
    begin: str = Field(examples=["08:00"])
    end: str = Field(examples=["12:00"])
    slots: int = Field(examples=[20])
    desk_slots: int = Field(description="其中最后几个只由前台预约", examples=[2])
    same_day_slots: int = Field(description="其中几个只在就诊当天可预约", examples=[3])
    release_days: int | None = Field(description=RELEASE_DESCRIPTION.replace("空", "null"), examples=[7])
    release_time: str = Field(description="放号时间", examples=["08:00"])


class ListedSchedule(ListedScheduleFields):
    """A schedule in the list."""

    schedule_id: IdText = Field(examples=["12"])
    date: str = Field(examples=["2036-01-07"])
    booked: int = Field(description="已预约", examples=[3])
    stopped: bool = Field(description="已停诊", examples=[False])


class SavePatternRequest(ScheduleFields):
    """Request of save_schedule_pattern."""

    weekday: Weekday = Field(description="1 周一至 7 周日", examples=[1])


class SavePatternResult(WireModel):
    """The new pattern and the number of schedules that it created at once."""

    pattern_id: IdText = Field(examples=["5"])
    made: int = Field(description="随即生成的排班数", examples=[4])


class PatternId(WireModel):
    """A request that names a pattern."""

    pattern_id: Id = Field(examples=["5"])


class PatternsQuery(PageQuery):
    """Query of the list of patterns."""

    dept_id: OptionalId = Field(None, examples=["1"])
    doctor_id: OptionalId = Field(None, examples=["3"])


class ListedPattern(ListedScheduleFields):
    """A pattern in the list."""

    pattern_id: IdText = Field(examples=["5"])
    weekday: int = Field(description="1 周一至 7 周日", examples=[1])


class BookingRules(WireModel):
    """Booking rules; in a request, rules that are left out keep their values."""

    days_ahead: Annotated[SafeInt, Field(ge=0, le=180)] = Field(14, description="可预约今天起多少天", examples=[14])
    cancel_minutes: Annotated[SafeInt, Field(ge=0, le=10_080)] = Field(
        0, description="就诊前多少分钟截止取消", examples=[30]
    )
    cancel_workdays: Annotated[SafeInt, Field(ge=0, le=10)] = Field(
        0, description="就诊前几个工作日截止取消和改期，0 不按工作日", examples=[1]
    )
    cancel_hour: Annotated[SafeInt, Field(ge=0, le=23)] = Field(16, description="该工作日几点截止", examples=[16])
    daily_limit: Annotated[SafeInt, Field(ge=0, le=100)] = Field(
        5, description="每人每天最多预约次数（含已取消），0 不限", examples=[5]
    )
    pay_minutes: Annotated[SafeInt, Field(ge=0, le=10_080)] = Field(
        0, description="多少分钟未支付即释放，0 不释放", examples=[30]
    )
    missed_limit: Annotated[SafeInt, Field(ge=0, le=100)] = Field(
        3, description="90 天内爽约多少次后不能预约，0 不限", examples=[3]
    )
    weeks_ahead: Annotated[SafeInt, Field(ge=1, le=26)] = Field(4, description="每周排班提前生成的周数", examples=[4])
    half_day_rule: Boolean = Field(
        True, description="同一就诊人同一半天只能预约一次；false：不限，但须相隔 gap_minutes", examples=[True]
    )
    gap_minutes: Annotated[SafeInt, Field(ge=0, le=720)] = Field(
        60, description="同一就诊人两次就诊至少相隔多少分钟，0 不限", examples=[60]
    )
    hold_hours: Annotated[SafeInt, Field(ge=0, le=168)] = Field(
        24, description="停诊后为患者保留另一号源多少小时，0 不保留", examples=[24]
    )
    waitlist_limit: Annotated[SafeInt, Field(ge=0, le=20)] = Field(
        3, description="每人同时最多候补几个，0 不可候补", examples=[3]
    )
    offer_minutes: Annotated[SafeInt, Field(ge=5, le=1_440)] = Field(
        30, description="候补到的号须在多少分钟内确认", examples=[30]
    )
    offer_stop_minutes: Annotated[SafeInt, Field(ge=0, le=10_080)] = Field(
        120, description="就诊前多少分钟起不再候补", examples=[120]
    )
    quiet_from: Annotated[SafeInt, Field(ge=0, le=23)] = Field(
        22, description="从几点起不发微信和短信通知，也不通知候补患者；与 quiet_to 相等：不限", examples=[22]
    )
    quiet_to: Annotated[SafeInt, Field(ge=0, le=23)] = Field(7, description="到几点为止", examples=[7])
    reschedule_limit: Annotated[SafeInt, Field(ge=0, le=100)] = Field(
        3, description="每个预约患者最多可改期几次，0 不可改期", examples=[3]
    )
    checkin_minutes: Annotated[SafeInt, Field(ge=0, le=1_440)] = Field(
        60, description="就诊前多少分钟起可扫码签到", examples=[60]
    )
    segment_minutes: Annotated[SafeInt, Field(ge=5, le=720)] = Field(
        30, description="按多少分钟一段依次叫号，段内按签到先后", examples=[30]
    )
