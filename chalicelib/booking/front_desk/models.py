"""Requests and responses of the endpoints with which the front desk receives patients (manager_service)."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.booking.reservations.models import BOOK_ID_ALIASES, CHARGE_DESCRIPTION, STATUS_DESCRIPTION
from chalicelib.booking.schedules.models import TYPE_DESCRIPTION
from chalicelib.http.fields import Boolean, Date, IdText, OptionalId, OptionalReason, PageQuery, Reason, WireModel


class RegisterRequest(WireModel):
    """A booking by its id or by its code; one of the two is required."""

    book_id: OptionalId = Field(None, validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    book_code: Annotated[str, Field(pattern=r"^([0-9]{14})?$")] = Field(
        "", validation_alias=AliasChoices("book_code", "bookCode"), examples=["", "20360107482913"]
    )
    document_checked: Boolean = Field(
        False, description="true：已核对患者本人证件，同时核验其档案（同名的已核验档案会自动合并）", examples=[False]
    )
    reason: OptionalReason = Field(
        None,
        description="档案未核验又没有证件可核对时必填：放行的理由，记入操作日志",
        examples=["", "新生儿，尚无证件"],
    )


class RegisterResult(WireModel):
    """The registered booking and its serial number."""

    book_id: IdText = Field(examples=["1024"])
    visi_serialno: str = Field(examples=["3"])


class DayBookingsQuery(PageQuery):
    """Query of the list of a day's bookings."""

    date: Date = Field(examples=["2036-01-07"])
    dept_id: OptionalId = Field(None, examples=["1"])
    doctor_id: OptionalId = Field(None, description="医生只能看自己的和本科室普通门诊的", examples=["3"])


class DayBooking(WireModel):
    """A booking in the list of a day."""

    book_id: IdText = Field(examples=["1024"])
    book_code: str = Field(examples=["20360107482913"])
    book_status: int = Field(description=STATUS_DESCRIPTION, examples=[0])
    time: str = Field(examples=["08:24"])
    serial_no: int = Field(examples=[3])
    dept_name: str = Field(examples=["内科"])
    doctor_name: str = Field(description="空：普通门诊", examples=["陈医生"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    pati_id: IdText = Field(examples=["9"])
    pati_name: str = Field(examples=["林小雨"])
    pati_gender: int = Field(examples=[2])
    pati_age: str = Field(examples=["36岁"])
    pati_phone: str = Field(examples=["138****0001"])
    visi_charge: int = Field(description=CHARGE_DESCRIPTION, examples=[1])
    verified: bool = Field(description="false：就诊人身份未核验，请核对证件", examples=[True])
    conflict: bool = Field(
        description="true：该患者同一半天或同一医生有另一个预约（合并档案，或恢复半天限制之前预约），请与患者确认",
        examples=[False],
    )


class MissedBlockQuery(WireModel):
    """A patient or an account; one of the two is required."""

    pati_id: OptionalId = Field(None, description="已核验的患者：按患者统计", examples=["9"])
    user_id: OptionalId = Field(None, description="账号：其未核验就诊人的预约按账号统计", examples=["", "1"])


class MissedBlock(WireModel):
    """The missed visits (爽约) of a patient or an account."""

    blocked: bool = Field(description="true：暂时不能预约", examples=[False])
    missed: int = Field(description="已失约次数；解除之前的不计", examples=[0])
    missed_limit: int = Field(description="达到该次数后不能预约；0：不限", examples=[3])
    days: int = Field(description="统计最近多少天", examples=[90])
    cleared_time: str = Field(description="最近一次解除的时间；空：没有", examples=[""])


class ClearMissedBlockRequest(MissedBlockQuery):
    """A patient or an account whose missed visits no longer count."""

    reason: Reason = Field(examples=["患者当日住院，未能就诊"])
