"""Refunds that would be lost without reconciliation."""

from dataclasses import replace

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, RefundResult
from chalicelib.billing.ledger import LedgerSource
from chalicelib.notifications.event_types import EventType
from chalicelib.payment import merchants, reconciliation, refund_store, refunds
from chalicelib.settings import settings
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_refund_unknown_to_wechat_pay_is_requested_again(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(hospital.lin, book_id)
    checkout.run_refund_jobs()
    [number] = pay.refunds
    pay.refunds.clear()
    for state in ("pending", "processing"):
        checkout.make_checks_due()
        reconciliation.run()
        assert [one["state"] for one in checkout.list_refunds(book_id)] == [state]
    assert list(pay.refunds) == [number]


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_refund_works_without_a_public_address(
    hospital: Hospital, pay: WeChatPay, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat Pay rejects an invalid notify_url, but accepts a refund without one, which is then queried."""
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(hospital.lin, book_id)
    monkeypatch.setattr(merchants, "settings", replace(settings, public_url=""))
    checkout.run_refund_jobs()
    assert [(one["state"], one["error"]) for one in checkout.list_refunds(book_id)] == [("processing", "")]


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_closed_refund_is_requested_with_another_number(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """WeChat Pay closes a refund if the merchant's balance is too low for seven days; no money was transferred."""
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(hospital.lin, book_id)
    checkout.run_refund_jobs()
    [first] = pay.refunds
    outdated = refund_store.find_by_refund_no(mysql.autocommit, checkout.tenant_id, first)
    assert outdated
    pay.settle_refund(first, "CLOSED")
    for _ in range(2):
        checkout.make_checks_due()
        reconciliation.run()
    [refund] = checkout.list_refunds(book_id)
    assert (refund["state"], refund["wechat_id"]) == ("processing", pay.refunds[refund["out_refund_no"]].refund_id)
    assert [one.state for one in pay.refunds.values()] == ["CLOSED", "PROCESSING"]
    assert ("closed", "query") in checkout.list_ledger()
    assert [one.levelname for one in caplog.records if "closed" in one.message] == ["ERROR"]
    # A late notification about the first number.
    mysql.run_transaction(
        lambda tx: refunds.apply_result(tx, outdated, RefundResult("CLOSED"), LedgerSource.NOTIFICATION)
    )
    for number, status in ((first, 200), ("20360107Rfffffffffffffffffff", 404)):
        late = replace(pay.refunds[first], out_refund_no=number, state="CLOSED" if number == first else "SUCCESS")
        pay.refunds[number] = late
        assert (
            checkout.deliver_notification(
                pay.build_refund_notification(number), payment_client.REFUND_NOTIFY_PATH
            ).status
            == status
        )
    assert checkout.list_refunds(book_id) == [refund]
    pay.settle_refund(refund["out_refund_no"])
    checkout.make_checks_due()
    reconciliation.run()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["success"]


def test_reconciliation_refunds_without_outbox_jobs(checkout: Checkout, pay: WeChatPay) -> None:
    """Refunds are stored before they are requested: reconciliation finds them, also two of one booking."""
    book_id = checkout.book_slot()
    second = checkout.create_order(book_id)["out_trade_no"]
    checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE")
    for number in (checkout.list_payments(book_id)[-1]["out_trade_no"], second):
        pay.pay(number)
        assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    checkout.department.cancel(checkout.hospital.lin, book_id)
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=checkout.tenant_id)
    reconciliation.run()
    assert [(one["reason"], one["state"]) for one in checkout.list_refunds(book_id)] == [
        ("duplicate", "processing"),
        ("patient", "processing"),
    ]
    assert [one.fee for one in pay.refunds.values()] == [1250, 1250]


def test_job_creates_a_missing_refund(checkout: Checkout, pay: WeChatPay) -> None:
    """Earlier versions inserted the row only in the job."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    mysql.autocommit.execute("DELETE FROM refunds WHERE tenant_id = %(id)s", id=checkout.tenant_id)
    checkout.run_refund_jobs()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]
    assert len(pay.refunds) == 1


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_refund_made_by_hand_at_wechat_pay_counts_as_done(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It was made with another number while this system's refund was rejected."""
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    payment = checkout.pay_and_notify(book_id)
    checkout.department.cancel(hospital.lin, book_id)
    pay.failures["refund"] = "NOT_ENOUGH"
    checkout.run_refund_jobs()
    pay.failures.clear()
    merchant = merchants.get_for_order(payment["tenant_id"], payment["mch_id"], payment["app_id"])
    wechat_pay.refund(merchant, payment["out_trade_no"], "ByHand0001", 1250, 1250, "退款", "")
    for _ in range(2):
        checkout.make_checks_due()
        reconciliation.run()
    [refund] = checkout.list_refunds(book_id)
    assert (refund["state"], pay.calls["refund"], list(pay.refunds)) == ("success", 3, ["ByHand0001"])
    assert checkout.list_ledger()[-1] == ("success", "refund")
    logged = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert logged == ["refund rejected", "refunded outside the system"]
    assert [one["type"] for one in checkout.list_jobs("notify_payment")] == [
        EventType.PAYMENT_RECEIVED,
        EventType.PAYMENT_REFUNDED,
    ]
