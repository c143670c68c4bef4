"""Requests and responses of the public calendar (tenant_service)."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.booking.schedules.models import TYPE_DESCRIPTION
from chalicelib.http.fields import Date, Id, IdText, OptionalId, PageNum, PageQuery, PageSize, SafeInt, WireModel

PAGE_NO_ALIASES, PAGE_SIZE_ALIASES = AliasChoices("pageNo", "page_num"), AliasChoices("pageSize", "page_size")
DEPT_ID_ALIASES, DOCTOR_ID_ALIASES = AliasChoices("deptId", "dept_id"), AliasChoices("doctorId", "doctor_id")
STATUS_DESCRIPTION = "1 可约，2 约满"
LINK_DESCRIPTION = "30 分钟有效"
EXAMPLE_DATE = "2036-01-07"


class PageNoQuery(PageQuery):
    """Page of a list; both spellings of the parameters are accepted."""

    page_num: PageNum = Field(1, validation_alias=PAGE_NO_ALIASES, examples=[1])
    page_size: PageSize = Field(10, validation_alias=PAGE_SIZE_ALIASES, examples=[10])


class DepartmentQuery(PageNoQuery):
    """A department and a page."""

    dept_id: Id = Field(validation_alias=DEPT_ID_ALIASES, examples=["1"])


class DepartmentDayQuery(DepartmentQuery):
    """A department, a day and a page."""

    day: Date = Field(validation_alias="date", examples=["2026-01-07"])


class DoctorDayQuery(WireModel):
    """A doctor or the general clinic of a department, and a day."""

    dept_id: Id = Field(validation_alias=DEPT_ID_ALIASES, examples=["1"])
    doctor_id: OptionalId = Field(
        None, validation_alias=DOCTOR_ID_ALIASES, description="空：科室的普通门诊", examples=["3"]
    )
    day: Date | None = Field(None, validation_alias="date", description="默认当天")


class ScheduleQuery(WireModel):
    """A query that names a schedule."""

    schedule_id: Id = Field(validation_alias=AliasChoices("scheduleId", "schedule_id"), examples=["12"])


class DoctorInfoQuery(WireModel):
    """A doctor or the general clinic of a department, and a number of days from tomorrow on."""

    dept_id: Id = Field(validation_alias=DEPT_ID_ALIASES, examples=["1"])
    doctor_id: OptionalId = Field(
        None, validation_alias=DOCTOR_ID_ALIASES, description="空：科室的普通门诊", examples=["3"]
    )
    days: Annotated[SafeInt, Field(ge=1, le=180)] = Field(7, description="明天起多少天", examples=[7])


class BookableDepartment(WireModel):
    """A department in the list."""

    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])


class DoctorAndDepartment(WireModel):
    """A doctor and their department. For the general clinic of the department, the doctor's fields are empty."""

    doctorId: str = Field(examples=["3"])
    doctorName: str = Field(examples=["陈医生"])
    doctorTitle: str = Field(examples=["主任医师"])
    doctorDesp: str = Field(examples=["从医二十年。"])
    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])
    deptDesp: str = Field(examples=[""])


class DoctorOnDay(DoctorAndDepartment):
    """A doctor who sees patients on a day, with one type of schedules."""

    doctorAvatar: str = Field(description=LINK_DESCRIPTION, examples=[""])
    deptAvatar: str = Field(description=LINK_DESCRIPTION, examples=[""])
    date: str = Field(examples=[EXAMPLE_DATE])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    status: int = Field(description=STATUS_DESCRIPTION, examples=[1])
    bookfee: float = Field(description="元；上下午不同时为较低者", examples=[12.5])


class BookableDoctor(DoctorAndDepartment):
    """A doctor who sees patients on the days that can be booked."""

    doctorAvatar: str = Field(description=LINK_DESCRIPTION, examples=[""])
    deptPortrait: str = Field(description=LINK_DESCRIPTION, examples=[""])
    status: int = Field(description=STATUS_DESCRIPTION, examples=[1])


class HalfDayOffer(WireModel):
    """A schedule and the number of its remaining slots."""

    scheduleId: IdText = Field(examples=["12"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    bookfee: float = Field(examples=[12.5])
    leftCount: int = Field(examples=[17])
    scheAdderss: str = Field(description="候诊地点", examples=["门诊楼二层 A 区"])
    releaseTime: str = Field(description="放号时间，之前不能预约；空：已放号", examples=["", "2035-12-31 08:00:00"])


class DoctorDay(WireModel):
    """The two half-days of a doctor on a day."""

    date: str = Field(examples=[EXAMPLE_DATE])
    scheduleAM: HalfDayOffer | None = Field(description="null：不出诊")
    schedulePM: HalfDayOffer | None = Field(description="null：不出诊")


class FreeSlot(WireModel):
    """A slot that can be booked."""

    serialNo: int = Field(examples=[3])
    time: str = Field(examples=["08:24"])


class RemainingOnDay(WireModel):
    """The number of remaining slots on a day."""

    date: str = Field(examples=[EXAMPLE_DATE])
    leftCount: int = Field(description="0：已满", examples=[17])


class DoctorInfo(DoctorAndDepartment):
    """A doctor and the remaining slots of the coming days."""

    doctorPortrait: str = Field(description=LINK_DESCRIPTION, examples=[""])
    deptPortrait: str = Field(description=LINK_DESCRIPTION, examples=[""])
    leftBookCountList: list[RemainingOnDay] = Field(description="没有返回的日期没有排班，或还不能预约")
