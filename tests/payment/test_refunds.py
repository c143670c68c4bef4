"""What was paid for a visit that will not be goes back whole, once, whatever WeChat does meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion, SignType, WechatPayUnavailableError
from chalicelib.booking.reservations import stopped_schedules
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox.jobs import EXTERNAL_JOBS, Job
from chalicelib.payment import reconciliation, refund_store, refunds
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client as tills
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.payment_client import Checkout
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def cancelled(checkout: Checkout) -> str:
    """Paid, and cancelled."""
    book_id = checkout.book_slot()
    checkout.pay_and_notify(book_id)
    assert checkout.department.cancel(checkout.hospital.lin, book_id).status == 200
    return book_id


def test_who_cancels_a_paid_booking_has_the_money_back(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
    assert ([one["state"] for one in checkout.list_refunds(book_id)], pay.refunds) == (["pending"], {})
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    theirs = pay.refunds[refund["out_refund_no"]]
    assert (theirs.fee, theirs.reason, theirs.refund_id) == (1250, "预约已取消", refund["wechat_id"])
    assert (refund["state"], refund["reason"]) == ("processing", "patient")
    pay.settle_refund(refund["out_refund_no"])
    notice = pay.build_refund_notification(refund["out_refund_no"])
    for _ in range(2):
        answer = checkout.deliver_notification(notice, tills.REFUND_NOTIFY_PATH)
        assert (answer.status, answer.content) == (200, b"")
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


def test_refunds_run_in_the_external_queue() -> None:
    assert Job.REFUND_BOOKING in EXTERNAL_JOBS
    assert Job.NOTIFY_PAYMENT not in EXTERNAL_JOBS


def test_a_stopped_clinic_pays_back_who_has_paid(checkout: Checkout, pay: WeChatPay) -> None:
    schedule_id = checkout.department.create_schedule()
    book_id = checkout.department.book_slot(checkout.hospital.lin, schedule_id)
    checkout.pay_and_notify(book_id)
    checkout.department.stop_schedule(schedule_id)
    for payload in checkout.list_jobs("cancel_stopped_schedule"):
        stopped_schedules.cancel_bookings(checkout.tenant_id, payload)
    checkout.run_refund_jobs()
    assert [one["reason"] for one in checkout.list_refunds(book_id)] == ["stopped"]
    assert len(pay.refunds) == 1


def test_the_job_run_eight_times_at_once_pays_back_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
    run_in_threads([checkout.run_refund_jobs] * 8)
    assert (len(checkout.list_refunds(book_id)), len(pay.refunds), pay.calls["refund"]) == (1, 1, 1)


def test_job_and_reconciliation_at_once_pay_back_once(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
    pay.accepting.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(checkout.run_refund_jobs)
        wait_until(lambda: any(one["checks"] for one in checkout.list_refunds(book_id)))
        reconciliation.run()
        pay.accepting.set()
        first.result()
    assert (len(pay.refunds), checkout.list_refunds(book_id)[0]["checks"]) == (1, 1)


def test_who_has_seen_a_refund_that_another_took_leaves_it(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
    pay.failures["refund"] = 500
    checkout.run_refund_jobs()
    checkout.make_checks_due()
    pay.failures.clear()
    [seen] = refund_store.list_due_of_booking(mysql.autocommit, checkout.tenant_id, int(book_id))
    pay.accepting.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refunds.process, seen)
        wait_until(lambda: checkout.list_refunds(book_id)[0]["checks"] == 2)
        refunds.process(seen)  # while WeChat answers nobody: it asks nothing
        assert not first.done()
        pay.accepting.set()
        first.result()
    assert pay.calls["refund"] == 2


@pytest.mark.parametrize("failing", [500, "", "NOT_ENOUGH"])
def test_what_wechat_refuses_or_does_not_answer_is_tried_again_by_the_same_number(
    checkout: Checkout, pay: WeChatPay, failing: Any
) -> None:
    book_id = cancelled(checkout)
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


def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, refund = cancelled(checkout), wechat_pay.refund

    def lost(*arguments: Any) -> Any:
        refund(*arguments)
        raise WechatPayUnavailableError("no answer in time")

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", lost)
        checkout.run_refund_jobs()
    checkout.make_checks_due()
    reconciliation.run()
    assert ([one["state"] for one in checkout.list_refunds(book_id)], len(pay.refunds)) == (["processing"], 1)


def test_a_job_that_dies_after_its_row_goes_on_with_that_row(
    checkout: Checkout, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = cancelled(checkout)

    class Killed(BaseException): ...

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", killed)
        with pytest.raises(Killed):
            checkout.run_refund_jobs()
    [row] = checkout.list_refunds(book_id)
    assert (row["state"], pay.refunds) == ("pending", {})
    checkout.make_checks_due()
    reconciliation.run()
    assert list(pay.refunds) == [row["out_refund_no"]]


def test_a_refund_that_nobody_was_told_of_is_asked_for(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
    checkout.run_refund_jobs()
    [refund] = checkout.list_refunds(book_id)
    for state in ("PROCESSING", "SUCCESS"):
        pay.settle_refund(refund["out_refund_no"], state)
        checkout.make_checks_due()
        reconciliation.run()
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["success"]
    assert checkout.list_ledger()[-1] == ("success", "query")
    assert [one["type"] for one in checkout.list_jobs("notify_payment")][-1] == EventType.PAYMENT_REFUNDED


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("version", [ApiVersion.V3, ApiVersion.V2])
def test_what_only_a_person_can_mend_wakes_one_once(
    hospital: Hospital, pay: WeChatPay, version: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    till = tills.create_checkout(hospital, pay, version)
    book_id = cancelled(till)
    till.run_refund_jobs()
    [refund] = till.list_refunds(book_id)

    def becomes(state: str) -> list[str]:
        pay.settle_refund(refund["out_refund_no"], state)
        if told:
            assert (
                till.deliver_notification(
                    pay.build_refund_notification(refund["out_refund_no"]), tills.REFUND_NOTIFY_PATH
                ).status
                == 200
            )
        else:
            till.make_checks_due()
        reconciliation.run()
        return [one["state"] for one in till.list_refunds(book_id)]

    assert becomes("ABNORMAL") == becomes("ABNORMAL") == ["abnormal"]
    assert [one.levelname for one in caplog.records if "refund" in one.message] == ["ERROR"]
    assert becomes("SUCCESS") == ["success"]  # by hand, at WeChat's merchant platform
    assert becomes("ABNORMAL") == ["success"]  # what is older, and comes late
    assert pay.calls["refund"] == 1


def test_a_v2_notice_of_a_refund_is_only_a_reason_to_ask(hospital: Hospital, pay: WeChatPay) -> None:
    till = tills.create_checkout(hospital, pay, ApiVersion.V2, SignType.HMAC_SHA256)
    book_id = cancelled(till)
    till.run_refund_jobs()
    [refund] = till.list_refunds(book_id)
    assert refund["state"] == "processing"
    real = pay.refunds[refund["out_refund_no"]]
    pay.settle_refund(refund["out_refund_no"])
    notice = pay.build_refund_notification(refund["out_refund_no"])
    pay.refunds[refund["out_refund_no"]] = real  # whoever knows the key could say it; WeChat knows of no success
    answer = till.deliver_notification(notice, tills.REFUND_NOTIFY_PATH)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml")
    reconciliation.run()
    assert [one["state"] for one in till.list_refunds(book_id)] == ["processing"]
    pay.settle_refund(refund["out_refund_no"])
    till.deliver_notification(notice, tills.REFUND_NOTIFY_PATH)
    reconciliation.run()
    assert [one["state"] for one in till.list_refunds(book_id)] == ["success"]


def test_a_notice_of_another_refund_is_refused(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = cancelled(checkout)
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
            checkout.deliver_notification(pay.build_refund_notification(number), tills.REFUND_NOTIFY_PATH).status
            == status
        ), changed
    pay.refunds[number] = real
    headers, body = pay.build_refund_notification(number)
    assert checkout.deliver_notification((headers, body + b" "), tills.REFUND_NOTIFY_PATH).status == 401
    assert checkout.deliver_notification((headers, body)).status in (400, 404)  # at the path of payments
    assert [one["state"] for one in checkout.list_refunds(book_id)] == ["processing"]


def test_what_was_paid_at_the_desk_is_left_to_the_desk(checkout: Checkout, pay: WeChatPay) -> None:
    book_id = checkout.book_slot()
    mysql.autocommit.execute("UPDATE bookings SET payment_state = 2 WHERE book_id = %(id)s", id=book_id)
    checkout.department.cancel(checkout.hospital.lin, book_id)
    checkout.run_refund_jobs()
    assert (pay.calls["refund"], checkout.list_refunds(book_id)) == (0, [])
    assert [str(one["book_id"]) for one in list_rows("refunds_due", checkout.hospital)] == [book_id]
