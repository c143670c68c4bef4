"""Each kind of difference between a bill and the ledger, what becomes of it, and its endpoints."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.payment import bill_fetching
from chalicelib.payment.bill_difference_store import DifferenceKind, DifferenceState
from chalicelib.payment.bill_differences import TEXTS
from chalicelib.payment.bill_models import KindName, StateName
from devstack.fakes.wechat_pay_bills import BillChanges
from tests.payment.test_bills import calendar, desk, desk_v2, pay_booking
from tests.support.bill_client import MORNING, WECHAT_PATH, BillDesk
from tests.support.booking_client import list_rows
from tests.support.client import get, post
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads

__all__ = ["calendar", "desk", "desk_v2"]
pytestmark = pytest.mark.store


def book_later(desk: BillDesk) -> str:
    """Book a day that is later than all others of the test."""
    return desk.checkout.book_slot(date=desk.calendar.get_day(12).isoformat())


def pay_and_refund(desk: BillDesk) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pay and cancel on the same day; return the rows of payment and refund."""
    book_id = book_later(desk)
    payment = desk.checkout.pay_and_notify(book_id)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.settle_refunds()
    [refund] = desk.checkout.list_refunds(book_id)
    return payment, refund


def get_changes(desk: BillDesk) -> BillChanges:
    return desk.checkout.wechat_pay.bill_changes


def compare_again(desk: BillDesk, day: int, hour: float) -> None:
    """Have the day fetched again without the planted differences."""
    desk.travel(day, hour)
    desk.checkout.wechat_pay.bill_changes = BillChanges()
    for number in range(day):
        assert desk.request_fetch(number).status == 200
    bill_fetching.run()


def list_kinds(desk: BillDesk) -> list[str]:
    return [kind for _, kind, _, _ in desk.list_open()]


