"""What crosses the wire where patients book (book_service), and where staff receive them."""

from typing import Annotated

from pydantic import AliasChoices, Field, WithJsonSchema

from chalicelib.booking.schedules.models import TYPE_DESCRIPTION
from chalicelib.http.fields import Date, Id, IdText, OptionalId, PageQuery, SafeInt, WireModel

SCHEDULE_ID_ALIASES, MEMBER_ID_ALIASES = (
    AliasChoices("scheduleId", "schedule_id"),
    AliasChoices("memberId", "member_id"),
)
BOOK_ID_ALIASES = AliasChoices("bookId", "book_id", "appo_id")
STATUS_DESCRIPTION = "0 已预约，1 已取消，2 已挂号，3 已失约"
CHARGE_DESCRIPTION = "1 未收费，2 已收费"
EXAMPLE_DATETIME = "2036-01-07 08:24:00"

PathBookId = Annotated[
    Id, WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,14}$", "examples": ["1024"]})
]  # in a path
SerialNo = Annotated[SafeInt, Field(ge=1, le=500)]


class SlotAsked(WireModel):
    schedule_id: Id = Field(validation_alias=SCHEDULE_ID_ALIASES, examples=["12"])
    serial_no: SerialNo = Field(validation_alias=AliasChoices("serialNo", "serial_no"), examples=[3])


class Submitted(SlotAsked):
    serial_no: SerialNo = Field(validation_alias=AliasChoices("serialNo", "serial_no"), examples=[2])
    member_id: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])


class HalfDayAsked(WireModel):
    schedule_id: Id = Field(validation_alias=SCHEDULE_ID_ALIASES, examples=["12"])
    member_id: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])


class BookId(WireModel):
    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])


class Presubmitted(WireModel):
    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    doctor: str = Field(description="空：科室的普通门诊", examples=["陈医生"])
    appoTime: str = Field(examples=[EXAMPLE_DATETIME])
    bookfee: float = Field(description="元", examples=[12.5])


class Booked(WireModel):
    bookId: IdText = Field(examples=["1024"])


class BookingFields(WireModel):
    """What the list and the page of one have in common."""

    bookId: IdText = Field(examples=["1024"])
    treaTime: str = Field(examples=[EXAMPLE_DATETIME])
    bookStatus: int = Field(description=STATUS_DESCRIPTION, examples=[0])
    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    doctorId: str = Field(description="空：普通门诊", examples=["3"])
    doctorName: str = Field(examples=["陈医生"])
    memberName: str = Field(examples=["林小雨"])
    visiCharge: int = Field(description=CHARGE_DESCRIPTION, examples=[1])
    cancelReason: str = Field(description="patient 本人取消，stopped 停诊，unpaid 逾期未付；空：未取消", examples=[""])


class ListedBook(BookingFields):
    visiSerialno: str = Field(description="挂号后的就诊序号", examples=[""])


class Book(BookingFields):
    bookCode: str = Field(examples=["20360107482913"])
    bookfee: float = Field(description="元", examples=[12.5])
    treaNo: int = Field(examples=[3])
    treaArea: str = Field(examples=["门诊楼二层 A 区"])
    memberGender: str = Field(description="男、女、未知", examples=["女"])
    memberAge: str = Field(examples=["36岁"])
    memberIDNo: str = Field(description="中间由前端隐藏", examples=[""])
    bookTime: str = Field(examples=["2036-01-05 09:30:00"])


class Arrived(WireModel):
    """One of the two says which booking."""

    book_id: OptionalId = Field(None, validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    book_code: Annotated[str, Field(pattern=r"^([0-9]{14})?$")] = Field(
        "", validation_alias=AliasChoices("book_code", "bookCode"), examples=[""]
    )


class Registered(WireModel):
    book_id: IdText = Field(examples=["1024"])
    visi_serialno: str = Field(examples=["3"])


class DayBooksQuery(PageQuery):
    date: Date = Field(examples=["2036-01-07"])
    dept_id: OptionalId = Field(None, examples=["1"])
    doctor_id: OptionalId = Field(None, description="医生只能看自己的和本科室普通门诊的", examples=["3"])


class DayBook(WireModel):
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
