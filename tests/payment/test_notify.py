"""wechat/pay/notify: a payment is recorded once, for its booking, and only if the notification is authentic."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from chalicelib.logs import JsonFormatter
from chalicelib.notifications.event_types import EventType
from devstack.fakes import wechat_pay_keys
from devstack.fakes import wechat_pay_protocol_v3 as protocol_v3
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.booking_client import list_rows
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.payment_client import BOOKED_PAID, BOOKED_UNPAID, Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
VERSIONS = [(ApiVersion.V3, SignType.RSA), (ApiVersion.V2, SignType.MD5), (ApiVersion.V2, SignType.HMAC_SHA256)]


@pytest.mark.parametrize(("version", "sign_type"), VERSIONS)
def test_notification_marks_the_booking_paid(hospital: Hospital, pay: WeChatPay, version: str, sign_type: str) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version, sign_type)
    book_id = checkout.book_slot()
    response = checkout.deliver_notification(checkout.pay_without_notification(book_id))
    assert response.status == 200
    if version == ApiVersion.V3:
        assert response.content == b""
    else:
        assert b"<return_code><![CDATA[SUCCESS]]></return_code>" in response.content
        assert response.headers["Content-Type"] == "text/xml"
    [payment], [settlement] = checkout.list_payments(book_id), list_rows("settlements", hospital)
    order_at_wechat = pay.orders[payment["out_trade_no"]]
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert (payment["state"], payment["transaction_id"]) == ("success", order_at_wechat.transaction_id)
    assert payment["paid_at"] // clock.SECOND == order_at_wechat.paid_at // clock.SECOND
    assert (settlement["payment_id"], bool(settlement["settled_at"])) == (payment["payment_id"], True)
    assert checkout.list_ledger()[-1] == ("paid", "notification")
    assert list_rows("refunds", hospital) == []
    assert checkout.department.get_booking(hospital.lin, book_id).data["visiCharge"] == 2


def test_patient_is_notified_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    for _ in range(2):
        checkout.deliver_notification(notification)
        checkout.run_notification_jobs()
    assert [one for one in checkout.list_site_messages(checkout.hospital.lin) if "支付" in one] == [
        f"支付成功：挂号费 12.50 元，预约编号 {book_id}。"
    ]
    assert [one["type"] for one in checkout.list_jobs("notify_payment")] == [EventType.PAYMENT_RECEIVED]


@pytest.mark.parametrize(("version", "sign_type"), VERSIONS)
def test_replay_is_acknowledged_and_changes_nothing(
    hospital: Hospital, pay: WeChatPay, version: str, sign_type: str
) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version, sign_type)
    notification = checkout.pay_without_notification(checkout.book_slot())
    first = checkout.deliver_notification(notification)
    tables = ("bookings", "payments", "settlements", "payment_ledger", "outbox", "refunds")
    before = {table: list_rows(table, hospital) for table in tables}
    second = checkout.deliver_notification(notification)
    assert (second.status, second.content) == (first.status, first.content) == (200, first.content)
    assert {table: list_rows(table, hospital) for table in tables} == before


def test_concurrent_duplicates_are_recorded_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    responses = run_in_threads([lambda: checkout.deliver_notification(notification)] * 8)
    assert {one.status for one in responses} == {200}
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "notification")]
    assert (
        checkout.get_booking_state(book_id),
        checkout.list_refunds(book_id),
        len(checkout.list_jobs("notify_payment")),
    ) == (
        BOOKED_PAID,
        [],
        1,
    )


def is_unpaid(checkout: Checkout, book_id: str) -> bool:
    [payment] = checkout.list_payments(book_id)
    return checkout.get_booking_state(book_id) == BOOKED_UNPAID and payment["state"] == "created"


def test_invalid_signature_is_rejected(checkout: Checkout, pay: WeChatPay, caplog: pytest.LogCaptureFixture) -> None:
    book_id = checkout.book_slot()
    headers, body = checkout.pay_without_notification(book_id)
    other_headers = pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])[0]
    pay.signs_with_wrong_key = True
    wrong_key = pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])
    forgeries = [
        wrong_key,
        (other_headers, body),  # the signature of another notification
        ({**headers, "Wechatpay-Serial": "PUB_KEY_ID_unknown"}, body),
        ({**headers, "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"]}, body),
        ({name: value for name, value in headers.items() if "Signature" not in name}, body),
        (headers, body + b" "),  # the signature covers the exact bytes
        (headers, json.dumps(json.loads(body)).encode() + b"\n"),
    ]
    for notification in forgeries:
        response = checkout.deliver_notification(notification)
        assert (response.status, response.code, response.error) == (401, 10103, "签名验证失败")
    assert is_unpaid(checkout, book_id)
    logged = "".join(map(JsonFormatter().format, caplog.records))
    assert "notification rejected" in logged
    for secret in (
        headers["Wechatpay-Signature"],
        checkout.merchant.key,
        checkout.list_payments(book_id)[0]["out_trade_no"],
    ):
        assert secret not in logged
    assert checkout.deliver_notification((headers, body)).status == 200


@pytest.mark.parametrize("minutes", [-6, 6])
def test_old_notification_is_rejected(checkout: Checkout, pay: WeChatPay, minutes: int) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    stale = pay.build_payment_notification(number, clock.now() + minutes * 60 * clock.SECOND)
    assert checkout.deliver_notification(stale).status == 401
    assert is_unpaid(checkout, book_id)
    assert (
        checkout.deliver_notification(
            pay.build_payment_notification(number, clock.now() + minutes * 40 * clock.SECOND)
        ).status
        == 200
    )


def test_notification_may_be_signed_with_a_platform_certificate(checkout: Checkout, pay: WeChatPay) -> None:
    pay.signing_serial = wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    assert checkout.get_booking_state(book_id) == BOOKED_PAID


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_notification_that_does_not_match_its_order_is_rejected(
    hospital: Hospital, pay: WeChatPay, version: str
) -> None:
    """The signature is valid, but amount, account or order is another."""
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    real = pay.orders[number]
    others: list[tuple[dict[str, Any], int]] = [
        ({"fee": 1249}, 400),
        ({"merchant": replace(real.merchant, appid="wx0000000000000001")}, 400),
        ({"merchant": replace(real.merchant, mch_id="1900009999")}, 400),
        ({"out_trade_no": "20360107ffffffffffffffffffff"}, 404),
    ]
    for changed, status in others:
        pay.orders[number] = replace(real, **changed)
        assert checkout.deliver_notification(pay.build_payment_notification(number)).status == status, changed
    assert is_unpaid(checkout, book_id)
    pay.orders[number] = real
    assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200


@pytest.mark.parametrize("state", ["PAYERROR", "USERPAYING", "NOTPAY"])
def test_notification_without_success_changes_nothing(checkout: Checkout, pay: WeChatPay, state: str) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    pay.orders[number] = replace(pay.orders[number], state=state)
    assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    assert is_unpaid(checkout, book_id)


def test_other_currency_is_rejected(checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    build_transaction = protocol_v3._build_transaction
    amount = {"total": 1250, "currency": "USD"}
    with monkeypatch.context() as patched:
        patched.setattr(protocol_v3, "_build_transaction", lambda order: {**build_transaction(order), "amount": amount})
        assert (
            checkout.deliver_notification(
                pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])
            ).status
            == 400
        )
    assert is_unpaid(checkout, book_id)


def test_notification_at_another_hospitals_path_is_rejected(
    checkout: Checkout, pay: WeChatPay, other_hospital: Hospital
) -> None:
    other = payment_client.create_checkout(other_hospital, pay)
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    assert checkout.deliver_notification(notification, tenant_id=other.tenant_id).status == 401
    assert (
        post(
            payment_client.CONF_PATH, other_hospital.admin.token, **payment_client.build_conf(checkout.merchant)
        ).status
        == 200
    )
    assert (
        checkout.deliver_notification(notification, tenant_id=other.tenant_id).status == 404
    )  # also if both have the same account
    assert checkout.deliver_notification(notification, payment_client.REFUND_NOTIFY_PATH).status in (400, 404)
    assert checkout.deliver_notification(notification, tenant_id=999_999_999).status == 404
    assert is_unpaid(checkout, book_id)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"<xml></xml>", b"\xff", b'<!DOCTYPE x [<!ENTITY a "b">]><xml><sign>&a;</sign></xml>']
)
@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_malformed_notification_is_rejected(hospital: Hospital, pay: WeChatPay, version: str, body: bytes) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    for path in (payment_client.NOTIFY_PATH, payment_client.REFUND_NOTIFY_PATH):
        for kind in ("application/json", "text/xml", ""):
            assert checkout.deliver_notification(({"Content-Type": kind}, body), path).status in (400, 401)


def test_notification_above_64_kilobytes_is_rejected(checkout: Checkout) -> None:
    headers, body = checkout.pay_without_notification(checkout.book_slot())
    assert checkout.deliver_notification((headers, body + b" " * 64 * 1024)).status == 413