@pytest.mark.parametrize(
    ("side", "plant", "kinds", "amounts"),
    [
        ("payment", "hidden", ["payment_not_in_bill"], (None, 12.5)),
        ("payment", "fees", ["payment_amount"], (13.0, 12.5)),
        ("refund", "hidden", ["refund_not_in_bill"], (None, 12.5)),
        ("refund", "fees", ["refund_amount"], (13.0, 12.5)),
        ("payment", "hidden_funds", ["fund_missing"], (12.42, None)),
        ("payment", "funds", ["fund_amount"], (12.42, 12.92)),
        ("refund", "funds", ["fund_amount"], (-12.42, -12.92)),
    ],
)
def test_planted_difference_is_found_and_closed_when_it_vanishes(
    desk: BillDesk,
    side: str,
    plant: str,
    kinds: list[str],
    amounts: tuple[float | None, float | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    payment, refund = pay_and_refund(desk)
    number = payment["out_trade_no"] if side == "payment" else refund["out_refund_no"]
    planted = getattr(get_changes(desk), plant)
    if isinstance(planted, set):
        planted.add(number)
    else:
        planted[number] = 1300
    desk.fetch_bills(1)
    [found] = desk.list_differences()
    assert ([found["kind"]], found["number"], found["state"]) == (kinds, number, "open")
    assert (found["bill_amount"], found["ledger_amount"]) == amounts
    title, action = TEXTS[DifferenceKind(found["kind"])]
    assert (found["title"], found["action"]) == (title, action)
    assert desk.get_statement(0)["open_differences"] == 1
    [error] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert error.getMessage() == "bill differs from ledger"
    compare_again(desk, 1, 12)
    [closed] = desk.list_differences()
    assert (closed["state"], closed["resolved_by"], closed["difference_id"]) == ("resolved", "", found["difference_id"])
    assert desk.get_statement(0)["open_differences"] == 0


def test_payment_of_another_system_is_not_in_the_ledger(desk: BillDesk) -> None:
    payment = desk.checkout.pay_and_notify(book_later(desk))
    mysql.autocommit.execute(
        "UPDATE payments SET out_trade_no = 'ours' WHERE payment_id = %(id)s", id=payment["payment_id"]
    )
    desk.fetch_bills(1)
    day = desk.calendar.get_day(0).isoformat()
    assert desk.list_open() == [
        (day, "payment_not_in_bill", None, 12.5),
        (day, "payment_not_in_ledger", 12.5, None),
    ]


def test_refund_by_hand_is_not_in_the_ledger(desk: BillDesk) -> None:
    """A person refunded it at the merchant platform; our own refund is then rejected as complete."""
    from chalicelib.adapters.wechat_pay import client as wechat_pay

    book_id = book_later(desk)
    payment = desk.checkout.pay_and_notify(book_id)
    wechat_pay.refund(desk.checkout.merchant, payment["out_trade_no"], "byhand01", 1250, 1250, "", "")
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.checkout.make_checks_due()
    desk.checkout.run_refund_jobs()
    desk.fetch_bills(1)
    assert list_kinds(desk) == ["refund_not_in_bill", "refund_not_in_ledger"]
    assert desk.get_statement(0)["refunds"] == desk.get_statement(0)["ledger_refunds"] == 12.5


@pytest.mark.parametrize("side", ["payment", "refund"])
def test_other_day_is_reported_on_both_days(desk: BillDesk, side: str) -> None:
    payment, refund = pay_and_refund(desk)
    number = payment["out_trade_no"] if side == "payment" else refund["out_refund_no"]
    get_changes(desk).days[number] = desk.calendar.get_day(1)
    desk.fetch_bills(2)
    bill_fetching.run()
    first, second = (desk.calendar.get_day(day).isoformat() for day in range(2))
    assert desk.list_open() == [(first, f"{side}_day", None, 12.5), (second, f"{side}_day", 12.5, None)]


def test_refund_that_does_not_arrive_is_late_until_it_does(desk: BillDesk) -> None:
    book_id = book_later(desk)
    desk.checkout.pay_and_notify(book_id)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.checkout.run_refund_jobs()
    for day in range(1, 5):
        desk.fetch_bills(day)
        assert desk.list_open() == []
    desk.travel(5, 12)  # a day and more after the last comparison
    bill_fetching.run()
    assert list_kinds(desk) == ["refund_late"]
    desk.settle_refunds()
    desk.travel(5, 14)
    bill_fetching.run()
    assert desk.list_open() == []


def test_abnormal_refund_is_late_at_once(desk: BillDesk) -> None:
    book_id = book_later(desk)
    desk.checkout.pay_and_notify(book_id)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.checkout.run_refund_jobs()
    [number] = desk.checkout.wechat_pay.refunds
    desk.checkout.wechat_pay.settle_refund(number, "ABNORMAL")
    desk.query_refunds()
    desk.fetch_bills(1)
    assert [(one["kind"], one["ledger_state"]) for one in desk.list_differences()] == [("refund_late", "abnormal")]


def test_refund_that_wechat_pay_closes_later_is_reported_on_its_day(desk: BillDesk) -> None:
    book_id = book_later(desk)
    desk.checkout.pay_and_notify(book_id)
    desk.checkout.department.cancel(desk.checkout.hospital.lin, book_id)
    desk.checkout.run_refund_jobs()
    desk.fetch_bills(1)
    [number] = desk.checkout.wechat_pay.refunds
    assert desk.list_open() == []
    desk.travel(3, 12)
    desk.checkout.wechat_pay.settle_refund(number, "CLOSED")
    desk.query_refunds()  # it gets another number
    desk.query_refunds()  # which is requested
    desk.fetch_bills(4)
    first = desk.calendar.get_day(0).isoformat()
    assert [(one["date"], one["kind"], one["number"]) for one in desk.list_differences()] == [
        (first, "refund_closed", number)
    ]
    assert [desk.get_statement(day)["ledger_refunds"] for day in (0, 3)] == [0.0, 12.5]


def test_posting_after_midnight_is_found_in_the_next_bill(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.travel(0, 23.95)
    payment = desk.checkout.pay_and_notify(book_later(desk))
    get_changes(desk).hidden_funds.add(payment["out_trade_no"])
    desk.fetch_bills(1)
    assert desk.list_open() == []
    desk.travel(1, 12)
    desk.checkout.pay_and_notify(desk.checkout.book_slot(date=desk.calendar.get_day(13).isoformat()))
    desk.fetch_bills(2)
    bill_fetching.run()
    assert [one[:2] for one in desk.list_open()] == [(desk.calendar.get_day(0).isoformat(), "fund_missing")]


def test_admin_resolves_a_difference_once(desk: BillDesk) -> None:
    payment, _ = pay_and_refund(desk)
    get_changes(desk).fees[payment["out_trade_no"]] = 1300
    desk.fetch_bills(1)
    [found] = desk.list_differences()
    first = desk.resolve(found["difference_id"])
    admin = desk.checkout.hospital.admin
    assert (first.data["state"], first.data["resolved_by"], first.data["note"]) == (
        "resolved",
        str(admin.user_id),
        "已与财务核对",
    )
    assert first.data["resolved_by_name"]
    assert desk.resolve(found["difference_id"]).data == first.data
    assert desk.resolve(found["difference_id"], "另一说明").data == first.data
    entries = [one for one in list_rows("audit_log", desk.checkout.hospital) if one["action"] == "resolve_difference"]
    assert [(one["subject"], one["reason"]) for one in entries] == [
        (f"difference:{found['difference_id']}".encode(), "已与财务核对")
    ]
    desk.travel(1, 12)
    desk.request_fetch(0)
    bill_fetching.run()
    assert desk.list_open() == []
    get_changes(desk).fees[payment["out_trade_no"]] = 1400  # another difference than the one that was resolved
    desk.request_fetch(0)
    bill_fetching.run()
    [again] = desk.list_differences()
    assert (again["state"], again["note"], again["bill_amount"]) == ("open", "", 14.0)


def test_closed_difference_that_comes_back_is_open_again(desk: BillDesk) -> None:
    payment, _ = pay_and_refund(desk)
    get_changes(desk).fees[payment["out_trade_no"]] = 1300
    desk.fetch_bills(1)
    compare_again(desk, 1, 11)
    assert desk.list_open() == []
    get_changes(desk).fees[payment["out_trade_no"]] = 1300
    desk.request_fetch(0)
    bill_fetching.run()
    assert list_kinds(desk) == ["payment_amount"]


def test_concurrent_resolutions_have_one_author(desk: BillDesk) -> None:
    payment, _ = pay_and_refund(desk)
    get_changes(desk).hidden.add(payment["out_trade_no"])
    desk.fetch_bills(1)
    [found] = desk.list_differences()
    results = run_in_threads([lambda: desk.resolve(found["difference_id"]).data for _ in range(4)])
    assert all(one == results[0] for one in results)
    entries = [one for one in list_rows("audit_log", desk.checkout.hospital) if one["action"] == "resolve_difference"]
    assert len(entries) == 1


def test_differences_are_filtered_and_paged(desk: BillDesk) -> None:
    payments = [
        desk.checkout.pay_and_notify(desk.checkout.book_slot(date=desk.calendar.get_day(10 + day).isoformat()))
        for day in range(3)
    ]
    get_changes(desk).hidden.add(payments[0]["out_trade_no"])
    get_changes(desk).fees[payments[1]["out_trade_no"]] = 1300
    get_changes(desk).funds[payments[2]["out_trade_no"]] = 1300
    desk.fetch_bills(1)
    everything = desk.list_differences()
    assert sorted(one["kind"] for one in everything) == ["fund_amount", "payment_amount", "payment_not_in_bill"]
    pages, before = [], ""
    while page := desk.list_differences(page_size=2, difference_id=before):
        pages.append(page)
        before = page[-1]["difference_id"]
    assert ([len(page) for page in pages], [one for page in pages for one in page]) == ([2, 1], everything)
    assert [one["kind"] for one in desk.list_differences(kind="fund_amount")] == ["fund_amount"]
    assert desk.list_differences(date=desk.calendar.get_day(1).isoformat()) == []
    assert desk.list_differences(date=desk.calendar.get_day(0).isoformat(), kind="", state="") == everything
    desk.resolve(everything[0]["difference_id"])
    assert len(desk.list_differences(state="open")) == 2
    assert [one["difference_id"] for one in desk.list_differences(state="resolved")] == [everything[0]["difference_id"]]


def test_statements_are_paged_by_day(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.fetch_bills(5)
    page = desk.request_statements(page_size=2, page_num=2).data
    assert (page["total"], page["pages"]) == (5, 3)
    assert [one["date"] for one in page["list"]] == [desk.calendar.get_day(day).isoformat() for day in (2, 1)]
    one_day = desk.calendar.get_day(0)
    assert [one["payments"] for one in desk.request_statements(from_date=one_day, to_date=one_day).data["list"]] == [
        12.5
    ]


def test_fetching_again_keeps_the_statement_until_then(desk: BillDesk) -> None:
    pay_booking(desk)
    desk.fetch_bills(1)
    before = desk.get_statement(0)
    first = desk.request_fetch(0)
    assert first.data == {**before, "state": "waiting"}
    assert desk.request_fetch(0).data == first.data
    bill_fetching.run()
    assert desk.get_statement(0)["state"] == "fetched"
    entries = [one for one in list_rows("audit_log", desk.checkout.hospital) if one["action"] == "fetch_bill"]
    assert {one["subject"] for one in entries} == {f"bill:{desk.calendar.get_day(0)}".encode()}


def test_day_before_the_account_was_set_up_can_be_fetched(desk: BillDesk) -> None:
    desk.fetch_bills(1)
    assert desk.request_fetch(-5).data["state"] == "waiting"
    bill_fetching.run()
    assert desk.get_statement(-5)["state"] == "empty"


@pytest.mark.parametrize("day", [0, 1, -90])
def test_days_without_a_bill_at_wechat_pay_are_rejected(desk: BillDesk, day: int) -> None:
    response = desk.request_fetch(day)
    assert (response.status, response.error) == (400, "date：必须是昨天或更早，最多 89 天前")
    assert list_rows("bills", desk.checkout.hospital) == []


def test_hospital_without_an_account_has_nothing_to_fetch(hospital: Hospital) -> None:
    yesterday = (clock.today() - timedelta(1)).isoformat()
    response = post(f"{WECHAT_PATH}/fetch_bill", hospital.admin.token, date=yesterday)
    assert (response.status, response.error) == (404, "微信支付尚未配置")


def test_only_admins_may_call_these_endpoints(desk: BillDesk) -> None:
    hospital = desk.checkout.hospital
    for person in hospital.everyone():
        if person.role == "admin":
            continue
        for request, path in (
            (get, "pay_statements"),
            (get, "pay_differences"),
            (post, "resolve_difference"),
            (post, "fetch_bill"),
        ):
            assert request(f"{WECHAT_PATH}/{path}", person.token).status == 403


def test_other_hospitals_see_nothing(desk: BillDesk, other_hospital: Hospital) -> None:
    payment, _ = pay_and_refund(desk)
    get_changes(desk).hidden.add(payment["out_trade_no"])
    desk.fetch_bills(1)
    [found] = desk.list_differences()
    other = other_hospital.admin.token
    first, last = desk.calendar.get_day(-1), desk.calendar.get_day(2)
    assert get(f"{WECHAT_PATH}/pay_statements", other, from_date=first, to_date=last).data["list"] == []
    assert get(f"{WECHAT_PATH}/pay_differences", other).data == []
    response = post(f"{WECHAT_PATH}/resolve_difference", other, difference_id=found["difference_id"], note="已核对")
    assert (response.status, response.error) == (404, "差异不存在")
    assert desk.list_differences() == [found]


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("pay_statements", {"from_date": "", "to_date": "2026-01-02"}, "from_date"),
        ("pay_statements", {"from_date": "2026-01-03", "to_date": "2026-01-02"}, "to_date"),
        ("pay_statements", {"from_date": "2025-01-01", "to_date": "2026-01-02"}, "to_date"),
        ("pay_statements", {"from_date": "2026-01-01", "to_date": "2026-01-02", "page_num": "x"}, "page_num"),
        ("pay_differences", {"date": "yesterday"}, "date"),
        ("pay_differences", {"state": "closed"}, "state"),
        ("pay_differences", {"kind": "other"}, "kind"),
        ("pay_differences", {"difference_id": "x"}, "difference_id"),
        ("pay_differences", {"page_size": "x"}, "page_size"),
    ],
)
def test_invalid_queries_are_rejected(hospital: Hospital, path: str, fields: dict[str, Any], field: str) -> None:
    response = get(f"{WECHAT_PATH}/{path}", hospital.admin.token, **fields)
    assert (response.status, field in response.error) == (400, True)


@pytest.mark.parametrize("fields", [{"note": ""}, {"note": "x"}, {"note": "多" * 256}, {"difference_id": "x"}])
def test_invalid_resolutions_are_rejected(desk: BillDesk, fields: dict[str, Any]) -> None:
    response = desk.resolve(**{"difference_id": 1, "note": "已核对", **fields})
    assert (response.status, next(iter(fields)) in response.error) == (400, True)


def test_names_of_the_api_are_those_of_the_code() -> None:
    assert set(KindName.__args__) == set(DifferenceKind) == set(TEXTS)  # type: ignore[attr-defined]
    assert set(StateName.__args__) == set(DifferenceState)  # type: ignore[attr-defined]


def test_morning_is_after_the_first_fetch() -> None:
    assert MORNING * 3600 * clock.SECOND + clock.DAY > bill_fetching.FIRST_FETCH
