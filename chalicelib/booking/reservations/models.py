"""Requests and responses of the endpoints with which patients book (book_service)."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, WithJsonSchema

from chalicelib.booking.schedules.models import TYPE_DESCRIPTION
from chalicelib.http.fields import Id, IdText, SafeInt, WireModel

SCHEDULE_ID_ALIASES = AliasChoices("scheduleId", "schedule_id")
MEMBER_ID_ALIASES = AliasChoices("memberId", "member_id")
SERIAL_NO_ALIASES = AliasChoices("serialNo", "serial_no")
BOOK_ID_ALIASES = AliasChoices("bookId", "book_id", "appo_id")
STATUS_DESCRIPTION = "0 已预约，1 已取消，2 已挂号，3 已失约"
CHARGE_DESCRIPTION = "1 未收费，2 已收费；全额退款成功后又为 1"
REFUND_STATUS_DESCRIPTION = "空：无退款；processing 退款中，success 已原路退回，abnormal 退款异常，请联系医院"
EXAMPLE_DATETIME = "2036-01-07 08:24:00"

# In a path; its schema cannot be inferred.
PathBookId = Annotated[Id, WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]{0,14}$", "examples": ["1024"]})]
SerialNo = Annotated[SafeInt, Field(ge=1, le=500)]


class PresubmitRequest(WireModel):
    """Request of book/presubmit: a slot."""

    schedule_id: Id = Field(validation_alias=SCHEDULE_ID_ALIASES, examples=["12"])
    serial_no: SerialNo = Field(validation_alias=SERIAL_NO_ALIASES, examples=[3])


class SubmitRequest(PresubmitRequest):
    """Request of book/submit: a slot and the member for whom it is booked."""

    serial_no: SerialNo = Field(validation_alias=SERIAL_NO_ALIASES, examples=[2])
    member_id: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])


class HalfDayCheckRequest(WireModel):
    """Request of book/schedule: a schedule and a member."""

    schedule_id: Id = Field(validation_alias=SCHEDULE_ID_ALIASES, examples=["12"])
    member_id: Id = Field(validation_alias=MEMBER_ID_ALIASES, examples=["1"])


class RescheduleRequest(PresubmitRequest):
    """Request of book/reschedule: a booking, and the slot that it is moved to."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    serial_no: SerialNo = Field(validation_alias=SERIAL_NO_ALIASES, examples=[2])


class RescheduleResult(WireModel):
    """The booking, and the slot that it has now."""

    bookId: IdText = Field(examples=["1024"])
    treaTime: str = Field(examples=[EXAMPLE_DATETIME])
    treaNo: int = Field(examples=[2])


class BookId(WireModel):
    """A request that names a booking."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])


class PresubmitResult(WireModel):
    """What the confirm page shows."""

    deptId: IdText = Field(examples=["1"])
    deptName: str = Field(examples=["内科"])
    type: int = Field(description=TYPE_DESCRIPTION, examples=[1])
    doctor: str | None = Field(description="null：科室的普通门诊", examples=["陈医生"])
    appoTime: str = Field(examples=[EXAMPLE_DATETIME])
    bookfee: float = Field(description="元", examples=[12.5])


class SubmitResult(WireModel):
    """The booking of the slot."""

    bookId: IdText = Field(examples=["1024"])


class BookingFields(WireModel):
    """Fields of a booking in the list and in the details."""

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
    cancelReason: str = Field(
        description="patient 本人取消，stopped 停诊，unpaid 逾期未付，lapsed 候补逾期未确认，desk 前台取消；空：未取消",
        examples=[""],
    )
    confirmBy: str = Field(description="候补到的号须在此时间前确认；空：无需确认", examples=[""])
    refundStatus: Literal["", "processing", "success", "abnormal"] = Field(
        description=REFUND_STATUS_DESCRIPTION, examples=[""]
    )
    refundAmount: float | None = Field(description="元；null：无退款", examples=[None])
    refundTime: str | None = Field(description="退款成功的时间；null：没有或尚未成功", examples=[None])


class ListedBook(BookingFields):
    """A booking in the list."""

    visiSerialno: str = Field(description="挂号后的就诊序号", examples=[""])


class Book(BookingFields):
    """The details of a booking."""

    bookCode: str = Field(examples=["20360107482913"])
    bookfee: float = Field(description="元", examples=[12.5])
    treaNo: int = Field(examples=[3])
    treaArea: str = Field(examples=["门诊楼二层 A 区"])
    memberGender: str = Field(description="男、女、未知", examples=["女"])
    memberAge: str = Field(examples=["36岁"])
    memberIDNo: str = Field(description="中间由前端隐藏；就诊人已删除或解除关联：空", examples=[""])
    bookTime: str = Field(examples=["2036-01-05 09:30:00"])
