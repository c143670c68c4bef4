"""What crosses the wire where visitors look at schedules (tenant_service)."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.booking.schedules.models import TYPE
from chalicelib.http.fields import Date, Id, IdIfAny, IdText, PageAsked, PageNum, PageSize, Whole, Wire

PAGE_NO, PAGE_SIZE = AliasChoices("pageNo", "page_num"), AliasChoices("pageSize", "page_size")
DEPT, DOCTOR = AliasChoices("deptId", "dept_id"), AliasChoices("doctorId", "doctor_id")
STATUS = "1 可约，2 约满"
LINK = "30 分钟有效"
DAY = "2036-01-07"


class PageNoAsked(PageAsked):
    page_num: PageNum = Field(1, validation_alias=PAGE_NO, examples=[1])
    page_size: PageSize = Field(10, validation_alias=PAGE_SIZE, examples=[10])


class DepartmentAsked(PageNoAsked):
    dept_id: Id = Field(validation_alias=DEPT, examples=["1"])


class DayAsked(DepartmentAsked):
    day: Date = Field(validation_alias="date", examples=["2026-01-07"])


class DoctorsDayAsked(Wire):
    dept_id: Id = Field(validation_alias=DEPT, examples=["1"])
    doctor_id: IdIfAny = Field(None, validation_alias=DOCTOR, description="空：科室的普通门诊", examples=["3"])
    day: Date | None = Field(None, validation_alias="date", description="默认当天")


class ScheduleAsked(Wire):
    schedule_id: Id = Field(validation_alias=AliasChoices("scheduleId", "schedule_id"), examples=["12"])


class InfoAsked(Wire):
    dept_id: Id = Field(validation_alias=DEPT, examples=["1"])
    doctor_id: IdIfAny = Field(None, validation_alias=DOCTOR, description="空：科室的普通门诊", examples=["3"])
    days: Annotated[Whole, Field(ge=1, le=180)] = Field(7, description="明天起多少天", examples=[7])


class BookableDepartment(Wire):
    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])


class Offered(Wire):
    """Who sees patients: a doctor, or a department's general clinic; then the doctor's fields are empty."""

    doctorId: str = Field(examples=["3"])
    doctorName: str = Field(examples=["陈医生"])
    doctorTitle: str = Field(examples=["主任医师"])
    doctorDesp: str = Field(examples=["从医二十年。"])
    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])
    deptDesp: str = Field(examples=[""])


class OnDay(Offered):
    doctorAvatar: str = Field(description=LINK, examples=[""])
    deptAvatar: str = Field(description=LINK, examples=[""])
    date: str = Field(examples=[DAY])
    type: int = Field(description=TYPE, examples=[1])
    status: int = Field(description=STATUS, examples=[1])
    bookfee: float = Field(description="元；上下午不同时为较低者", examples=[12.5])


class OfDoctor(Offered):
    doctorAvatar: str = Field(description=LINK, examples=[""])
    deptPortrait: str = Field(description=LINK, examples=[""])
    status: int = Field(description=STATUS, examples=[1])


class Half(Wire):
    scheduleId: IdText = Field(examples=["12"])
    type: int = Field(description=TYPE, examples=[1])
    bookfee: float = Field(examples=[12.5])
    leftCount: int = Field(examples=[17])
    scheAdderss: str = Field(description="候诊地点", examples=["门诊楼二层 A 区"])


class Halves(Wire):
    date: str = Field(examples=[DAY])
    scheduleAM: Half | None = Field(description="null：不出诊")
    schedulePM: Half | None = Field(description="null：不出诊")


class FreeSlot(Wire):
    serialNo: int = Field(examples=[3])
    time: str = Field(examples=["08:24"])


class LeftOnDay(Wire):
    date: str = Field(examples=[DAY])
    leftCount: int = Field(description="0：已满", examples=[17])


class Info(Offered):
    doctorPortrait: str = Field(description=LINK, examples=[""])
    deptPortrait: str = Field(description=LINK, examples=[""])
    leftBookCountList: list[LeftOnDay] = Field(description="没有返回的日期没有排班，或还不能预约")
