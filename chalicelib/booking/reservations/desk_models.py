"""Requests and responses of the endpoints with which staff book for patients (manager_service)."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from chalicelib.booking.reservations.models import BOOK_ID_ALIASES, SerialNo
from chalicelib.http.fields import Id, IdText, Reason, WireModel, empty_to_none

RECEIPT_PATTERN = r"^[A-Za-z0-9_/-]{1,32}$"
ReceiptNo = Annotated[str, Field(pattern=RECEIPT_PATTERN)]
OptionalReceiptNo = Annotated[ReceiptNo | None, BeforeValidator(empty_to_none)]
RECEIPT_DESCRIPTION = "医院收费处的收据号：已在收费处支付，由医院自行退费"


class AddBookingRequest(WireModel):
    """Request of add_booking: a patient file and a schedule."""

    pati_id: Id = Field(examples=["9"])
    schedule_id: Id = Field(examples=["12"])
    receipt_no: OptionalReceiptNo = Field(None, description=RECEIPT_DESCRIPTION, examples=["SF20360107-0012"])


class BookForPatientRequest(AddBookingRequest):
    """Request of book_for_patient: a patient file and a slot."""

    serial_no: SerialNo = Field(examples=[2])


class BookedForPatient(WireModel):
    """The booking that staff made."""

    book_id: IdText = Field(examples=["1024"])
    book_code: str = Field(examples=["20360107482913"])
    serial_no: int = Field(examples=[2])
    time: str = Field(examples=["2036-01-07 08:24:00"])
    has_account: bool = Field(description="false：患者没有账号，不会收到通知，也不能在线支付", examples=[True])


class CancelBookingRequest(WireModel):
    """Request of cancel_booking."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    reason: Reason = Field(examples=["患者来电取消"])


class RefundVisitRequest(CancelBookingRequest):
    """Request of refund_visit."""

    reason: Reason = Field(examples=["患者不再就诊"])


class VisitRefund(WireModel):
    """A visit that was refunded."""

    book_id: IdText = Field(examples=["1024"])
    book_status: int = Field(description="1 已取消，号源已释放；2 患者已就诊，只退费", examples=[1])
    refund: float = Field(description="原路退回的金额（元），含处理中的", examples=[12.5])
    receipt_no: str = Field(description="在收费处支付的收据号，请患者到收费处退费；空：没有", examples=[""])


class CancelledBooking(WireModel):
    """What the front desk has to do after a cancellation."""

    receipt_no: str = Field(description="在收费处支付的收据号，请患者到收费处退费；空：没有", examples=[""])


class RecordReceiptRequest(WireModel):
    """Request of record_receipt."""

    book_id: Id = Field(validation_alias=BOOK_ID_ALIASES, examples=["1024"])
    receipt_no: ReceiptNo = Field(description=RECEIPT_DESCRIPTION, examples=["SF20360107-0012"])
