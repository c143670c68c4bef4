"""Requests and responses of the endpoints with which the front desk receives patients (manager_service)."""

from typing import Annotated

from pydantic import AliasChoices, Field

from chalicelib.booking.reservations.models import BOOK_ID_ALIASES, CHARGE_DESCRIPTION, STATUS_DESCRIPTION
from chalicelib.booking.schedules.models import TYPE_DESCRIPTION
from chalicelib.http.fields import Date, IdText, OptionalId, PageQuery, WireModel


class RegisterRequest(WireModel):
    """A booking by its id or by its code; one of the two is required."""

    book_id: OptionalId = Field(None, validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    book_code: Annotated[str, Field(pattern=r"^([0-9]{14})?$")] = Field(
        "", validation_alias=AliasChoices("book_code", "bookCode"), examples=["", "20360107482913"]
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
