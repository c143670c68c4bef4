"""wx/jsapi/paysign: the caller's own live order is signed, and nothing else."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from devstack.fakes import wechat_pay_keys, wechat_pay_protocol_v2
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client as tills
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.payment_client import NONCE, SIGN_PATH, TIMESTAMP, Checkout

pytestmark = pytest.mark.store


def test_lins_order_is_signed_as_wechat_wants_it(checkout: Checkout) -> None:
    order = checkout.create_order(checkout.book_slot())
    signature = checkout.request_signature(order).data["paySign"]
    message = f"{order['app_id']}\n{TIMESTAMP}\n{NONCE}\nprepay_id={order['prepay_id']}\n".encode()
    key = wechat_pay_keys.get_public_key("merchant")
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    assert checkout.request_signature(order).data["paySign"] == signature


@pytest.mark.parametrize("sign_type", [SignType.MD5, SignType.HMAC_SHA256])
def test_v2_signs_with_the_orders_own_kind(hospital: Hospital, pay: WeChatPay, sign_type: SignType) -> None:
    till = tills.create_checkout(hospital, pay, ApiVersion.V2, sign_type)
    order = till.create_order(till.book_slot())
    fields = {"appId": order["app_id"], "timeStamp": TIMESTAMP, "nonceStr": NONCE, "signType": sign_type}
    fields["package"] = f"prepay_id={order['prepay_id']}"
    assert till.request_signature(order).data["paySign"] == wechat_pay_protocol_v2.compute_signature(
        till.merchant.key, fields, sign_type
    )
    other = {SignType.MD5: SignType.HMAC_SHA256, SignType.HMAC_SHA256: SignType.MD5}[sign_type]
    assert till.request_signature(order, signType=other).error == f"signType：必须是 {sign_type}"


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("timeStamp", ["", "141458745", "14145874570", "1414587457\n", "1&a=b56789", "/v3/refund", 1414587457, None]),
        ("nonceStr", ["", "a" * 33, "a&b=c", "a\nb", "中", "a b", 5, None]),
        ("prepayId", ["", "x\n{}", "a&b=c", "x" * 65, 5, None]),
        ("appId", ["", "POST", "wx1\n", "wx1&a=b", 12, None]),
        ("signType", ["", "rsa", "SHA1", None]),
        ("agencyId", ["", "x", 0, None]),
        ("tenantId", ["x", 0, None]),
    ],
)
def test_a_bad_field_is_named(checkout: Checkout, field: str, values: list[Any]) -> None:
    order = checkout.create_order(checkout.book_slot())
    for value in values:
        answer = checkout.request_signature(order, **{field: value})
        assert (answer.status, answer.error.partition("：")[0]) == (400, field), value


def test_each_field_is_needed(lin: Person) -> None:
    assert post(SIGN_PATH, lin.token).error.startswith("agencyId：必填")


def test_what_is_not_the_callers_own_order_is_not_signed(
    checkout: Checkout, pay: WeChatPay, wang: Person, other_hospital: Hospital
) -> None:
    order = checkout.create_order(checkout.book_slot())
    other = tills.create_checkout(other_hospital, pay)
    assert checkout.request_signature(order, wang).status == 404
    assert checkout.request_signature(order, other.hospital.lin).status == 404
    assert checkout.request_signature(order, prepayId="wx0000").status == 404
    assert checkout.request_signature(order, appId="wx0000000000000009").status == 404
    assert checkout.request_signature(order, tenantId=other_hospital.tenant_id).status == 403


def test_what_can_be_paid_no_more_is_not_signed(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    checkout.expire_orders()
    assert checkout.request_signature(order).status == 404
    again = checkout.create_order(book_id)
    assert checkout.request_signature(again).status == 200
    checkout.department.cancel(checkout.hospital.lin, book_id)
    assert checkout.request_signature(again).status == 404


def test_what_is_paid_is_not_signed_again(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    checkout.pay_and_notify(book_id)
    assert checkout.request_signature(order).status == 404


def test_an_order_that_another_took_the_place_of_is_not_signed(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    another = checkout.request_order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data
    assert (checkout.request_signature(order).status, checkout.request_signature(another).status) == (404, 200)


def test_what_was_paid_at_the_desk_is_not_signed(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    order = checkout.create_order(book_id)
    mysql.autocommit.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(id)s", id=book_id)
    assert checkout.request_signature(order).status == 404


def test_an_order_of_another_kind_of_signature_than_is_set_up_is_not_signed(hospital: Hospital, pay: WeChatPay) -> None:
    till = tills.create_checkout(hospital, pay, ApiVersion.V2, SignType.MD5)
    book_id = till.book_slot()
    order = till.create_order(book_id)
    newer = pay.add_merchant(
        ApiVersion.V2, SignType.HMAC_SHA256, appid=till.merchant.appid, mch_id=till.merchant.mch_id
    )
    assert post(tills.CONF_PATH, hospital.admin.token, **tills.build_conf(newer)).status == 200
    assert till.request_signature(order).status == 404
    assert till.request_signature(till.create_order(book_id)).status == 200
