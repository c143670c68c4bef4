"""request_refund, approve_refund, reject_refund: a second person above an amount, and each refund once."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.billing.bookings import BookingStatus
from tests.support import factories
from tests.support.admin_client import list_all, read_list, send
from tests.support.booking_client import get_iso_date
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.payment_client import BOOKED_PAID, Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
REASON = "检查未做"


@pytest.fixture
def paid(checkout: Checkout) -> str:
    """A paid booking of 12.5 yuan; return its bookId."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    return book_id


@pytest.fixture
def second_admin(checkout: Checkout) -> Person:
    return factories.create_staff(checkout.tenant_id, "13900000099", "第二管理员", "admin")


def request(person: Person, book_id: Any, amount: Any = 5, key: str = "", **fields: Any) -> ApiResponse:
    headers = {"Idempotency-Key": key} if key else None
    return send(person, "request_refund", headers, **{"book_id": book_id, "amount": amount, "reason": REASON, **fields})


def require_approval(hospital: Hospital, above: float = 0) -> None:
    assert send(hospital.admin, "save_refund_rules", approval_above=above).data is None


def list_fees(checkout: Checkout, book_id: str) -> list[int]:
    return [one["fee"] for one in checkout.list_refunds(book_id)]


def list_audited(hospital: Hospital, action: str = "") -> list[dict[str, Any]]:
    entries = read_list(hospital.admin, "audit_log", action=action).data["list"]
    return [one for one in entries if "refund" in one["action"]]


def test_small_refund_is_made_at_once(checkout: Checkout, paid: str) -> None:
    hospital = checkout.hospital
    found = request(hospital.desk, paid).data
    assert (found["state"], found["amount"], found["requested_by"]) == ("done", 5.0, str(hospital.desk.user_id))
    assert (found["decided_by"], found["reason"]) == ("", REASON)
    checkout.run_refund_jobs()
    assert [(one.fee, one.reason) for one in checkout.wechat_pay.refunds.values()] == [(500, "医院退费")]
    assert checkout.get_booking_state(paid) == BOOKED_PAID
    [entry] = list_audited(hospital)
    assert (entry["actor"], entry["action"], entry["subject"], entry["reason"], entry["address"]) == (
        *(hospital.desk.principal, "request_refund", f"booking:{paid}", REASON),
        "203.0.113.7",
    )
    assert entry["detail"] == {"request_id": int(found["request_id"]), "fee": 500, "after": "done"}


def test_rest_is_refunded_and_nothing_beyond(checkout: Checkout, paid: str) -> None:
    desk = checkout.hospital.desk
    assert request(desk, paid, 5).status == request(desk, paid, 7.5).status == 200
    response = request(desk, paid, 0.01)
    assert (response.status, response.error) == (409, "已退 12.50 元，最多还可退 0.00 元")
    assert list_fees(checkout, paid) == [500, 750]


def test_double_click_is_one_refund(checkout: Checkout, paid: str) -> None:
    first, second = (request(checkout.hospital.desk, paid).data for _ in range(2))
    assert first == second
    assert list_fees(checkout, paid) == [500]


