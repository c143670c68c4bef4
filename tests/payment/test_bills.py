"""The job fetches each day's bills, compares them with the ledger, and closes differences that vanish."""

import logging
from typing import Any

import pytest

from app import compare_bills
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.wechat_pay.types import ApiVersion
from chalicelib.payment import bill_fetching, bill_statement_store, bill_store
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import bill_client, payment_client
from tests.support.bill_client import BillDesk, Calendar
from tests.support.booking_client import list_rows
from tests.support.client import build_schedule_event, post
from tests.support.factories import Hospital
from tests.support.payment_client import CONF_PATH, build_conf
from tests.support.threads import run_in_threads
from tests.support.wechat_client import APP_ID

pytestmark = pytest.mark.store

FEE = 12.5


@pytest.fixture
def calendar(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Calendar:
    bill_client.limit_job(monkeypatch, hospital.tenant_id)
    return Calendar(monkeypatch)


@pytest.fixture
def desk(hospital: Hospital, pay: WeChatPay, calendar: Calendar) -> BillDesk:
    calendar.travel(0, 9)
    return BillDesk(payment_client.create_checkout(hospital, pay), calendar)


@pytest.fixture
def desk_v2(hospital: Hospital, pay: WeChatPay, calendar: Calendar) -> BillDesk:
    calendar.travel(0, 9)
    return BillDesk(payment_client.create_checkout(hospital, pay, ApiVersion.V2), calendar)


def pay_booking(desk: BillDesk, **fields: Any) -> dict[str, Any]:
    """Book, pay and notify; return the payment's row."""
    return desk.checkout.pay_and_notify(desk.checkout.book_slot(**fields))


@pytest.mark.parametrize("version", ["v3", "v2"])
def test_statement_of_a_day_that_agrees(
    version: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    desk: BillDesk = request.getfixturevalue("desk" if version == "v3" else "desk_v2")
    book_id = desk.checkout.book_slot()
    desk.checkout.pay_and_notify(book_id)
    pay_booking(desk, date=desk.calendar.get_day(3).isoformat())
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.settle_refunds()
    desk.travel(1, 9.9)
    bill_fetching.run()
    assert desk.get_statement(0)["state"] == "waiting"
    desk.travel(1, bill_client.MORNING)
    compare_bills(build_schedule_event(), None)
    assert desk.list_open() == []
    assert desk.get_statement(0) == {
        "date": desk.calendar.get_day(0).isoformat(),
        "state": "fetched",
        "error": "",
        "fund_error": "",
        "fetched_date": clock.format_wire_time(clock.now())[:17] + desk.get_statement(0)["fetched_date"][17:],
        "payment_count": 2,
        "payments": 25.0,
        "refund_count": 1,
        "refunds": 12.5,
        "discounts": 0.0,
        "commission": 0.08,
        "net": 12.42,
        "ledger_payments": 25.0,
        "ledger_refunds": 12.5,
        "open_differences": 0,
    }
    assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_day_without_payments_is_empty(desk: BillDesk) -> None:
    desk.fetch_bills(1)
    statement = desk.get_statement(0)
    assert (statement["state"], statement["net"], statement["error"], statement["fund_error"]) == ("empty", 0.0, "", "")


def test_refund_belongs_to_the_day_on_which_it_was_initiated(desk: BillDesk) -> None:
    book_id = desk.checkout.book_slot(date=desk.calendar.get_day(5).isoformat())
    desk.checkout.pay_and_notify(book_id)
    desk.travel(1, 23.9)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.checkout.run_refund_jobs()
    desk.travel(2, 9)  # it succeeds a day later
    desk.settle_refunds()
    desk.fetch_bills(3)
    assert desk.list_open() == []
    assert [desk.get_statement(day)["refunds"] for day in (0, 1, 2)] == [0.0, 12.5, 0.0]
    assert [desk.get_statement(day)["ledger_refunds"] for day in (0, 1, 2)] == [0.0, 12.5, 0.0]


@pytest.mark.parametrize("version", ["v3", "v2"])
def test_bill_that_is_being_created_is_retried_after_half_an_hour(
    version: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    desk: BillDesk = request.getfixturevalue("desk" if version == "v3" else "desk_v2")
    pay_booking(desk)
    failures = desk.checkout.wechat_pay.failures
    failures["trade_bill"] = "STATEMENT_CREATING" if version == "v3" else "Bill Creating"
    desk.fetch_bills(1)
    assert (desk.get_statement(0)["state"], desk.checkout.wechat_pay.calls["trade_bill"]) == ("waiting", 1)
    desk.travel(1, bill_client.MORNING + 0.45)
    bill_fetching.run()
    assert desk.checkout.wechat_pay.calls["trade_bill"] == 1
    desk.travel(1, bill_client.MORNING + 0.55)
    bill_fetching.run()
    assert desk.checkout.wechat_pay.calls["trade_bill"] == 2
    assert "bill not fetched" not in caplog.text
    desk.travel(1, 14.5)
    bill_fetching.run()
    assert "bill not fetched" in caplog.text
    failures.clear()
    desk.travel(1, 15.5)
    bill_fetching.run()
    assert (desk.get_statement(0)["state"], desk.list_open()) == ("fetched", [])


def test_being_created_on_a_day_without_payments_is_no_failure_and_ends(
    desk: BillDesk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.checkout.wechat_pay.failures["trade_bill"] = "STATEMENT_CREATING"
    for hour in (10.5, 14.5, 20):
        desk.travel(1, hour)
        bill_fetching.run()
    assert desk.get_statement(0)["state"] == "waiting"
    desk.fetch_bills(2)
    assert desk.get_statement(0)["state"] == "empty"
    assert "bill not fetched" not in caplog.text


def test_no_statement_counts_after_the_alarm_time_only_if_the_ledger_has_payments(desk: BillDesk) -> None:
    payment = pay_booking(desk)
    desk.checkout.wechat_pay.bill_changes.hidden.add(payment["out_trade_no"])
    desk.fetch_bills(1)
    assert desk.get_statement(0)["state"] == "waiting"
    desk.travel(1, 14.5)
    bill_fetching.run()
    assert desk.get_statement(0)["state"] == "empty"
    assert [one[1:] for one in desk.list_open()] == [("payment_not_in_bill", None, FEE)]


@pytest.mark.parametrize("failure", [500, "NO_AUTH", ""])
def test_failed_fetch_is_retried_and_raises_an_alarm(
    desk: BillDesk, failure: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    desk.checkout.wechat_pay.failures["trade_bill"] = failure
    desk.fetch_bills(1)
    assert "bill not fetched" not in caplog.text
    assert desk.get_statement(0)["error"]
    desk.travel(1, 14.5)
    bill_fetching.run()
    assert "bill not fetched" in caplog.text
    desk.checkout.wechat_pay.failures.clear()
    desk.travel(1, 16)
    bill_fetching.run()
    assert (desk.get_statement(0)["state"], desk.get_statement(0)["error"]) == ("empty", "")


def test_missed_days_are_made_up_for(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.travel(2, 12)
    pay_booking(desk)
    desk.fetch_bills(4)
    assert [desk.get_statement(day)["payments"] for day in range(4)] == [12.5, 0.0, 12.5, 0.0]
    assert len(desk.list_bills()) == 4


def test_bills_of_more_than_three_months_ago_are_given_up(desk: BillDesk, caplog: pytest.LogCaptureFixture) -> None:
    desk.checkout.wechat_pay.failures["trade_bill"] = 500
    desk.fetch_bills(1)
    desk.checkout.wechat_pay.failures.clear()
    desk.fetch_bills(90)
    bills = desk.list_bills()
    assert [bill["state"] for bill in bills] == ["expired", *["empty"] * 89]
    assert caplog.text.count("bill not fetched") == 1


def test_fund_flow_without_permission_does_not_prevent_the_comparison(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.checkout.wechat_pay.failures["fund_bill"] = "NO_AUTH"
    desk.fetch_bills(1)
    statement = desk.get_statement(0)
    assert (statement["state"], statement["fund_error"], statement["commission"]) == ("fetched", "NO_AUTH", 0.08)
    assert desk.list_open() == []


def test_discounts_are_not_received(desk: BillDesk) -> None:
    payment = pay_booking(desk)
    desk.checkout.wechat_pay.bill_changes.discounts[payment["out_trade_no"]] = 250
    desk.fetch_bills(1)
    statement = desk.get_statement(0)
    amounts = [statement[name] for name in ("payments", "discounts", "commission", "net")]
    assert (amounts, desk.list_open()) == ([12.5, 2.5, 0.08, 9.92], [])


def test_run_that_dies_leaves_nothing_and_is_repeated(desk: BillDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    payment = pay_booking(desk)
    desk.checkout.wechat_pay.bill_changes.fees[payment["out_trade_no"]] = 1300
    with monkeypatch.context() as patch:
        patch.setattr(bill_statement_store, "store_totals", lambda *_: 1 / 0)
        desk.fetch_bills(1)
    assert list_rows("bill_entries", desk.checkout.hospital) == []
    assert desk.list_differences() == []
    desk.travel(1, 11)
    bill_fetching.run()
    assert [one[1] for one in desk.list_open()] == ["payment_amount"]
    assert len(list_rows("bill_entries", desk.checkout.hospital)) == 1


def test_concurrent_runs_fetch_once(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.travel(1, bill_client.MORNING)
    run_in_threads([bill_fetching.run] * 4)
    assert desk.checkout.wechat_pay.calls["trade_bill"] == 1
    assert desk.get_statement(0)["payments"] == 12.5


def test_refund_that_spans_midnight_without_response_counts_when_it_was_accepted(
    desk: BillDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response to the request was lost; it is repeated the next day, and WeChat Pay says when it was accepted."""
    from chalicelib.adapters.wechat_pay import client as wechat_pay

    book_id = desk.checkout.book_slot(date=desk.calendar.get_day(5).isoformat())
    desk.checkout.pay_and_notify(book_id)
    desk.travel(0, 23.9)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    refund = wechat_pay.refund

    def lose_response(*arguments: Any) -> Any:
        refund(*arguments)
        raise wechat_pay.WechatPayUnavailableError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(wechat_pay, "refund", lose_response)
        desk.checkout.run_refund_jobs()
    desk.fetch_bills(1)
    assert [one[1:] for one in desk.list_open()] == [("refund_state", 12.5, None)]
    desk.query_refunds()
    bill_fetching.run()  # the ledger of that day has changed
    assert desk.list_open() == []
    assert desk.get_statement(0)["ledger_refunds"] == 12.5


def test_lost_notification_is_a_difference_until_the_payment_is_found(desk: BillDesk) -> None:
    book_id = desk.checkout.book_slot(date=desk.calendar.get_day(5).isoformat())
    desk.checkout.pay_without_notification(book_id)
    desk.fetch_bills(1)
    [difference] = desk.list_differences()
    assert (difference["kind"], difference["ledger_state"], difference["book_id"]) == (
        "payment_state",
        "created",
        book_id,
    )
    desk.query_refunds()
    bill_fetching.run()
    [difference] = desk.list_differences()
    assert (difference["state"], difference["resolved_by"], bool(difference["resolved_date"])) == ("resolved", "", True)
    assert desk.get_statement(0)["ledger_payments"] == 12.5


def test_foreign_payments_of_a_shared_account_belong_to_their_hospital(
    desk: BillDesk, other_hospital: Hospital
) -> None:
    payment = pay_booking(desk)
    sql = "UPDATE payments SET tenant_id = %(other)s WHERE payment_id = %(id)s"
    mysql.autocommit.execute(sql, other=other_hospital.tenant_id, id=payment["payment_id"])
    pay_booking(desk, date=desk.calendar.get_day(5).isoformat())
    desk.fetch_bills(1)
    assert (desk.list_open(), desk.get_statement(0)["payments"]) == ([], 12.5)


def test_former_account_is_compared_on_days_with_refunds(desk: BillDesk, pay: WeChatPay) -> None:
    book_id = desk.checkout.book_slot(date=desk.calendar.get_day(5).isoformat())
    desk.checkout.pay_and_notify(book_id)
    desk.travel(1, 9)
    second = pay.add_merchant(appid=APP_ID)
    assert post(CONF_PATH, desk.checkout.hospital.admin.token, **build_conf(second)).status == 200
    desk.travel(2, 12)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.settle_refunds()
    desk.fetch_bills(4)
    former, current = desk.checkout.merchant.mch_id, second.mch_id
    found = [(bill["mch_id"], (bill["day"] - desk.calendar.first_day).days) for bill in desk.list_bills()]
    assert sorted(found) == sorted([(former, 0), (former, 2), (current, 1), (current, 2), (current, 3)])
    assert (desk.get_statement(2)["refunds"], desk.list_open()) == (12.5, [])


def test_comparison_requests_do_not_reach_bills_that_wait(desk: BillDesk) -> None:
    desk.travel(1, 9)
    bill_fetching.run()
    bill_store.request_comparison(
        mysql.autocommit, desk.checkout.tenant_id, desk.checkout.merchant.mch_id, clock.now() - clock.DAY
    )
    assert [bill["check_at"] for bill in desk.list_bills()] == [
        bill_fetching.compute_first_fetch(desk.calendar.first_day)
    ]
