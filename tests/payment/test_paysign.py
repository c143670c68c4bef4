"""wx/jsapi/paysign signs only the caller's own live order."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from chalicelib.billing.bookings import PaymentState
from devstack.fakes import wechat_pay_keys, wechat_pay_protocol_v2
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.payment_client import NONCE, SIGN_PATH, TIMESTAMP, Checkout

pytestmark = pytest.mark.store


def test_order_is_signed_with_the_merchants_key(checkout: Checkout) -> None:
    order = checkout.create_order(checkout.book_slot())
    signature = checkout.request_signature(order).data["paySign"]
    message = f"{order['app_id']}\n{TIMESTAMP}\n{NONCE}\nprepay_id={order['prepay_id']}\n".encode()
    key = wechat_pay_keys.get_public_key("merchant")
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    assert checkout.request_signature(order).data["paySign"] == signature


@pytest.mark.parametrize("sign_type", [SignType.MD5, SignType.HMAC_SHA256])
def test_v2_order_is_signed_with_its_sign_type(hospital: Hospital, pay: WeChatPay, sign_type: SignType) -> None:
    checkout = payment_client.create_checkout(hospital, pay, ApiVersion.V2, sign_type)
    order = checkout.create_order(checkout.book_slot())
    fields = {"appId": order["app_id"], "timeStamp": TIMESTAMP, "nonceStr": NONCE, "signType": sign_type}
    fields["package"] = f"prepay_id={order['prepay_id']}"
    assert checkout.request_signature(order).data["paySign"] == wechat_pay_protocol_v2.compute_signature(
        checkout.merchant.key, fields, sign_type
    )
    other = {SignType.MD5: SignType.HMAC_SHA256, SignType.HMAC_SHA256: SignType.MD5}[sign_type]
    assert checkout.request_signature(order, signType=other).error == f"signType：必须是 {sign_type}"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("timeStamp", ["", "141458745", "14145874570", "1414587457\n", "1&a=b56789", "/v3/refund", 1414587457, None]),
        ("nonceStr", ["", "a" * 33, "a&b=c", "a\nb", "中", "a b", 5, None]),
        ("prepayId", ["x\n{}", "a&b=c", "x" * 65, 5, None]),
        ("appId", ["", "POST", "wx1\n", "wx1&a=b", 12, -1, True, 1.5, None]),
        ("signType", ["", "rsa", "SHA1", None]),
        ("agencyId", ["", "x", 0, None]),
        ("tenantId", ["x", 0, None]),
    ],
)
def test_invalid_field_is_named(checkout: Checkout, field: str, values: list[Any]) -> None:
    order = checkout.create_order(checkout.book_slot())
    for value in values:
        response = checkout.request_signature(order, **{field: value})
        assert (response.status, response.error.partition("：")[0]) == (400, field), value


def test_fields_are_required(lin: Person) -> None:
    assert post(SIGN_PATH, lin.token).error.startswith("agencyId：必填")


def test_order_of_another_user_returns_404(
    checkout: Checkout, pay: WeChatPay, wang: Person, other_hospital: Hospital
) -> None:
    order = checkout.create_order(checkout.book_slot())
    other = payment_client.create_checkout(other_hospital, pay)
    assert checkout.request_signature(order, wang).status == 404
    assert checkout.request_signature(order, other.hospital.lin).status == 404
    assert checkout.request_signature(order, prepayId="wx0000").status == 404
    assert checkout.request_signature(order, tenantId=other_hospital.tenant_id).status == 403


@pytest.mark.parametrize("app_id", [1, "1", 0, "wx0000000000000009", "WXD930EA5D5A258F4F"])
def test_app_id_of_another_account_is_rejected_and_the_right_one_named(checkout: Checkout, app_id: Any) -> None:
    """Document 003 types appId as Long, so clients send numbers."""
    order = checkout.create_order(checkout.book_slot())
    for prepay_id in (order["prepay_id"], "wx0000"):
        response = checkout.request_signature(order, appId=app_id, prepayId=prepay_id)
        expected = f"appId：不是本院公众号的 AppID，应为 {order['app_id']}"
        assert (response.status, response.error) == (400, expected)


def test_unpayable_order_returns_404(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    checkout.expire_orders()
    assert checkout.request_signature(order).status == 404
    new_order = checkout.create_order(book_id)
    assert checkout.request_signature(new_order).status == 200
    checkout.department.cancel(checkout.hospital.lin, book_id)
    assert checkout.request_signature(new_order).status == 404


def test_paid_order_returns_404(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    checkout.pay_and_notify(book_id)
    assert checkout.request_signature(order).status == 404


def test_superseded_order_returns_404(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    another = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data
    assert (checkout.request_signature(order).status, checkout.request_signature(another).status) == (404, 200)


def test_order_of_a_booking_paid_at_the_desk_returns_404(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    mysql.autocommit.execute(
        "UPDATE bookings SET payment_state = %(paid)s WHERE book_id = %(id)s", paid=PaymentState.PAID, id=book_id
    )
    assert checkout.request_signature(order).status == 404


def test_order_with_an_outdated_sign_type_returns_404(hospital: Hospital, pay: WeChatPay) -> None:
    checkout = payment_client.create_checkout(hospital, pay, ApiVersion.V2, SignType.MD5)
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    newer = pay.add_merchant(
        ApiVersion.V2, SignType.HMAC_SHA256, appid=checkout.merchant.appid, mch_id=checkout.merchant.mch_id
    )
    assert post(payment_client.CONF_PATH, hospital.admin.token, **payment_client.build_conf(newer)).status == 200
    assert checkout.request_signature(order).status == 404
    assert checkout.request_signature(checkout.create_order(book_id)).status == 200
