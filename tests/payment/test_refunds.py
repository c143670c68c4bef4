"""Payments of cancelled bookings are refunded once, also if WeChat Pay fails meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType, WechatPayUnavailableError
from chalicelib.billing.bookings import PaymentState
from chalicelib.booking.closures import stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.payment import reconciliation, refund_store, refunds
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.payment_client import Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def pay_and_cancel(checkout: Checkout) -> str:
    """Pay a booking and cancel it; return its bookId."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
    return book_id


def test_cancelled_booking_is_refunded(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    assert ([one["state"] for one in checkout.list_refunds(book_id)], pay.refunds) == (["pending"], {})
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    refund_at_wechat = pay.refunds[refund["out_refund_no"]]
    assert (refund_at_wechat.fee, refund_at_wechat.reason, refund_at_wechat.refund_id) == (
        1250,
        "预约已取消",
        refund["wechat_id"],
    )
    assert (refund["state"], refund["reason"]) == ("processing", "patient")
    pay.settle_refund(refund["out_refund_no"])
    notification = pay.build_refund_notification(refund["out_refund_no"])
    for _ in range(2):
        response = checkout.deliver_notification(notification, payment_client.REFUND_NOTIFY_PATH)
        assert (response.status, response.content) == (200, b"")
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["success"]
    assert checkout.list_ledger()[-3:] == [
        ("refund_created", "booking"),
        ("processing", "refund"),
        ("success", "notification"),
    ]
    checkout.run_notification_jobs()
    assert (
        checkout.list_site_messages(checkout.hospital.lin)[0]
        == f"退款成功：挂号费 12.50 元已原路退回，预约编号 {book_id}。"
    )


def test_workers_notify_and_refund(checkout: Checkout) -> None:
    """The other tests call the handlers themselves; these are run by the workers, refunds by the external one."""
    mysql.autocommit.execute("DELETE FROM outbox WHERE pending = 1")  # jobs of other tests
    book_id = pay_and_cancel(checkout)
    outbox.run_due_jobs()
    assert f"支付成功：挂号费 12.50 元，预约编号 {book_id}。" in checkout.list_site_messages(checkout.hospital.lin)
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["pending"]
    outbox.run_due_jobs(Queue.EXTERNAL)
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]


def test_stopped_schedule_refunds_its_paid_bookings(checkout: Checkout, pay: WeChatPay) -> None:
    schedule_id = checkout.department.create_schedule()
    book_id = checkout.department.book_slot(checkout.hospital.lin, schedule_id)
    checkout.pay_and_notify(book_id)
    checkout.department.stop_schedule(schedule_id)
    for payload in checkout.list_jobs("cancel_stopped_schedule"):
        stopped_schedules.cancel_bookings(checkout.tenant_id, payload)
    checkout.run_refund_jobs()
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["stopped"]
    assert len(pay.refunds) == 1


def test_concurrent_jobs_refund_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    run_in_threads([checkout.run_refund_jobs] * 8)
    assert (len(checkout.list_refunds(book_id)), len(pay.refunds), pay.calls["refund"]) == (1, 1, 1)


def test_concurrent_job_and_reconciliation_refund_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    pay.accepting.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checkout.run_refund_jobs)
        wait_until(lambda: any(one["checks"] for one in checkout.list_refunds(book_id)))
        reconciliation.run()
        pay.accepting.set()
        first.result()
    assert (len(pay.refunds), checkout.list_refunds(book_id)[0]["checks"]) == (1, 1)


def test_claimed_refund_is_not_processed_again(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    pay.failures["refund"] = 500
    checkout.run_refund_jobs()
    checkout.make_checks_due()
    pay.failures.clear()
    [refund] = refund_store.list_due_of_booking(mysql.autocommit, checkout.tenant_id, int(book_id))
    pay.accepting.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refunds.process, refund)
        wait_until(lambda: checkout.list_refunds(book_id)[0]["checks"] == 2)
        refunds.process(refund)  # returns at once, without a call
        assert not first.done()
        pay.accepting.set()
        first.result()
    assert pay.calls["refund"] == 2


@pytest.mark.parametrize("failing", [500, "", "NOT_ENOUGH"])
def test_failed_refund_is_retried_with_the_same_number(checkout: Checkout, pay: WeChatPay, failing: Any) -> None:
    book_id = pay_and_cancel(checkout)
    pay.failures["refund"] = failing
    checkout.run_refund_jobs()
    [before] = checkout.list_refunds(book_id)
    assert (before["state"], before["error"]) == ("pending", failing if isinstance(failing, str) else "")
    reconciliation.run()  # not before its time
    assert before["checks"] == checkout.list_refunds(book_id)[0]["checks"] == 1
    pay.failures.clear()
    checkout.make_checks_due()
    reconciliation.run()
    [after] = checkout.list_refunds(book_id)
    assert (after["state"], after["out_refund_no"], after["error"]) == ("processing", before["out_refund_no"], "")
    assert list(pay.refunds) == [before["out_refund_no"]]


