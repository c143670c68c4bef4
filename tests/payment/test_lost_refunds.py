"""What would never go back if nobody had thought of it."""

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
from tests.support import payment_client as tills
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_a_refund_that_wechat_knows_nothing_of_is_sent_again(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    till = tills.create_checkout(hospital, pay, version)
    book_id = till.book_slot()
    till.pay_and_notify(book_id)
    till.department.cancel(hospital.lin, book_id)
    till.run_refund_jobs()
    [number] = pay.refunds
    pay.refunds.clear()
    for state in ("pending", "processing"):
        till.make_checks_due()
        reconciliation.run()
        assert [one["state"] for one in till.list_refunds(book_id)] == [state]
    assert list(pay.refunds) == [number]


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_an_api_that_lost_its_public_name_still_pays_back(
    hospital: Hospital, pay: WeChatPay, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat refuses an address that is none, and takes a refund without: then it is asked what became of it."""
    till = tills.create_checkout(hospital, pay, version)
    book_id = till.book_slot()
    till.pay_and_notify(book_id)
    till.department.cancel(hospital.lin, book_id)
    monkeypatch.setattr(merchants, "settings", replace(settings, public_url=""))
    till.run_refund_jobs()
    assert [(one["state"], one["error"]) for one in till.list_refunds(book_id)] == [("processing", "")]


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_a_refund_that_wechat_has_closed_is_sent_by_another_number(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The merchant's balance was short for seven days. What is closed stays closed, and no money has moved."""
    till = tills.create_checkout(hospital, pay, version)
    book_id = till.book_slot()
    till.pay_and_notify(book_id)
    till.department.cancel(hospital.lin, book_id)
    till.run_refund_jobs()
    [first] = pay.refunds
    seen = refund_store.find_by_refund_no(mysql.autocommit, till.tenant_id, first)
    assert seen
    pay.settle_refund(first, "CLOSED")
    for _ in range(2):
        till.make_checks_due()
        reconciliation.run()
    [refund] = till.list_refunds(book_id)
    assert (refund["state"], refund["wechat_id"]) == ("processing", pay.refunds[refund["out_refund_no"]].refund_id)
    assert [one.state for one in pay.refunds.values()] == ["CLOSED", "PROCESSING"]
    assert ("closed", "query") in till.list_ledger()
    assert [one.levelname for one in caplog.records if "closed" in one.message] == ["ERROR"]
    # A late notification about the first number.
    mysql.run_transaction(lambda tx: refunds.apply_result(tx, seen, RefundResult("CLOSED"), LedgerSource.NOTIFICATION))
    for number, status in ((first, 200), ("20360107Rfffffffffffffffffff", 404)):
        late = replace(pay.refunds[first], out_refund_no=number, state="CLOSED" if number == first else "SUCCESS")
        pay.refunds[number] = late
        assert (
            till.deliver_notification(pay.build_refund_notification(number), tills.REFUND_NOTIFY_PATH).status == status
        )
    assert till.list_refunds(book_id) == [refund]
    pay.settle_refund(refund["out_refund_no"])
    till.make_checks_due()
    reconciliation.run()
    assert [one["state"] for one in till.list_refunds(book_id)] == ["success"]


def test_money_goes_back_though_every_promise_was_lost(checkout: Checkout, pay: WeChatPay) -> None:
    """What is to go back is a row before anybody is asked to send it: reconciliation finds it, also beside a second
    payment's of the same booking."""
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


def test_what_was_promised_without_a_row_goes_back(checkout: Checkout, pay: WeChatPay) -> None:
    """As versions did it that made the row only in the job."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    mysql.autocommit.execute("DELETE FROM refunds WHERE tenant_id = %(id)s", id=checkout.tenant_id)
    checkout.run_refund_jobs()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]
    assert len(pay.refunds) == 1


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_what_a_person_has_paid_back_at_wechat_is_not_asked_for_for_ever(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By a number of theirs, while ours was refused."""
    till = tills.create_checkout(hospital, pay, version)
    book_id = till.book_slot()
    payment = till.pay_and_notify(book_id)
    till.department.cancel(hospital.lin, book_id)
    pay.failures["refund"] = "NOT_ENOUGH"
    till.run_refund_jobs()
    pay.failures.clear()
    merchant = merchants.get_for_payment(payment)
    wechat_pay.refund(merchant, payment["out_trade_no"], "ByHand0001", 1250, 1250, "退款", "")
    for _ in range(2):
        till.make_checks_due()
        reconciliation.run()
    [refund] = till.list_refunds(book_id)
    assert (refund["state"], pay.calls["refund"], list(pay.refunds)) == ("success", 3, ["ByHand0001"])
    assert till.list_ledger()[-1] == ("success", "refund")
    logged = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert logged == ["refund refused", "paid back elsewhere"]
    assert [one["type"] for one in till.list_jobs("notify_payment")] == [
        EventType.PAYMENT_RECEIVED,
        EventType.PAYMENT_REFUNDED,
    ]
