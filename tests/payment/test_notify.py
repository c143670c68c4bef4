"""wechat/pay/notify: money counts once, for the booking, and for nothing that is not proven."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType
from chalicelib.logs import JsonFormatter
from chalicelib.notifications.event_types import EventType
from devstack.fakes import wechat_pay_keys
from devstack.fakes import wechat_pay_protocol_v3 as wire
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client as tills
from tests.support.booking_client import list_rows
from tests.support.client import post
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
VERSIONS = [(ApiVersion.V3, SignType.RSA), (ApiVersion.V2, SignType.MD5), (ApiVersion.V2, SignType.HMAC_SHA256)]


@pytest.mark.parametrize(("version", "sign_type"), VERSIONS)
def test_who_has_paid_is_booked_and_paid(hospital: Hospital, pay: WeChatPay, version: str, sign_type: str) -> None:
    till = tills.create_checkout(hospital, pay, version, sign_type)
    book_id = till.book_slot()
    answer = till.deliver_notification(till.pay_without_notification(book_id))
    assert answer.status == 200
    if version == ApiVersion.V3:
        assert answer.content == b""
    else:
        assert b"<return_code><![CDATA[SUCCESS]]></return_code>" in answer.content
        assert answer.headers["Content-Type"] == "text/xml"
    [payment], [settlement] = till.list_payments(book_id), list_rows("settlements", hospital)
    theirs = pay.orders[payment["out_trade_no"]]
    assert till.get_booking_state(book_id) == (0, 2)
    assert (payment["state"], payment["transaction_id"]) == ("paid", theirs.transaction_id)
    assert payment["paid_at"] // clock.SECOND == theirs.paid_at // clock.SECOND
    assert (settlement["payment_id"], bool(settlement["settled_at"])) == (payment["payment_id"], True)
    assert till.list_ledger()[-1] == ("paid", "notification")
    assert list_rows("refunds", hospital) == []
    assert till.department.get_booking(hospital.lin, book_id).data["visiCharge"] == 2


def test_lin_is_told_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    for _ in range(2):
        checkout.deliver_notification(notice)
        checkout.run_notification_jobs()
    assert [one for one in checkout.list_site_messages(checkout.hospital.lin) if "支付" in one] == [
        f"支付成功：挂号费 12.50 元，预约编号 {book_id}。"
    ]
    assert [one["type"] for one in checkout.list_jobs("notify_payment")] == [EventType.PAYMENT_RECEIVED]


@pytest.mark.parametrize(("version", "sign_type"), VERSIONS)
def test_a_replay_answers_success_and_changes_nothing(
    hospital: Hospital, pay: WeChatPay, version: str, sign_type: str
) -> None:
    till = tills.create_checkout(hospital, pay, version, sign_type)
    notice = till.pay_without_notification(till.book_slot())
    first = till.deliver_notification(notice)
    tables = ("bookings", "payments", "settlements", "payment_ledger", "outbox", "refunds")
    before = {table: list_rows(table, hospital) for table in tables}
    second = till.deliver_notification(notice)
    assert (second.status, second.content) == (first.status, first.content) == (200, first.content)
    assert {table: list_rows(table, hospital) for table in tables} == before


def test_one_notice_eight_times_at_once_counts_once(checkout: Checkout) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    answers = run_in_threads([lambda: checkout.deliver_notification(notice)] * 8)
    assert {one.status for one in answers} == {200}
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "notification")]
    assert (
        checkout.get_booking_state(book_id),
        checkout.list_refunds(book_id),
        len(checkout.list_jobs("notify_payment")),
    ) == (
        (0, 2),
        [],
        1,
    )


def unchanged(checkout: Checkout, book_id: str) -> bool:
    [payment] = checkout.list_payments(book_id)
    return checkout.get_booking_state(book_id) == (0, 1) and payment["state"] == "created"


def test_what_is_not_signed_by_wechat_is_refused(
    checkout: Checkout, pay: WeChatPay, caplog: pytest.LogCaptureFixture
) -> None:
    book_id = checkout.book_slot()
    headers, body = checkout.pay_without_notification(book_id)
    forged = pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])[0]
    pay.signs_with_wrong_key = True
    lies = pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])
    wrong = [
        lies,
        (forged, body),  # the signature of another notice
        ({**headers, "Wechatpay-Serial": "PUB_KEY_ID_nobodys"}, body),
        ({**headers, "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + headers["Wechatpay-Signature"]}, body),
        ({name: value for name, value in headers.items() if "Signature" not in name}, body),
        (headers, body + b" "),  # the bytes as they came, and not what they mean
        (headers, json.dumps(json.loads(body)).encode() + b"\n"),
    ]
    for notice in wrong:
        answer = checkout.deliver_notification(notice)
        assert (answer.status, answer.code, answer.error) == (401, 10103, "签名验证失败")
    assert unchanged(checkout, book_id)
    logged = "".join(map(JsonFormatter().format, caplog.records))
    assert "notice refused" in logged
    for secret in (
        headers["Wechatpay-Signature"],
        checkout.merchant.key,
        checkout.list_payments(book_id)[0]["out_trade_no"],
    ):
        assert secret not in logged
    assert checkout.deliver_notification((headers, body)).status == 200


@pytest.mark.parametrize("minutes", [-6, 6])
def test_an_old_notice_is_refused(checkout: Checkout, pay: WeChatPay, minutes: int) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    stale = pay.build_payment_notification(number, clock.now() + minutes * 60 * clock.SECOND)
    assert checkout.deliver_notification(stale).status == 401
    assert unchanged(checkout, book_id)
    assert (
        checkout.deliver_notification(
            pay.build_payment_notification(number, clock.now() + minutes * 40 * clock.SECOND)
        ).status
        == 200
    )


def test_a_platform_certificate_signs_as_well_as_the_key(checkout: Checkout, pay: WeChatPay) -> None:
    pay.signing_serial = wechat_pay_keys.PLATFORM_CERTIFICATE_SERIAL
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    assert checkout.get_booking_state(book_id) == (0, 2)


@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_what_does_not_fit_its_order_is_refused(hospital: Hospital, pay: WeChatPay, version: str) -> None:
    """Signed by WeChat, and of another sum, account or order."""
    till = tills.create_checkout(hospital, pay, version)
    book_id = till.book_slot()
    till.pay_without_notification(book_id)
    number = till.list_payments(book_id)[0]["out_trade_no"]
    real = pay.orders[number]
    others: list[tuple[dict[str, Any], int]] = [
        ({"fee": 1249}, 400),
        ({"merchant": replace(real.merchant, appid="wx0000000000000001")}, 400),
        ({"merchant": replace(real.merchant, mch_id="1900009999")}, 400),
        ({"out_trade_no": "20360107ffffffffffffffffffff"}, 404),
    ]
    for changed, status in others:
        pay.orders[number] = replace(real, **changed)
        assert till.deliver_notification(pay.build_payment_notification(number)).status == status, changed
    assert unchanged(till, book_id)
    pay.orders[number] = real
    assert till.deliver_notification(pay.build_payment_notification(number)).status == 200


@pytest.mark.parametrize("state", ["PAYERROR", "USERPAYING", "NOTPAY"])
def test_a_notice_that_tells_of_no_success_counts_nothing(checkout: Checkout, pay: WeChatPay, state: str) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    number = checkout.list_payments(book_id)[0]["out_trade_no"]
    pay.orders[number] = replace(pay.orders[number], state=state)
    assert checkout.deliver_notification(pay.build_payment_notification(number)).status == 200
    assert unchanged(checkout, book_id)


def test_another_currency_is_refused(checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch) -> None:
    book_id = checkout.book_slot()
    checkout.pay_without_notification(book_id)
    trade = wire._build_transaction
    amount = {"total": 1250, "currency": "USD"}
    with monkeypatch.context() as patched:
        patched.setattr(wire, "_build_transaction", lambda order: {**trade(order), "amount": amount})
        assert (
            checkout.deliver_notification(
                pay.build_payment_notification(checkout.list_payments(book_id)[0]["out_trade_no"])
            ).status
            == 400
        )
    assert unchanged(checkout, book_id)


def test_a_notice_of_this_hospital_at_anothers_path_is_refused(
    checkout: Checkout, pay: WeChatPay, other_hospital: Hospital
) -> None:
    other = tills.create_checkout(other_hospital, pay)
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    assert checkout.deliver_notification(notice, tenant_id=other.tenant_id).status == 401
    assert post(tills.CONF_PATH, other_hospital.admin.token, **tills.build_conf(checkout.merchant)).status == 200
    assert (
        checkout.deliver_notification(notice, tenant_id=other.tenant_id).status == 404
    )  # also where both share an account
    assert checkout.deliver_notification(notice, tills.REFUND_NOTIFY_PATH).status in (400, 404)
    assert checkout.deliver_notification(notice, tenant_id=999_999_999).status == 404
    assert unchanged(checkout, book_id)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"<xml></xml>", b"\xff", b'<!DOCTYPE x [<!ENTITY a "b">]><xml><sign>&a;</sign></xml>']
)
@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_what_is_no_notice_is_refused(hospital: Hospital, pay: WeChatPay, version: str, body: bytes) -> None:
    till = tills.create_checkout(hospital, pay, version)
    for path in (tills.NOTIFY_PATH, tills.REFUND_NOTIFY_PATH):
        for kind in ("application/json", "text/xml", ""):
            assert till.deliver_notification(({"Content-Type": kind}, body), path).status in (400, 401)


def test_a_notice_has_64_kilobytes_at_most(checkout: Checkout) -> None:
    headers, body = checkout.pay_without_notification(checkout.book_slot())
    assert checkout.deliver_notification((headers, body + b" " * 64 * 1024)).status == 413
