"""pay/appo_order: rows are stored before WeChat Pay is called, and a booking has one live order."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, OrderResult, SignType
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.identity import tokens
from chalicelib.wechat_account import openids
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.booking_client import create_department, get_iso_date, list_rows
from tests.support.client import post
from tests.support.contract import check_response
from tests.support.factories import Hospital, Person
from tests.support.payment_client import BOOKED_PAID, BOOKED_UNPAID, OPENID, REGISTERED_PAID, Checkout
from tests.support.threads import run_in_threads
from tests.support.wechat_client import APP_ID

pytestmark = pytest.mark.store


def update_booking(book_id: str, **columns: Any) -> None:
    """Set columns of a booking that would otherwise change only after days."""
    names = ", ".join(f"{name} = %({name})s" for name in columns)
    mysql.autocommit.execute(f"UPDATE bookings SET {names} WHERE book_id = %(id)s", id=book_id, **columns)


def test_order_costs_the_fee_of_the_booking(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    [charge], [settlement] = list_rows("charges", checkout.hospital), list_rows("settlements", checkout.hospital)
    [payment] = checkout.list_payments(book_id)
    assert (charge["fee"], charge["charge_id"]) == (1250, settlement["charge_id"])
    assert (settlement["fee"], settlement["settled_at"], payment["settlement_id"]) == (
        *(1250, None),
        settlement["settlement_id"],
    )
    order_at_wechat = pay.orders[order["out_trade_no"]]
    assert (order_at_wechat.fee, order_at_wechat.open_id, order_at_wechat.prepay_id) == (
        1250,
        OPENID,
        order["prepay_id"],
    )
    assert order_at_wechat.notify_url == f"https://api.renhe.example{payment_client.NOTIFY_PATH}/{checkout.tenant_id}"
    assert (order["is_success"], order["trade_type"], order["sign_type"]) == (True, "JSAPI", "RSA")
    assert (order["agency_id"], order["app_id"]) == (str(checkout.tenant_id), APP_ID)
    assert checkout.list_ledger() == [("created", "order"), ("prepared", "order")]
    assert checkout.get_booking_state(book_id) == BOOKED_UNPAID


@pytest.mark.parametrize("sign_type", [SignType.MD5, SignType.HMAC_SHA256])
def test_v2_order_is_created(hospital: Hospital, pay: WeChatPay, sign_type: str) -> None:
    checkout = payment_client.create_checkout(hospital, pay, ApiVersion.V2, sign_type)
    order = checkout.create_order(checkout.book_slot())
    assert (order["sign_type"], pay.orders[order["out_trade_no"]].prepay_id) == (sign_type, order["prepay_id"])


def test_repeated_request_returns_the_same_order(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    first, second = checkout.create_order(book_id), checkout.create_order(book_id)
    names = ("out_trade_no", "prepay_id")
    assert [first[name] for name in names] == [second[name] for name in names]
    assert first["nonce_str"] != second["nonce_str"]
    assert pay.calls["prepay"] == len(pay.orders) == len(checkout.list_payments(book_id)) == 1


def test_concurrent_requests_create_one_order(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    responses = run_in_threads([lambda: checkout.request_order(book_id)] * 8)
    assert len({(one.data["out_trade_no"], one.data["prepay_id"]) for one in responses}) == 1
    assert len(pay.orders) == len(checkout.list_payments(book_id)) == len(list_rows("charges", checkout.hospital)) == 1
    assert checkout.list_ledger() == [("created", "order"), ("prepared", "order")]


def test_new_order_is_created_after_two_hours(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    first = checkout.create_order(book_id)
    checkout.expire_orders()
    second = checkout.create_order(book_id)
    assert first["out_trade_no"] != second["out_trade_no"]
    assert [one["live"] for one in checkout.list_payments(book_id)] == [None, 1]
    assert len(list_rows("charges", checkout.hospital)) == 1


def test_another_payer_gets_another_order(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    first, second = (
        checkout.create_order(book_id),
        checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data,
    )
    assert first["prepay_id"] != second["prepay_id"]
    assert checkout.request_signature(first).status == 404
    assert checkout.request_signature(second).status == 200


def test_order_expires_at_the_payment_deadline(checkout: Checkout) -> None:
    checkout.department.save_rules(pay_minutes=30)
    book_id = checkout.book_slot()
    checkout.create_order(book_id)
    [payment], [booking] = checkout.list_payments(book_id), list_rows("bookings", checkout.hospital)
    assert payment["expires_at"] == booking["pay_by"]
    update_booking(book_id, pay_by=clock.now() - 1)
    response = checkout.request_order(book_id)
    assert (response.status, response.error) == (409, "已超过支付时限，请重新预约")


def test_order_for_an_offer_expires_when_it_lapses(checkout: Checkout) -> None:
    """Registering it confirms it."""
    book_id, confirm_by = checkout.book_slot(), clock.now() + 1800 * clock.SECOND
    update_booking(book_id, confirm_by=confirm_by)
    checkout.create_order(book_id)
    assert checkout.list_payments(book_id)[0]["expires_at"] == confirm_by
    update_booking(book_id, status=BookingStatus.REGISTERED, confirm_by=1, pay_by=None)
    assert checkout.request_order(book_id).status == 200, "it cannot lapse any more"


def test_order_has_the_minimum_lifetime_of_wechat_pay(checkout: Checkout) -> None:
    """Shorter orders are rejected; a payment after the booking's release is refunded."""
    checkout.department.save_rules(pay_minutes=30)
    book_id = checkout.book_slot()
    before = clock.now()
    update_booking(book_id, pay_by=before + 10 * clock.SECOND)
    checkout.create_order(book_id)
    assert checkout.list_payments(book_id)[0]["expires_at"] >= before + 90 * clock.SECOND


