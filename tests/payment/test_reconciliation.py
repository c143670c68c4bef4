"""What WeChat has not told is asked for: safe twice, also at once, and one hospital's trouble is no other's."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app import reconcile_payments
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import V2, OrderResult, Trade
from chalicelib.payment import query_schedule, reconciliation
from devstack.wechat_pay import WeChatPay
from tests.booking.ward import rows
from tests.files.test_sweep import said
from tests.payment import till as tills
from tests.payment.till import Till
from tests.people import Hospital
from tests.threads import at_once

pytestmark = pytest.mark.store


def test_what_was_paid_and_never_told_is_found(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    till.pays(book_id)
    reconciliation.run()
    assert till.charge(book_id) == (0, 1)  # the notice has a minute
    till.minute_later()
    for _ in range(2):
        reconcile_payments(said(), None)
    assert (till.charge(book_id), till.payments(book_id)[0]["state"]) == ((0, 2), "paid")
    assert till.payments(book_id)[0]["transaction_id"] == next(iter(pay.orders.values())).transaction_id
    assert [one for one in till.ledger() if one[0] == "paid"] == [("paid", "query")]
    assert till.told(pay.paid_notice(till.payments(book_id)[0]["out_trade_no"])).status == 200  # comes after all
    assert rows("refunds", till.hospital) == []


def test_four_runs_at_once_ask_once(till: Till) -> None:
    book_id = till.booked()
    till.pays(book_id)
    till.minute_later()
    at_once([reconciliation.run] * 4)
    assert till.payments(book_id)[0]["checks"] == 1
    assert [one for one in till.ledger() if one[0] == "paid"] == [("paid", "query")]


def test_notice_and_query_at_once_count_once(till: Till) -> None:
    book_id = till.booked()
    notice = till.pays(book_id)
    till.minute_later()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(till.told, notice) for _ in range(2)]
        runs = [pool.submit(reconciliation.run) for _ in range(2)]
        assert [one.result().status for one in calls] == [200, 200]
        assert [one.exception() for one in runs] == [None, None]
    assert len([one for one in till.ledger() if one[0] == "paid"]) == 1
    assert (till.charge(book_id), till.refunds(book_id)) == ((0, 2), [])


@pytest.mark.parametrize("version", ["v3", V2])
def test_an_order_that_is_over_is_closed(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    till = tills.opened(hospital, pay, version)
    book_id = till.booked()
    number = till.ordered(book_id)["out_trade_no"]
    till.minute_later()
    reconciliation.run()
    assert (pay.orders[number].state, till.payments(book_id)[0]["state"]) == ("NOTPAY", "asked")
    till.hour_later()
    for _ in range(2):
        reconciliation.run()
    assert pay.orders[number].state == "CLOSED"
    assert [(one["state"], one["live"]) for one in till.payments(book_id)] == [("closed", None)]
    assert [one for one in till.ledger() if one[0] == "closed"] == [("closed", "query")]
    assert till.ordered(book_id)["out_trade_no"] != number


def test_an_order_of_a_cancelled_booking_is_closed_before_its_time(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    number = till.ordered(book_id)["out_trade_no"]
    till.ward.cancel(till.hospital.lin, book_id)
    till.minute_later()
    reconciliation.run()
    assert (pay.orders[number].state, till.payments(book_id)[0]["state"]) == ("CLOSED", "closed")


def test_an_order_that_is_paid_while_it_is_closed_counts(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    number = till.ordered(book_id)["out_trade_no"]
    till.hour_later()
    pay.failing["close"] = "USERPAYING"
    reconciliation.run()
    assert till.payments(book_id)[0]["state"] == "asked"
    pay.pay(number)
    till.hour_later()
    reconciliation.run()
    assert (till.charge(book_id), till.payments(book_id)[0]["state"]) == ((0, 2), "paid")


def test_money_that_is_told_of_while_its_order_is_closed_stays_counted(
    till: Till, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = till.booked()
    number = till.ordered(book_id)["out_trade_no"]
    till.hour_later()

    def told_meanwhile(*_: Any) -> OrderResult:
        pay.pay(number)
        assert till.told(pay.paid_notice(number)).status == 200
        return OrderResult()

    monkeypatch.setattr(wechat_pay, "close_order", told_meanwhile)
    reconciliation.run()
    assert (till.charge(book_id), till.payments(book_id)[0]["state"]) == ((0, 2), "paid")
    assert till.ledger()[-1] == ("paid", "notice")


def test_money_for_an_order_that_we_had_closed_is_not_lost(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    number = till.ordered(book_id)["out_trade_no"]
    till.hour_later()
    reconciliation.run()
    pay.orders[number] = replace(pay.orders[number], state="NOTPAY")
    pay.pay(number)
    assert till.told(pay.paid_notice(number)).status == 200
    assert till.charge(book_id) == (0, 2)


def test_late_money_that_is_found_goes_back(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    till.pays(book_id)
    till.ward.cancel(till.hospital.lin, book_id)
    till.minute_later()
    reconciliation.run()  # finds it, and sends it back
    assert [(one["reason"], one["state"]) for one in till.refunds(book_id)] == [("late", "sent")]
    assert len(pay.refunds) == 1


def test_another_sum_is_counted_for_nobody(till: Till, pay: WeChatPay, caplog: pytest.LogCaptureFixture) -> None:
    book_id = till.booked()
    till.pays(book_id)
    number = till.payments(book_id)[0]["out_trade_no"]
    pay.orders[number] = replace(pay.orders[number], fee=1)
    till.minute_later()
    reconciliation.run()
    assert till.charge(book_id) == (0, 1)
    assert "paid another sum" in caplog.messages


def test_another_currency_is_counted_for_nobody(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id = till.booked()
    till.pays(book_id)
    monkeypatch.setattr(wechat_pay, "query_order", lambda *_: Trade("SUCCESS", "42", 1250, "USD"))
    till.minute_later()
    reconciliation.run()
    assert till.charge(book_id) == (0, 1)


def test_what_was_paid_back_by_hand_before_we_heard_of_it_wakes_a_person(
    till: Till, pay: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    book_id = till.booked()
    till.pays(book_id)
    number = till.payments(book_id)[0]["out_trade_no"]
    late = pay.paid_notice(number)
    pay.orders[number] = replace(pay.orders[number], state="REFUND")
    till.minute_later()
    reconciliation.run()
    assert till.told(late).status == 200  # WeChat repeats what it told before, for a day
    assert (till.charge(book_id), till.ledger()[-1]) == ((0, 1), ("refunded", "query"))
    assert till.ordered(book_id)["out_trade_no"] != number
    assert [one.levelname for one in caplog.records if one.message == "paid and refunded elsewhere"] == ["ERROR"]
    assert till.refunds(book_id) == []


def test_one_hospitals_broken_key_keeps_no_other_from_its_money(
    till: Till, pay: WeChatPay, elsewhere: Hospital
) -> None:
    broken, book_id = tills.opened(elsewhere, pay), till.booked()
    theirs = broken.booked()
    broken.pays(theirs)
    till.pays(book_id)
    spoil = "UPDATE wechat_merchants SET key_sealed = 'x' WHERE tenant_id = %(id)s"
    mysql.run_autocommit(lambda tx: tx.execute(spoil, id=elsewhere.tenant_id))
    for one in (broken, till):
        one.minute_later()
    reconciliation.run()
    assert (till.charge(book_id), broken.charge(theirs)) == ((0, 2), (0, 1))


def test_while_wechat_is_away_it_is_asked_again_later(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    till.pays(book_id)
    pay.failing["query"] = 500
    till.minute_later()
    for _ in range(2):
        reconciliation.run()
    assert till.payments(book_id)[0]["checks"] == 1
    pay.failing.clear()
    till.minute_later()
    reconciliation.run()
    assert till.charge(book_id) == (0, 2)


def test_it_is_asked_less_and_less_but_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 0)
    minutes = [query_schedule.compute_next_check(number) // clock.SECOND // 60 for number in range(9)]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert query_schedule.compute_next_order_check(9, 3600 * clock.SECOND) == 300 * clock.SECOND
    assert query_schedule.compute_next_order_check(9, 240 * clock.SECOND) == 220 * clock.SECOND
    assert query_schedule.compute_next_order_check(9, 0) == 3600 * clock.SECOND
