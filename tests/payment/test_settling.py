"""settle_refund, check_refund, check_payment: what replaces an UPDATE by hand."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.billing.refunds_due import RefundState
from chalicelib.payment import reconciliation
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.admin_client import read_list, send
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
REASON = "窗口现金退还，收据 T-17"


@pytest.fixture
def abnormal(checkout: Checkout, pay: WeChatPay) -> Row:
    """A refund that the patient's bank has rejected."""
    return make_refund(checkout, pay, "ABNORMAL")


def make_refund(checkout: Checkout, pay: WeChatPay, state: str = "") -> Row:
    """Pay, cancel and refund; let WeChat Pay report a state. Return the refund's row."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    if state:
        [number] = pay.refunds
        pay.settle_refund(number, state)
        checkout.make_checks_due()
        reconciliation.run()
    [refund] = checkout.list_refunds(book_id)
    return refund


def settle(hospital: Hospital, refund: Row, **fields: Any) -> Any:
    return send(hospital.admin, "settle_refund", **{"refund_id": refund["refund_id"], "reason": REASON, **fields})


def test_rejected_refund_is_ended_once(checkout: Checkout, abnormal: Row) -> None:
    hospital = checkout.hospital
    expected = {"refund_id": str(abnormal["refund_id"]), "state": "success", "by_wechat": False}
    for _ in range(2):
        assert settle(hospital, abnormal).data == expected
    [refund] = checkout.list_refunds(abnormal["book_id"])
    assert (refund["state"], bool(refund["done_at"])) == (RefundState.SUCCESS, True)
    assert checkout.list_ledger()[-1] == ("success", "person")
    assert checkout.list_ledger().count(("success", "person")) == 1
    [entry] = read_list(hospital.admin, "audit_log", action="settle_refund").data["list"]
    assert (entry["subject"], entry["reason"]) == (f"refund:{abnormal['refund_id']}", REASON)
    assert entry["detail"] == {"before": "abnormal", "after": "success", "fee": 1250}


def test_refund_that_wechat_has_made_is_not_paid_again(checkout: Checkout, pay: WeChatPay, abnormal: Row) -> None:
    pay.settle_refund(abnormal["out_refund_no"], "SUCCESS")
    for _ in range(2):
        assert settle(checkout.hospital, abnormal).data["by_wechat"] is True
    assert ("success", "person") not in checkout.list_ledger()
    assert read_list(checkout.hospital.admin, "audit_log", action="settle_refund").data["list"] == []


def test_refund_that_wechat_processes_again_is_not_ended(checkout: Checkout, pay: WeChatPay, abnormal: Row) -> None:
    pay.settle_refund(abnormal["out_refund_no"], "PROCESSING")
    response = settle(checkout.hospital, abnormal)
    assert (response.status, response.error) == (409, "微信正在处理这笔退款，请稍后再试")
    [refund] = checkout.list_refunds(abnormal["book_id"])
    assert refund["state"] == RefundState.ABNORMAL


def test_refund_that_was_not_rejected_is_not_ended(checkout: Checkout, pay: WeChatPay) -> None:
    refund = make_refund(checkout, pay)
    response = settle(checkout.hospital, refund)
    assert (response.status, response.error) == (409, "微信没有拒绝这笔退款，不能人工了结")


def test_rejected_request_is_ended_only_when_none_can_be_under_way(checkout: Checkout, pay: WeChatPay) -> None:
    pay.failures["refund"] = "TRADE_OVERDUE"
    refund = make_refund(checkout, pay)
    assert (refund["state"], refund["error"]) == (RefundState.PENDING, "TRADE_OVERDUE")
    assert settle(checkout.hospital, refund).error == "微信正在处理这笔退款，请稍后再试"
    checkout.make_checks_due()
    pay.failures.clear()
    assert settle(checkout.hospital, refund).data["by_wechat"] is False
    reconciliation.run()
    assert pay.refunds == {}


def test_concurrent_double_clicks_end_it_once(checkout: Checkout, abnormal: Row) -> None:
    statuses: list[int] = []
    run_in_threads([lambda: statuses.append(settle(checkout.hospital, abnormal).status)] * 3)
    assert {*statuses} <= {200, 409}
    assert settle(checkout.hospital, abnormal).status == 200
    assert checkout.list_ledger().count(("success", "person")) == 1


def test_wechat_that_does_not_respond_ends_nothing(checkout: Checkout, pay: WeChatPay, abnormal: Row) -> None:
    pay.failures["query_refund"] = 500
    response = settle(checkout.hospital, abnormal)
    assert (response.status, checkout.list_refunds(abnormal["book_id"])[0]["state"]) == (503, RefundState.ABNORMAL)


def test_payment_and_refund_are_checked_within_a_minute(checkout: Checkout, abnormal: Row) -> None:
    hospital, never = checkout.hospital, 1 << 60
    book_id = checkout.book_slot(hospital.wang)
    checkout.request_order(book_id, hospital.wang)
    for table in ("payments", "refunds"):
        mysql.autocommit.execute(
            f"UPDATE {table} SET check_at = %(never)s WHERE tenant_id = %(id)s", never=never, id=checkout.tenant_id
        )
    for row in list_rows("payments", hospital):
        for _ in range(2):
            assert send(hospital.admin, "check_payment", payment_id=row["payment_id"]).data is None
    assert send(hospital.admin, "check_refund", refund_id=abnormal["refund_id"]).data is None
    assert [row["check_at"] < never for row in list_rows("payments", hospital)] == [False, True]
    assert [row["check_at"] < never for row in list_rows("refunds", hospital)] == [True]


def test_what_is_rejected(checkout: Checkout, abnormal: Row, other_hospital: Hospital) -> None:
    hospital = checkout.hospital
    fields: dict[str, Any] = {name: abnormal[name] for name in ("refund_id", "payment_id")}
    unknown: dict[str, Any] = dict.fromkeys(fields, 999_999_999)
    invalid: dict[str, Any] = dict.fromkeys(fields, "x")
    for name in ("settle_refund", "check_refund", "check_payment"):
        for person in (hospital.lin, hospital.chen, hospital.desk):
            assert send(person, name, **fields, reason=REASON).status == 403
        assert send(other_hospital.admin, name, **fields, reason=REASON).status == 404
        assert send(hospital.admin, name, **unknown, reason=REASON).status == 404
        assert send(hospital.admin, name, **invalid, reason=REASON).status == 400
    for reason in ("", "x", "x" * 256):
        assert settle(hospital, abnormal, reason=reason).error.startswith("reason：")
    assert checkout.list_refunds(abnormal["book_id"])[0]["state"] == RefundState.ABNORMAL