def test_free_booking_is_settled_without_a_call(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot(fee=0)
    found = checkout.request_order(book_id, open_id="").data
    assert (found["is_success"], found["error_code"], found["prepay_id"]) == (True, "SUCCESS", "")
    assert (checkout.get_booking_state(book_id), pay.calls) == (BOOKED_PAID, {})
    [settlement] = list_rows("settlements", checkout.hospital)
    assert settlement["settled_at"]
    assert settlement["payment_id"] is None
    assert checkout.list_payments(book_id) == []
    assert (found["payment_required"], found["error_msg"]) == (False, "挂号费为 0，无需支付")
    assert checkout.request_order(book_id, open_id="").data == found, "a repeated request"
    [unchanged] = list_rows("settlements", checkout.hospital)
    assert unchanged == settlement


def test_signature_for_a_free_booking_is_rejected_with_the_reason(checkout: Checkout) -> None:
    order = checkout.request_order(checkout.book_slot(fee=0)).data
    response = checkout.request_signature(order)
    assert response.status == 400
    assert response.error.endswith("prepayId 为空：该预约无需支付，不必调起支付")
    paid = checkout.create_order(checkout.book_slot(date=get_iso_date(2)))
    assert paid["payment_required"] is True


def test_openid_of_the_session_is_the_default(checkout: Checkout, pay: WeChatPay, lin: Person) -> None:
    book_id = checkout.book_slot()
    for empty in ("", None):
        response = checkout.request_order(book_id, open_id=empty)
        assert (response.status, response.error) == (400, "open_id：必填")
    token = tokens.hash_token(lin.token)
    mysql.run_transaction(lambda tx: openids.bind(tx, lin.tenant_id, lin.user_id, token, APP_ID, "oLins"))
    found = checkout.request_order(book_id, open_id=None).data
    assert pay.orders[found["out_trade_no"]].open_id == "oLins"


def test_booking_of_another_user_returns_404(checkout: Checkout, wang: Person, other_hospital: Hospital) -> None:
    book_id = checkout.book_slot()
    other_tenants_patient = create_department(other_hospital).hospital.lin
    for person in (wang, other_tenants_patient):
        response = checkout.request_order(book_id, person)
        assert (response.status, response.error) == (404, "预约不存在")
    assert checkout.request_order(999_999_999).status == 404
    assert list_rows("charges", checkout.hospital) == []


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"status": BookingStatus.CANCELLED, "live": None}, "该预约已取消，不能支付"),
        (
            {"status": BookingStatus.CANCELLED, "live": None, "payment_state": PaymentState.PAID},
            "该预约已取消，不能支付，已付费用原路退回",
        ),
        ({"status": BookingStatus.MISSED}, "该预约已失约，不能支付"),
        ({"payment_state": PaymentState.PAID}, "该预约已支付"),
        ({"pay_by": 1}, "已超过支付时限，请重新预约"),
        ({"confirm_by": 1}, "已超过确认时间，请重新预约"),
    ],
)
def test_unpayable_booking_returns_409(checkout: Checkout, columns: dict[str, Any], error: str) -> None:
    book_id = checkout.book_slot()
    update_booking(book_id, **columns)
    response = checkout.request_order(book_id)
    assert (response.status, response.error) == (409, error)
    check_response("POST", payment_client.ORDER_PATH, response.body["data"])
    names = ("is_success", "error_code", "error_msg", "prepay_id")
    assert [response.body["data"][name] for name in names] == [True, "FAIL", error, ""]
    assert checkout.list_payments(book_id) == []


