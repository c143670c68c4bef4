"""What was paid for a visit that will not be goes back whole, once, whatever WeChat does meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import HMAC, V2, V3, WechatPayUnavailableError
from chalicelib.booking.reservations import stopped_schedules
from chalicelib.outbox.jobs import EXTERNAL_JOBS, JOB_FUNCTIONS
from chalicelib.payment import notifications, reconciliation, refund_store, refunds
from devstack.wechat_pay import WeChatPay
from tests.booking.ward import rows
from tests.faults.aftermath import wait_until
from tests.payment import till as tills
from tests.payment.till import Till
from tests.people import Hospital
from tests.threads import at_once

pytestmark = pytest.mark.store


def cancelled(till: Till) -> str:
    """Paid, and cancelled."""
    book_id = till.booked()
    till.paid(book_id)
    assert till.ward.cancel(till.hospital.lin, book_id).status == 200
    return book_id


def test_who_cancels_a_paid_booking_has_the_money_back(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    assert ([one["state"] for one in till.refunds(book_id)], pay.refunds) == (["due"], {})
    till.pay_back()
    [refund] = till.refunds(book_id)
    theirs = pay.refunds[refund["out_refund_no"]]
    assert (theirs.fee, theirs.reason, theirs.refund_id) == (1250, "预约已取消", refund["wechat_id"])
    assert (refund["state"], refund["reason"]) == ("sent", "patient")
    pay.settle(refund["out_refund_no"])
    notice = pay.refund_notice(refund["out_refund_no"])
    for _ in range(2):
        answer = till.told(notice, tills.REFUND_NOTIFY)
        assert (answer.status, answer.content) == (200, b"")
    assert [one["state"] for one in till.refunds(book_id)] == ["done"]
    assert till.ledger()[-3:] == [("owed back", "booking"), ("sent", "refund"), ("done", "notice")]
    till.announce()
    assert till.messages(till.hospital.lin)[0] == f"退款成功：挂号费 12.50 元已原路退回，预约编号 {book_id}。"


def test_money_goes_back_in_the_lane_of_what_calls_others() -> None:
    assert "refund" in EXTERNAL_JOBS
    assert "tell_payment" in JOB_FUNCTIONS.keys() - EXTERNAL_JOBS


def test_a_stopped_clinic_pays_back_who_has_paid(till: Till, pay: WeChatPay) -> None:
    schedule_id = till.ward.schedule()
    book_id = till.ward.booked(till.hospital.lin, schedule_id)
    till.paid(book_id)
    till.ward.stop(schedule_id)
    for payload in till.promised("stop_schedule"):
        stopped_schedules.cancel_bookings(till.tenant_id, payload)
    till.pay_back()
    assert [one["reason"] for one in till.refunds(book_id)] == ["stopped"]
    assert len(pay.refunds) == 1


def test_the_job_run_eight_times_at_once_pays_back_once(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    at_once([till.pay_back] * 8)
    assert (len(till.refunds(book_id)), len(pay.refunds), pay.calls["refund"]) == (1, 1, 1)


def test_job_and_reconciliation_at_once_pay_back_once(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    pay.open.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(till.pay_back)
        wait_until(lambda: any(one["checks"] for one in till.refunds(book_id)))
        reconciliation.run()
        pay.open.set()
        first.result()
    assert (len(pay.refunds), till.refunds(book_id)[0]["checks"]) == (1, 1)


def test_who_has_seen_a_refund_that_another_took_leaves_it(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    pay.failing["refund"] = 500
    till.pay_back()
    till.minute_later()
    pay.failing.clear()
    [seen] = mysql.run_autocommit(lambda tx: refund_store.list_due_of_booking(tx, till.tenant_id, int(book_id)))
    pay.open.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refunds.process, seen)
        wait_until(lambda: till.refunds(book_id)[0]["checks"] == 2)
        refunds.process(seen)  # while WeChat answers nobody: it asks nothing
        assert not first.done()
        pay.open.set()
        first.result()
    assert pay.calls["refund"] == 2


@pytest.mark.parametrize("failing", [500, "", "NOT_ENOUGH"])
def test_what_wechat_refuses_or_does_not_answer_is_tried_again_by_the_same_number(
    till: Till, pay: WeChatPay, failing: Any
) -> None:
    book_id = cancelled(till)
    pay.failing["refund"] = failing
    till.pay_back()
    [before] = till.refunds(book_id)
    assert (before["state"], before["error"]) == ("due", failing if isinstance(failing, str) else "")
    reconciliation.run()  # not before its time
    assert before["checks"] == till.refunds(book_id)[0]["checks"] == 1
    pay.failing.clear()
    till.minute_later()
    reconciliation.run()
    [after] = till.refunds(book_id)
    assert (after["state"], after["out_refund_no"], after["error"]) == ("sent", before["out_refund_no"], "")
    assert list(pay.refunds) == [before["out_refund_no"]]


def test_a_refund_whose_answer_was_lost_is_not_made_twice(
    till: Till, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id, refund = cancelled(till), wechat_pay.refund

    def lost(*arguments: Any) -> Any:
        refund(*arguments)
        raise WechatPayUnavailableError("no answer in time")

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", lost)
        till.pay_back()
    till.minute_later()
    reconciliation.run()
    assert ([one["state"] for one in till.refunds(book_id)], len(pay.refunds)) == (["sent"], 1)


def test_a_job_that_dies_after_its_row_goes_on_with_that_row(
    till: Till, pay: WeChatPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = cancelled(till)

    class Killed(BaseException): ...

    def killed(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(wechat_pay, "refund", killed)
        with pytest.raises(Killed):
            till.pay_back()
    [row] = till.refunds(book_id)
    assert (row["state"], pay.refunds) == ("due", {})
    till.minute_later()
    reconciliation.run()
    assert list(pay.refunds) == [row["out_refund_no"]]


def test_a_refund_that_nobody_was_told_of_is_asked_for(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    till.pay_back()
    [refund] = till.refunds(book_id)
    for state in ("PROCESSING", "SUCCESS"):
        pay.settle(refund["out_refund_no"], state)
        till.minute_later()
        reconciliation.run()
    assert [one["state"] for one in till.refunds(book_id)] == ["done"]
    assert till.ledger()[-1] == ("done", "query")
    assert [one["type"] for one in till.promised("tell_payment")][-1] == notifications.REFUNDED


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("version", [V3, V2])
def test_what_only_a_person_can_mend_wakes_one_once(
    hospital: Hospital, pay: WeChatPay, version: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    till = tills.opened(hospital, pay, version)
    book_id = cancelled(till)
    till.pay_back()
    [refund] = till.refunds(book_id)

    def becomes(state: str) -> list[str]:
        pay.settle(refund["out_refund_no"], state)
        if told:
            assert till.told(pay.refund_notice(refund["out_refund_no"]), tills.REFUND_NOTIFY).status == 200
        else:
            till.minute_later()
        reconciliation.run()
        return [one["state"] for one in till.refunds(book_id)]

    assert becomes("ABNORMAL") == becomes("ABNORMAL") == ["stuck"]
    assert [one.levelname for one in caplog.records if "refund" in one.message] == ["ERROR"]
    assert becomes("SUCCESS") == ["done"]  # by hand, at WeChat's merchant platform
    assert becomes("ABNORMAL") == ["done"]  # what is older, and comes late
    assert pay.calls["refund"] == 1


def test_a_v2_notice_of_a_refund_is_only_a_reason_to_ask(hospital: Hospital, pay: WeChatPay) -> None:
    till = tills.opened(hospital, pay, V2, HMAC)
    book_id = cancelled(till)
    till.pay_back()
    [refund] = till.refunds(book_id)
    assert refund["state"] == "sent"
    real = pay.refunds[refund["out_refund_no"]]
    pay.settle(refund["out_refund_no"])
    notice = pay.refund_notice(refund["out_refund_no"])
    pay.refunds[refund["out_refund_no"]] = real  # whoever knows the key could say it; WeChat knows of no success
    answer = till.told(notice, tills.REFUND_NOTIFY)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/xml")
    reconciliation.run()
    assert [one["state"] for one in till.refunds(book_id)] == ["sent"]
    pay.settle(refund["out_refund_no"])
    till.told(notice, tills.REFUND_NOTIFY)
    reconciliation.run()
    assert [one["state"] for one in till.refunds(book_id)] == ["done"]


def test_a_notice_of_another_refund_is_refused(till: Till, pay: WeChatPay) -> None:
    book_id = cancelled(till)
    till.pay_back()
    number = till.refunds(book_id)[0]["out_refund_no"]
    pay.settle(number)
    real = pay.refunds[number]
    others: list[tuple[dict[str, Any], int]] = [
        ({"fee": 1249}, 400),
        ({"order": replace(real.order, out_trade_no="20360107ffffffffffffffffffff")}, 400),
        ({"order": replace(real.order, merchant=replace(real.order.merchant, mch_id="1900009999"))}, 400),
        ({"out_refund_no": "20360107Rfffffffffffffffffff"}, 404),
    ]
    for changed, status in others:
        pay.refunds[number] = replace(real, **changed)
        assert till.told(pay.refund_notice(number), tills.REFUND_NOTIFY).status == status, changed
    pay.refunds[number] = real
    headers, body = pay.refund_notice(number)
    assert till.told((headers, body + b" "), tills.REFUND_NOTIFY).status == 401
    assert till.told((headers, body)).status in (400, 404)  # at the path of payments
    assert [one["state"] for one in till.refunds(book_id)] == ["sent"]


def test_what_was_paid_at_the_desk_is_left_to_the_desk(till: Till, pay: WeChatPay) -> None:
    book_id = till.booked()
    mysql.run_autocommit(lambda tx: tx.execute("UPDATE bookings SET charge = 2 WHERE book_id = %(id)s", id=book_id))
    till.ward.cancel(till.hospital.lin, book_id)
    till.pay_back()
    assert (pay.calls["refund"], till.refunds(book_id)) == (0, [])
    assert [str(one["book_id"]) for one in rows("refunds_due", till.hospital)] == [book_id]
