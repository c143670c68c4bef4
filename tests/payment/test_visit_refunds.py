"""refund_visit: until the patient was seen it frees the slot, afterwards an admin refunds, each time once."""

from typing import Any

import pytest

from chalicelib.billing.bookings import BookingStatus, PaymentState
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.booking_client import freeze_clock, get_iso_date, list_rows, mark_seen
from tests.support.payment_client import Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

CANCELLED = {"book_status": BookingStatus.CANCELLED, "refund": 12.5, "receipt_no": ""}


@pytest.fixture
def visit(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> str:
    """Pay a booking and register it on its day; return the bookId."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    freeze_clock(monkeypatch, "07:30", ahead=1)
    assert checkout.department.register(book_id=book_id).status == 200
    return book_id


def test_waiting_patient_is_refunded_and_the_slot_is_free(checkout: Checkout, pay: WeChatPay, visit: str) -> None:
    department = checkout.department
    [schedule_id] = [one["schedule_id"] for one in list_rows("schedules", checkout.hospital)]
    assert department.list_free_serial_nos(schedule_id) == [2, 3, 4]
    for _ in range(2):
        assert department.refund_visit(visit).data == {"book_id": visit, **CANCELLED}
    checkout.run_refund_jobs()
    assert [one.fee for one in pay.refunds.values()] == [1250]
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    assert department.get_booking(checkout.hospital.lin, visit).data["cancelReason"] == "desk"
    entries = [one for one in list_rows("audit_log", checkout.hospital) if one["action"] == "refund_visit"]
    assert len(entries) == 1


def test_seen_visit_is_refunded_by_an_admin_and_stays(checkout: Checkout, pay: WeChatPay, visit: str) -> None:
    department, hospital = checkout.department, checkout.hospital
    mark_seen(visit)
    rejected = department.refund_visit(visit)
    assert (rejected.status, rejected.error) == (403, "患者已就诊，只能由管理员退费")
    for _ in range(2):
        refunded = department.refund_visit(visit, hospital.admin).data
        assert refunded == {"book_id": visit, **CANCELLED, "book_status": BookingStatus.REGISTERED}
    checkout.run_refund_jobs()
    assert [(one.fee, one.reason) for one in pay.refunds.values()] == [(1250, "医院退费")]
    [number] = pay.refunds
    pay.settle_refund(number)
    checkout.make_checks_due()
    checkout.run_refund_jobs()
    details = department.get_booking(hospital.lin, visit).data
    assert (details["bookStatus"], details["visiCharge"], details["refundStatus"]) == (
        BookingStatus.REGISTERED,
        PaymentState.UNPAID,
        "success",
    )
    assert checkout.request_order(visit).error == "该预约已支付", "it is not to be paid again"


def test_after_the_day_a_visit_counts_as_seen(checkout: Checkout, visit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert checkout.department.refund_visit(visit).status == 403
    assert checkout.department.refund_visit(visit, checkout.hospital.admin).data["refund"] == 12.5


def test_concurrent_refunds_are_one(checkout: Checkout, visit: str) -> None:
    mark_seen(visit)
    results: list[Any] = []
    run_in_threads(
        [lambda: results.append(checkout.department.refund_visit(visit, checkout.hospital.admin).status)] * 4
    )
    assert results == [200] * 4
    assert [one["fee"] for one in checkout.list_refunds(visit)] == [1250]


def test_seen_while_it_is_refunded(checkout: Checkout, visit: str) -> None:
    """Whichever is first decides; a refund is made once."""
    run_in_threads([lambda: mark_seen(visit), lambda: checkout.department.refund_visit(visit)])
    status, _ = checkout.get_booking_state(visit)
    assert len(checkout.list_refunds(visit)) == (status == BookingStatus.CANCELLED)


def test_visit_paid_at_the_till_is_cancelled_without_a_refund(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    department = checkout.department
    book_id = checkout.book_slot()
    freeze_clock(monkeypatch, "07:30", ahead=1)
    department.register(book_id=book_id)
    department.record_receipt(book_id, "SF-7")
    expected = {"book_id": book_id, "book_status": BookingStatus.CANCELLED, "refund": 0.0, "receipt_no": "SF-7"}
    assert department.refund_visit(book_id).data == expected
    assert checkout.list_refunds(book_id) == []


def test_what_is_rejected(checkout: Checkout, visit: str) -> None:
    department, hospital = checkout.department, checkout.hospital
    booked = checkout.book_slot(hospital.wang, date=get_iso_date(1))
    assert department.refund_visit(booked).error == "该预约未挂号，请用取消预约退费"
    assert department.refund_visit(999_999_999).status == 404
    invalid: list[dict[str, Any]] = [{"book_id": "x"}, {"reason": ""}, {"reason": None}]
    for fields in invalid:
        response = department.refund_visit(**{"book_id": visit, **fields})
        assert (response.status, response.error.partition("：")[0]) == (400, next(iter(fields)))
    for person in (hospital.lin, hospital.chen):
        assert department.refund_visit(visit, person).status == 403
    assert checkout.list_refunds(visit) == []


def test_unpaid_visit_is_cancelled_while_the_patient_waits_and_not_afterwards(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    department, hospital = checkout.department, checkout.hospital
    schedule_id = department.create_schedule()
    waiting, seen = (
        department.book_slot(one, schedule_id, at) for at, one in enumerate((hospital.lin, hospital.wang), 1)
    )
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for book_id in (waiting, seen):
        department.register(book_id=book_id)
    mark_seen(seen)
    assert department.refund_visit(waiting).data["refund"] == 0.0
    assert department.refund_visit(seen, hospital.admin).error == "该预约没有可退的微信支付"
