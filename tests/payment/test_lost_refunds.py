"""What would never go back if nobody had thought of it."""

from dataclasses import replace

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import V2, V3, RefundResult
from chalicelib.payment import merchants, notifications, reconciliation, refund_store, refunds
from chalicelib.settings import settings
from devstack.wechat_pay import WeChatPay
from tests.payment import till as tills
from tests.payment.till import Till
from tests.people import Hospital

pytestmark = pytest.mark.store


@pytest.mark.parametrize("version", [V3, V2])
def test_a_refund_that_wechat_knows_nothing_of_is_sent_again(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    till = tills.opened(hospital, pay, version)
    book_id = till.booked()
    till.paid(book_id)
    till.ward.cancel(hospital.lin, book_id)
    till.pay_back()
    [number] = pay.refunds
    pay.refunds.clear()
    for state in ("due", "sent"):
        till.minute_later()
        reconciliation.run()
        assert [one["state"] for one in till.refunds(book_id)] == [state]
    assert list(pay.refunds) == [number]


@pytest.mark.parametrize("version", [V3, V2])
def test_an_api_that_lost_its_public_name_still_pays_back(
    hospital: Hospital, pay: WeChatPay, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat refuses an address that is none, and takes a refund without: then it is asked what became of it."""
    till = tills.opened(hospital, pay, version)
    book_id = till.booked()
    till.paid(book_id)
    till.ward.cancel(hospital.lin, book_id)
    monkeypatch.setattr(merchants, "settings", replace(settings, public_url=""))
    till.pay_back()
    assert [(one["state"], one["error"]) for one in till.refunds(book_id)] == [("sent", "")]


@pytest.mark.parametrize("version", [V3, V2])
def test_a_refund_that_wechat_has_closed_is_sent_by_another_number(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The merchant's balance was short for seven days. What is closed stays closed, and no money has moved."""
    till = tills.opened(hospital, pay, version)
    book_id = till.booked()
    till.paid(book_id)
    till.ward.cancel(hospital.lin, book_id)
    till.pay_back()
    [first] = pay.refunds
    seen = mysql.run_autocommit(lambda tx: refund_store.find_by_refund_no(tx, till.tenant_id, first))
    assert seen
    pay.settle(first, "CLOSED")
    for _ in range(2):
        till.minute_later()
        reconciliation.run()
    [refund] = till.refunds(book_id)
    assert (refund["state"], refund["wechat_id"]) == ("sent", pay.refunds[refund["out_refund_no"]].refund_id)
    assert [one.state for one in pay.refunds.values()] == ["CLOSED", "PROCESSING"]
    assert ("closed", "query") in till.ledger()
    assert [one.levelname for one in caplog.records if "closed" in one.message] == ["ERROR"]
    mysql.run_transaction(
        lambda tx: refunds.apply_result(tx, seen, RefundResult("CLOSED"), "notice")
    )  # said of the first, and late
    for number, status in ((first, 200), ("20360107Rfffffffffffffffffff", 404)):
        late = replace(pay.refunds[first], out_refund_no=number, state="CLOSED" if number == first else "SUCCESS")
        pay.refunds[number] = late
        assert till.told(pay.refund_notice(number), tills.REFUND_NOTIFY).status == status
    assert till.refunds(book_id) == [refund]
    pay.settle(refund["out_refund_no"])
    till.minute_later()
    reconciliation.run()
    assert [one["state"] for one in till.refunds(book_id)] == ["done"]


def test_money_goes_back_though_every_promise_was_lost(till: Till, pay: WeChatPay) -> None:
    """What is to go back is a row before anybody is asked to send it: reconciliation finds it, also beside a second
    payment's of the same booking."""
    book_id = till.booked()
    second = till.ordered(book_id)["out_trade_no"]
    till.order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE")
    for number in (till.payments(book_id)[-1]["out_trade_no"], second):
        pay.pay(number)
        assert till.told(pay.paid_notice(number)).status == 200
    till.ward.cancel(till.hospital.lin, book_id)
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=till.tenant_id))
    reconciliation.run()
    assert [(one["reason"], one["state"]) for one in till.refunds(book_id)] == [("twice", "sent"), ("patient", "sent")]
    assert [one.fee for one in pay.refunds.values()] == [1250, 1250]


def test_what_was_promised_without_a_row_goes_back(till: Till, pay: WeChatPay) -> None:
    """As versions did it that made the row only in the job."""
    book_id = till.booked()
    till.paid(book_id)
    till.ward.cancel(till.hospital.lin, book_id)
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM refunds WHERE tenant_id = %(id)s", id=till.tenant_id))
    till.pay_back()
    assert [one["state"] for one in till.refunds(book_id)] == ["sent"]
    assert len(pay.refunds) == 1


@pytest.mark.parametrize("version", [V3, V2])
def test_what_a_person_has_paid_back_at_wechat_is_not_asked_for_for_ever(
    hospital: Hospital, pay: WeChatPay, version: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By a number of theirs, while ours was refused."""
    till = tills.opened(hospital, pay, version)
    book_id = till.booked()
    payment = till.paid(book_id)
    till.ward.cancel(hospital.lin, book_id)
    pay.failing["refund"] = "NOT_ENOUGH"
    till.pay_back()
    pay.failing.clear()
    merchant = merchants.get_for_payment(payment)
    wechat_pay.refund(merchant, payment["out_trade_no"], "ByHand0001", 1250, 1250, "退款", "")
    for _ in range(2):
        till.minute_later()
        reconciliation.run()
    [refund] = till.refunds(book_id)
    assert (refund["state"], pay.calls["refund"], list(pay.refunds)) == ("done", 3, ["ByHand0001"])
    assert till.ledger()[-1] == ("done", "refund")
    logged = [one.message for one in caplog.records if one.levelname == "ERROR"]
    assert logged == ["refund refused", "paid back elsewhere"]
    assert [one["type"] for one in till.promised("tell_payment")] == [notifications.PAID, notifications.REFUNDED]