def test_lost_response_does_not_create_a_second_refund(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, refund = pay_and_cancel(checkout), wechat_pay.refund

    def lose_response(*arguments: Any) -> Any:
        refund(*arguments)
        raise WechatPayUnavailableError("no response in time")

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", lose_response)
        checkout.run_refund_jobs()
    checkout.make_checks_due()
    reconciliation.run()
    assert ([one["state"] for one in checkout.list_refunds(book_id)], len(pay.refunds)) == (["processing"], 1)


def test_refund_of_a_killed_job_is_continued(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = pay_and_cancel(checkout)

    class Killed(BaseException): ...

    def kill(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", kill)
        with pytest.raises(Killed):
            checkout.run_refund_jobs()
    [row] = checkout.list_refunds(book_id)
    assert (row["state"], pay.refunds) == ("pending", {})
    checkout.make_checks_due()
    reconciliation.run()
    assert list(pay.refunds) == [row["out_refund_no"]]


def test_refund_without_notification_is_queried(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    for state in ("PROCESSING", "SUCCESS"):
        pay.settle_refund(refund["out_refund_no"], state)
        checkout.make_checks_due()
        reconciliation.run()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["success"]
    assert checkout.list_ledger()[-1] == ("success", "query")
    assert [one["type"] for one in checkout.list_jobs("notify_payment")][-1] == EventType.PAYMENT_REFUNDED


@pytest.mark.parametrize("notified", [True, False])
@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_abnormal_refund_is_reported_once(
    hospital: Hospital, pay: WeChatPay, version: str, notified: bool, caplog: pytest.LogCaptureFixture
) -> None:
    checkout = payment_client.create_checkout(hospital, pay, version)
    book_id = pay_and_cancel(checkout)
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)

    def set_state(state: str) -> list[str]:
        pay.settle_refund(refund["out_refund_no"], state)
        if notified:
            assert (
                checkout.deliver_notification(
                    pay.build_refund_notification(refund["out_refund_no"]), payment_client.REFUND_NOTIFY_PATH
                ).status
                == 200
            )
        else:
            checkout.make_checks_due()
        reconciliation.run()
        return [one["state"] for one in checkout.list_refunds(book_id)]

    assert set_state("ABNORMAL") == set_state("ABNORMAL") == ["abnormal"]
    assert [one.levelname for one in caplog.records if "refund" in one.message] == ["ERROR"]
    assert set_state("SUCCESS") == ["success"]  # settled by hand at WeChat Pay's merchant platform
    assert set_state("ABNORMAL") == ["success"]  # outdated and late
    assert pay.calls["refund"] == 1


def test_v2_refund_notification_only_causes_a_query(hospital: Hospital, pay: WeChatPay) -> None:
    checkout = payment_client.create_checkout(hospital, pay, ApiVersion.V2, SignType.HMAC_SHA256)
    book_id = pay_and_cancel(checkout)
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    assert refund["state"] == "processing"
    real = pay.refunds[refund["out_refund_no"]]
    pay.settle_refund(refund["out_refund_no"])
    notification = pay.build_refund_notification(refund["out_refund_no"])
    pay.refunds[refund["out_refund_no"]] = real  # the notification could be forged: WeChat Pay has not refunded
    response = checkout.deliver_notification(notification, payment_client.REFUND_NOTIFY_PATH)
    assert (response.status, response.headers["Content-Type"]) == (200, "text/xml")
    reconciliation.run()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]
    pay.settle_refund(refund["out_refund_no"])
    checkout.deliver_notification(notification, payment_client.REFUND_NOTIFY_PATH)
    reconciliation.run()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["success"]


def test_notification_that_does_not_match_its_refund_is_rejected(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = pay_and_cancel(checkout)
    checkout.run_refund_jobs()
    number = checkout.list_refunds(book_id)[0]["out_refund_no"]
    pay.settle_refund(number)
    real = pay.refunds[number]
    others: list[tuple[dict[str, Any], int]] = [
        ({"fee": 1249}, 400),
        ({"order": replace(real.order, out_trade_no="20360107ffffffffffffffffffff")}, 400),
        ({"order": replace(real.order, merchant=replace(real.order.merchant, mch_id="1900009999"))}, 400),
        ({"out_refund_no": "20360107Rfffffffffffffffffff"}, 404),
    ]
    for changed, status in others:
        pay.refunds[number] = replace(real, **changed)
        assert (
            checkout.deliver_notification(
                pay.build_refund_notification(number), payment_client.REFUND_NOTIFY_PATH
            ).status
            == status
        ), changed
    pay.refunds[number] = real
    headers, body = pay.build_refund_notification(number)
    assert checkout.deliver_notification((headers, body + b" "), payment_client.REFUND_NOTIFY_PATH).status == 401
    assert checkout.deliver_notification((headers, body)).status in (400, 404)  # at the path for payments
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]


def test_booking_paid_at_the_desk_is_not_refunded_through_wechat_pay(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    mysql.autocommit.execute(
        "UPDATE bookings SET payment_state = %(paid)s WHERE book_id = %(id)s", paid=PaymentState.PAID, id=book_id
    )
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    assert (pay.calls["refund"], checkout.list_refunds(book_id)) == (0, [])
    assert [str(one["book_id"]) for one in list_rows("refunds_due", checkout.hospital)] == [book_id]