@pytest.mark.parametrize(
    ("code", "setting"),
    [
        ("SIGN_ERROR", "key、serial 或 private_key"),
        ("MCH_NOT_EXISTS", "mch_id"),
        ("APPID_MCHID_NOT_MATCH", "app_id"),
        ("NO_AUTH", "JSAPI"),
    ],
)
def test_rejection_for_a_wrong_setting_names_it(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, code: str, setting: str
) -> None:
    monkeypatch.setattr(wechat_pay, "prepay", lambda *_: OrderResult(error_code=code, error_msg="签名错误"))
    found = checkout.request_order(checkout.book_slot()).data
    assert (found["is_success"], found["error_code"]) == (True, "FAIL")
    assert found["error_msg"].startswith("签名错误（")
    assert setting in found["error_msg"]


def test_registered_booking_can_be_paid(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    update_booking(book_id, status=BookingStatus.REGISTERED)
    checkout.pay_and_notify(book_id)
    assert checkout.get_booking_state(book_id) == REGISTERED_PAID


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("appo_id", [None, "", "x", 0, -1, 1.5, True, [1]]),
        ("open_id", [" ", "o p", "x" * 129, 5, "o\n", {}]),
    ],
)
def test_invalid_field_is_named(checkout: Checkout, lin: Person, field: str, values: list[Any]) -> None:
    for value in values:
        response = checkout.request_order(
            **{"book_id": checkout.tenant_id, field: value} if field == "open_id" else {"book_id": value}
        )
        assert (response.status, response.error.partition("：")[0]) == (400, field), value
    assert post(payment_client.ORDER_PATH, lin.token).error == "appo_id：必填"


def test_hospital_without_merchant_account_returns_404(hospital: Hospital, pay: WeChatPay) -> None:
    department = create_department(hospital)
    found = Checkout(department, pay, pay.add_merchant()).request_order(
        department.book_slot(hospital.lin, department.create_schedule())
    )
    assert (found.status, found.error) == (404, "微信支付尚未配置")


def test_booking_is_limited_to_ten_orders_in_ten_minutes(checkout: Checkout, pay: WeChatPay) -> None:
    """Each payer gets another order: a client that invents payers must not create any number of them."""
    book_id = checkout.book_slot()
    orders = [checkout.request_order(book_id, open_id=f"o{number}") for number in range(10)]
    assert {one.status for one in orders} == {200}
    rejected = checkout.request_order(book_id, open_id="oEleventh")
    assert (rejected.status, rejected.headers["Retry-After"], len(pay.orders)) == (429, "600", 10)
    assert checkout.request_order(book_id, open_id="o9").data["out_trade_no"] == orders[9].data["out_trade_no"]
    other = checkout.book_slot(date=get_iso_date(2))
    checkout.create_order(other)
    age_orders = "UPDATE payments SET created_at = created_at - 600000000 WHERE book_id = %(id)s"
    mysql.autocommit.execute(age_orders, id=book_id)
    assert checkout.request_order(book_id, open_id="oEleventh").status == 200
