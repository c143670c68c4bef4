"""wx/jsapi/paysign: the caller's own live order is signed, and nothing else."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import HMAC, MD5, V2
from devstack import wechat_pay_keys, wechat_pay_wire_v2
from devstack.wechat_pay import WeChatPay
from tests.payment import till as tills
from tests.payment.till import NONCE, SIGN, STAMP, Till
from tests.people import Hospital, Person
from tests.wire import post

pytestmark = pytest.mark.store


def test_lins_order_is_signed_as_wechat_wants_it(till: Till) -> None:
    order = till.ordered(till.booked())
    signature = till.sign(order).data["paySign"]
    message = f"{order['app_id']}\n{STAMP}\n{NONCE}\nprepay_id={order['prepay_id']}\n".encode()
    key = wechat_pay_keys.public_key("merchant")
    key.verify(base64.b64decode(signature), message, padding.PKCS1v15(), SHA256())
    assert till.sign(order).data["paySign"] == signature


@pytest.mark.parametrize("sign_type", [MD5, HMAC])
def test_v2_signs_with_the_orders_own_kind(hospital: Hospital, pay: WeChatPay, sign_type: str) -> None:
    till = tills.opened(hospital, pay, V2, sign_type)
    order = till.ordered(till.booked())
    fields = {"appId": order["app_id"], "timeStamp": STAMP, "nonceStr": NONCE, "signType": sign_type}
    fields["package"] = f"prepay_id={order['prepay_id']}"
    assert till.sign(order).data["paySign"] == wechat_pay_wire_v2.sign(till.merchant.key, fields, sign_type)
    other = {MD5: HMAC, HMAC: MD5}[sign_type]
    assert till.sign(order, signType=other).error == f"signType：必须是 {sign_type}"


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
def test_a_bad_field_is_named(till: Till, field: str, values: list[Any]) -> None:
    order = till.ordered(till.booked())
    for value in values:
        answer = till.sign(order, **{field: value})
        assert (answer.status, answer.error.partition("：")[0]) == (400, field), value


def test_each_field_is_needed(lin: Person) -> None:
    assert post(SIGN, lin.token).error.startswith("agencyId：必填")


def test_what_is_not_the_callers_own_order_is_not_signed(
    till: Till, pay: WeChatPay, wang: Person, elsewhere: Hospital
) -> None:
    order = till.ordered(till.booked())
    other = tills.opened(elsewhere, pay)
    assert till.sign(order, wang).status == 404
    assert till.sign(order, other.hospital.lin).status == 404
    assert till.sign(order, prepayId="wx0000").status == 404
    assert till.sign(order, appId="wx0000000000000009").status == 404
    assert till.sign(order, tenantId=elsewhere.tenant_id).status == 403


def test_what_can_be_paid_no_more_is_not_signed(till: Till) -> None:
    book_id = till.booked()
    order = till.ordered(book_id)
    till.hour_later()
    assert till.sign(order).status == 404
    again = till.ordered(book_id)
    assert till.sign(again).status == 200
    till.ward.cancel(till.hospital.lin, book_id)
    assert till.sign(again).status == 404


def test_what_is_paid_is_not_signed_again(till: Till) -> None:
    book_id = till.booked()
    order = till.ordered(book_id)
    till.paid(book_id)
    assert till.sign(order).status == 404


def test_an_order_that_another_took_the_place_of_is_not_signed(till: Till) -> None:
    book_id = till.booked()
    order = till.ordered(book_id)
    another = till.order(book_id, open_id="oUpF8uMEb4qRXf22hE3X68TekukE").data
    assert (till.sign(order).status, till.sign(another).status) == (404, 200)


def test_what_was_paid_at_the_desk_is_not_signed(till: Till) -> None:
    book_id = till.booked()
    order = till.ordered(book_id)
    mysql.run_autocommit(lambda tx: tx.execute("UPDATE bookings SET charge = 2 WHERE book_id = %(id)s", id=book_id))
    assert till.sign(order).status == 404


def test_an_order_of_another_kind_of_signature_than_is_set_up_is_not_signed(hospital: Hospital, pay: WeChatPay) -> None:
    till = tills.opened(hospital, pay, V2, MD5)
    book_id = till.booked()
    order = till.ordered(book_id)
    newer = pay.merchant(V2, HMAC, appid=till.merchant.appid, mch_id=till.merchant.mch_id)
    assert post(tills.CONF, hospital.admin.token, **tills.wanted(newer)).status == 200
    assert till.sign(order).status == 404
    assert till.sign(till.ordered(book_id)).status == 200
