"""pay/appo_order: charge, settlement and payment before WeChat is asked; one live order for each booking."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import HMAC, MD5, V2
from chalicelib.identity import tokens
from chalicelib.wechat_account import openids
from devstack.wechat_pay import WeChatPay
from tests.booking.ward import Ward, day, rows
from tests.booking.ward import ward as made
from tests.payment import till as tills
from tests.payment.till import OPENID, Till
from tests.people import Hospital, Person
from tests.threads import at_once
from tests.wechat.desk import APP_ID
from tests.wire import post

pytestmark = pytest.mark.store


def shifted(book_id: str, **columns: Any) -> None:
    """Write into a booking what else takes days."""
    names = ", ".join(f"{name} = %({name})s" for name in columns)
    mysql.run_autocommit(
        lambda tx: tx.execute(f"UPDATE bookings SET {names} WHERE book_id = %(id)s", id=book_id, **columns)
    )


def test_lin_orders_what_her_booking_costs(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    order = till.ordered(book_id)
    [charge], [settlement] = rows("charges", till.hospital), rows("settlements", till.hospital)
    [payment] = till.payments(book_id)
    assert (charge["fee"], charge["charge_id"]) == (1250, settlement["charge_id"])
    assert (settlement["fee"], settlement["settled_at"], payment["settlement_id"]) == (
        *(1250, None),
        settlement["settlement_id"],
    )
    theirs = pay.orders[order["out_trade_no"]]
    assert (theirs.fee, theirs.open_id, theirs.prepay_id) == (1250, OPENID, order["prepay_id"])
    assert theirs.notify_url == f"https://api.renhe.example{tills.NOTIFY}/{till.tenant_id}"
    assert (order["is_success"], order["trade_type"], order["sign_type"]) == (True, "JSAPI", "RSA")
    assert (order["agency_id"], order["app_id"]) == (str(till.tenant_id), APP_ID)
    assert till.ledger() == [("asked", "order"), ("prepared", "order")]
    assert till.charge(book_id) == (0, 1)


@pytest.mark.parametrize("sign_type", [MD5, HMAC])
def test_v2_orders_too(hospital: Hospital, pay: WeChatPay, sign_type: str) -> None:
    till = tills.opened(hospital, pay, V2, sign_type)
    order = till.ordered(till.booked())
    assert (order["sign_type"], pay.orders[order["out_trade_no"]].prepay_id) == (sign_type, order["prepay_id"])


def test_asked_again_it_is_the_same_order(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    first, second = till.ordered(book_id), till.ordered(book_id)
    same = ("out_trade_no", "prepay_id")
    assert [first[name] for name in same] == [second[name] for name in same]
    assert first["nonce_str"] != second["nonce_str"]
    assert pay.calls["prepay"] == len(pay.orders) == len(till.payments(book_id)) == 1


def test_eight_who_ask_at_once_make_one_order(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    answers = at_once([lambda: till.order(book_id)] * 8)
    assert len({(one.data["out_trade_no"], one.data["prepay_id"]) for one in answers}) == 1
    assert len(pay.orders) == len(till.payments(book_id)) == len(rows("charges", till.hospital)) == 1
    assert till.ledger() == [("asked", "order"), ("prepared", "order")]


def test_after_two_hours_it_is_another_order(till: Till) -> None:
    book_id = till.booked()
    first = till.ordered(book_id)
    till.hour_later()
    second = till.ordered(book_id)
    assert first["out_trade_no"] != second["out_trade_no"]
    assert [one["live"] for one in till.payments(book_id)] == [None, 1]
    assert len(rows("charges", till.hospital)) == 1


def test_another_payer_has_an_order_of_their_own(till: Till) -> None:
    book_id = till.booked()
    first, second = till.ordered(book_id), till.order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data
    assert first["prepay_id"] != second["prepay_id"]
    assert till.sign(first).status == 404
    assert till.sign(second).status == 200


def test_an_order_ends_when_its_booking_must_be_paid(till: Till) -> None:
    till.ward.rules(pay_minutes=30)
    book_id = till.booked()
    till.ordered(book_id)
    [payment], [booking] = till.payments(book_id), rows("bookings", till.hospital)
    assert payment["expires_at"] == booking["pay_by"]
    shifted(book_id, pay_by=clock.now() - 1)
    answer = till.order(book_id)
    assert (answer.status, answer.error) == (409, "已超过支付时限，请重新预约")


def test_an_order_lives_as_long_as_wechat_wants_at_least(till: Till) -> None:
    """It takes none that ends within a minute; what is paid after the release goes back."""
    till.ward.rules(pay_minutes=30)
    book_id = till.booked()
    before = clock.now()
    shifted(book_id, pay_by=before + 10 * clock.SECOND)
    till.ordered(book_id)
    assert till.payments(book_id)[0]["expires_at"] >= before + 90 * clock.SECOND


def test_a_free_booking_is_paid_without_a_call(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked(fee=0)
    found = till.order(book_id, open_id="").data
    assert (found["is_success"], found["error_code"], found["prepay_id"]) == (True, "SUCCESS", "")
    assert (till.charge(book_id), pay.calls) == ((0, 2), {})
    [settlement] = rows("settlements", till.hospital)
    assert settlement["settled_at"]
    assert settlement["payment_id"] is None
    assert till.payments(book_id) == []
    assert till.order(book_id).status == 409


def test_the_sessions_own_openid_is_taken(till: Till, pay: WeChatPay, lin: Person) -> None:
    book_id = till.booked()
    for nobody in ("", None):
        answer = till.order(book_id, open_id=nobody)
        assert (answer.status, answer.error) == (400, "open_id：必填")
    token = tokens.hash_token(lin.token)
    mysql.run_transaction(lambda tx: openids.bind(tx, lin.tenant_id, lin.user_id, token, APP_ID, "oLins"))
    found = till.order(book_id, open_id=None).data
    assert pay.orders[found["out_trade_no"]].open_id == "oLins"


def test_nobody_pays_for_anothers_booking(till: Till, wang: Person, elsewhere: Hospital) -> None:
    book_id = till.booked()
    stranger = made(elsewhere).hospital.lin
    for person in (wang, stranger):
        answer = till.order(book_id, person)
        assert (answer.status, answer.error) == (404, "预约不存在")
    assert till.order(999_999_999).status == 404
    assert rows("charges", till.hospital) == []


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"status": 1, "live": None}, "该预约已取消或已失约，不能支付"),
        ({"status": 3}, "该预约已取消或已失约，不能支付"),
        ({"charge": 2}, "该预约已支付"),
    ],
)
def test_what_is_cancelled_missed_or_paid_is_not_ordered(till: Till, columns: dict[str, Any], why: str) -> None:
    book_id = till.booked()
    shifted(book_id, **columns)
    answer = till.order(book_id)
    assert (answer.status, answer.error) == (409, why)
    assert till.payments(book_id) == []


def test_who_is_registered_can_still_pay(till: Till) -> None:
    book_id = till.booked()
    shifted(book_id, status=2)
    till.paid(book_id)
    assert till.charge(book_id) == (2, 2)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("appo_id", [None, "", "x", 0, -1, 1.5, True, [1]]),
        ("open_id", [" ", "o p", "x" * 129, 5, "o\n", {}]),
    ],
)
def test_a_bad_field_is_named(till: Till, lin: Person, field: str, values: list[Any]) -> None:
    for value in values:
        answer = till.order(**{"book_id": till.tenant_id, field: value} if field == "open_id" else {"book_id": value})
        assert (answer.status, answer.error.partition("：")[0]) == (400, field), value
    assert post(tills.ORDER, lin.token).error == "appo_id：必填"


def test_a_hospital_without_an_account_says_so(hospital: Hospital, ward: Ward, pay: WeChatPay) -> None:
    found = Till(ward, pay, pay.merchant()).order(ward.booked(hospital.lin, ward.schedule()))
    assert (found.status, found.error) == (404, "微信支付尚未配置")


@pytest.fixture
def ward(hospital: Hospital) -> Ward:
    return made(hospital)


def test_a_booking_has_ten_orders_in_ten_minutes(till: Till, pay: WeChatPay) -> None:
    """Each payer's is another order: whoever makes payers up does not fill our tables, nor use up WeChat's patience."""
    book_id = till.booked()
    orders = [till.order(book_id, open_id=f"o{number}") for number in range(10)]
    assert {one.status for one in orders} == {200}
    refused = till.order(book_id, open_id="oEleventh")
    assert (refused.status, refused.headers["Retry-After"], len(pay.orders)) == (429, "600", 10)
    assert till.order(book_id, open_id="o9").data["out_trade_no"] == orders[9].data["out_trade_no"]
    other = till.booked(date=day(2))
    till.ordered(other)
    ago = "UPDATE payments SET created_at = created_at - 600000000 WHERE book_id = %(id)s"
    mysql.run_autocommit(lambda tx: tx.execute(ago, id=book_id))
    assert till.order(book_id, open_id="oEleventh").status == 200