def test_same_amount_later_or_by_another_person_is_another_refund(
    checkout: Checkout, paid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request(checkout.hospital.desk, paid)
    request(checkout.hospital.admin, paid)
    later = clock.now() + 6 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert request(checkout.hospital.desk, paid, 2.5).status == 200
    assert request(checkout.hospital.desk, paid, 2.5, reason="另一项检查未做").error.endswith("最多还可退 0.00 元")
    assert list_fees(checkout, paid) == [500, 500, 250]


def test_idempotency_key_names_one_refund(checkout: Checkout, paid: str) -> None:
    desk = checkout.hospital.desk
    first, second = (request(desk, paid, key="a").data for _ in range(2))
    assert first == second
    assert request(desk, paid, key="b").data["request_id"] != first["request_id"]
    response = request(desk, paid, 1, key="a")
    assert (response.status, response.error) == (409, "Idempotency-Key 已用于另一笔退款")
    assert list_fees(checkout, paid) == [500, 500]


def test_concurrent_double_clicks_are_one_refund(checkout: Checkout, paid: str) -> None:
    results: list[Any] = []
    run_in_threads([lambda: results.append(request(checkout.hospital.desk, paid).data["request_id"])] * 4)
    assert len(results) == 4
    assert len({*results}) == 1
    assert list_fees(checkout, paid) == [500]


def test_large_refund_waits_for_another_admin(checkout: Checkout, paid: str, second_admin: Person) -> None:
    hospital = checkout.hospital
    require_approval(hospital, 4.99)
    found = request(hospital.admin, paid).data
    assert (found["state"], list_fees(checkout, paid)) == ("pending", [])
    own = send(hospital.admin, "approve_refund", request_id=found["request_id"])
    assert (own.status, own.error) == (403, "须由另一名管理员批准")
    assert send(hospital.desk, "approve_refund", request_id=found["request_id"]).status == 403
    for _ in range(2):
        approved = send(second_admin, "approve_refund", request_id=found["request_id"]).data
        assert (approved["state"], approved["decided_by_name"]) == ("done", "第二管理员")
    assert list_fees(checkout, paid) == [500]
    [entry] = list_audited(hospital, "approve_refund")
    assert entry["detail"] == {
        "request_id": int(found["request_id"]),
        "fee": 500,
        "before": "pending",
        "after": "done",
    }
    rejected = send(second_admin, "reject_refund", request_id=found["request_id"], reason="金额有误")
    assert (rejected.status, rejected.error) == (409, "该退款已提交，不能驳回")


def test_rejected_request_stays_rejected(checkout: Checkout, paid: str, second_admin: Person) -> None:
    hospital = checkout.hospital
    require_approval(hospital)
    request_id = request(hospital.desk, paid).data["request_id"]
    for _ in range(2):
        found = send(hospital.admin, "reject_refund", request_id=request_id, reason="金额有误").data
        assert (found["state"], found["reject_reason"]) == ("rejected", "金额有误")
    response = send(second_admin, "approve_refund", request_id=request_id)
    assert (response.status, response.error) == (409, "该退款申请已驳回")
    assert list_fees(checkout, paid) == []
    assert len(list_audited(hospital, "reject_refund")) == 1


def test_approval_and_rejection_at_the_same_moment(checkout: Checkout, paid: str, second_admin: Person) -> None:
    hospital = checkout.hospital
    require_approval(hospital)
    request_id = request(hospital.desk, paid).data["request_id"]
    run_in_threads(
        [
            *[lambda: send(hospital.admin, "approve_refund", request_id=request_id)] * 2,
            lambda: send(second_admin, "reject_refund", request_id=request_id, reason="金额有误"),
        ]
    )
    [listed] = list_all(hospital.admin, "refund_requests")
    assert list_fees(checkout, paid) == ([500] if listed["state"] == "done" else [])


def test_what_was_refunded_meanwhile_cannot_be_approved(checkout: Checkout, paid: str) -> None:
    hospital = checkout.hospital
    require_approval(hospital, 10)
    request_id = request(hospital.desk, paid, 12.5).data["request_id"]
    assert checkout.department.cancel(hospital.lin, paid).status == 200
    response = send(hospital.admin, "approve_refund", request_id=request_id)
    assert (response.status, response.error) == (409, "已退 12.50 元，最多还可退 0.00 元")
    assert list_fees(checkout, paid) == [1250]
    assert checkout.get_booking_state(paid)[0] == BookingStatus.CANCELLED


def test_rules_are_read_saved_and_audited(hospital: Hospital) -> None:
    assert read_list(hospital.admin, "refund_rules").data == {"approval_above": 200.0}
    for _ in range(2):
        require_approval(hospital, 50)
    assert read_list(hospital.admin, "refund_rules").data == {"approval_above": 50.0}
    assert [one["detail"] for one in list_audited(hospital)] == [{"before": 20_000, "after": 5_000}]
    for value in (-1, "x", 0.001, None):
        response = send(hospital.admin, "save_refund_rules", approval_above=value)
        assert (response.status, response.error.partition("：")[0]) == (400, "approval_above")


def test_requests_are_listed(checkout: Checkout, paid: str, other_hospital: Hospital) -> None:
    hospital = checkout.hospital
    done = request(hospital.desk, paid).data
    require_approval(hospital)
    pending = request(hospital.desk, paid, 1).data
    assert list_all(hospital.desk, "refund_requests") == [pending, done]
    assert list_all(hospital.desk, "refund_requests", state="pending") == [pending]
    assert list_all(hospital.desk, "refund_requests", book_id=paid, state="done") == [done]
    assert list_all(hospital.desk, "refund_requests", to_date="2020-01-01") == []
    assert list_all(other_hospital.admin, "refund_requests") == []
    for name in ("state", "book_id", "before", "from_date", "page_size"):
        assert read_list(hospital.admin, "refund_requests", **{name: "-1"}).error.startswith(f"{name}：")


def test_what_is_rejected(checkout: Checkout, paid: str, other_hospital: Hospital) -> None:
    hospital = checkout.hospital
    for person in (hospital.lin, hospital.chen):
        assert request(person, paid).status == 403
    for person, book_id in ((other_hospital.admin, paid), (hospital.admin, 999_999_999)):
        response = request(person, book_id)
        assert (response.status, response.error) == (404, "预约不存在")
    unpaid = checkout.book_slot(hospital.wang, date=get_iso_date(2))
    assert request(hospital.desk, unpaid).error == "该预约没有可退的微信支付"
    invalid: list[tuple[str, Any]] = [
        *(("amount", one) for one in (0, -1, "x", 0.001, 99_999, None)),
        ("book_id", "x"),
        ("reason", "x"),
    ]
    for name, value in invalid:
        response = request(hospital.desk, **{"book_id": paid, "amount": 5, name: value})
        assert (response.status, response.error.partition("：")[0]) == (400, name), value
    require_approval(hospital)
    request_id = request(hospital.desk, paid).data["request_id"]
    for name in ("approve_refund", "reject_refund"):
        response = send(other_hospital.admin, name, request_id=request_id, reason="金额有误")
        assert (response.status, response.error) == (404, "退款申请不存在")
        assert send(hospital.admin, name, request_id="x", reason="金额有误").status == 400
    assert send(hospital.admin, "reject_refund", request_id=request_id, reason="").status == 400
    assert list_fees(checkout, paid) == []
