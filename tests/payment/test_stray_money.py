"""Money that comes where it is not wanted, twice, or for an old account: nothing is lost, and nothing counts twice."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from devstack.wechat_pay import WeChatPay
from tests.payment import till as tills
from tests.payment.till import Till
from tests.wire import post

pytestmark = pytest.mark.store


def test_money_for_what_was_cancelled_goes_back_once(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    notice = till.pays(book_id)
    assert till.ward.cancel(till.hospital.lin, book_id).status == 200
    for _ in range(2):
        assert till.told(notice).status == 200
        till.pay_back()
    assert till.charge(book_id) == (1, 1)
    [refund] = till.refunds(book_id)
    assert (refund["fee"], refund["reason"]) == (1250, "late")
    assert [one.fee for one in pay.refunds.values()] == [1250]


def test_who_pays_twice_is_paid_back_the_second(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    first = till.ordered(book_id)["out_trade_no"]
    second = till.order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    for number in (second, first):
        pay.pay(number)
        assert till.told(pay.paid_notice(number)).status == 200
    till.pay_back()
    [refund] = till.refunds(book_id)
    assert (refund["reason"], till.charge(book_id)) == ("twice", (0, 2))
    assert [one.order.out_trade_no for one in pay.refunds.values()] == [first]


def test_who_changed_the_account_still_hears_of_the_old_ones_orders(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    notice = till.pays(book_id)
    newer = pay.merchant(appid=till.merchant.appid)
    assert post(tills.CONF, till.hospital.admin.token, **tills.wanted(newer)).status == 200
    assert till.told(notice).status == 200
    till.ward.cancel(till.hospital.lin, book_id)
    till.pay_back()
    assert [one.order.merchant.mch_id for one in pay.refunds.values()] == [till.merchant.mch_id]


def test_two_orders_paid_at_once_are_one_payment_and_one_refund(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    first = till.ordered(book_id)["out_trade_no"]
    second = till.order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data["out_trade_no"]
    notices = [pay.paid_notice(pay.pay(number).out_trade_no) for number in (first, second)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(till.told, notices * 4))
    assert {one.status for one in answers} == {200}
    assert (till.charge(book_id), len(till.refunds(book_id))) == ((0, 2), 1)
