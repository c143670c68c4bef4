"""Holidays are proposed by the official list and confirmed by the admin; make-up days follow a weekday's patterns."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.booking.closures import holiday_list, stopped_schedules
from chalicelib.booking.schedules import patterns
from chalicelib.identity import tokens
from chalicelib.outbox import outbox
from chalicelib.settings import settings
from tests.support.booking_client import AFTERNOON, MORNING, STAFF_PATH, BookingDepartment, list_rows, mark_paid
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
NEW_YEAR = {"name": "元旦", "from_date": "2026-01-01", "to_date": "2026-01-03"}
NOTHING = {"schedules": 0, "bookings": 0, "paid": 0, "paid_fee": 0.0, "no_account": 0}


@pytest.fixture(autouse=True)
def set_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """It is Monday, 22 December 2025, 10 o'clock; the function changes that. Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    monkeypatch.setattr(tokens, "settings", replace(settings, staff_idle_minutes=0))

    def change(moment: str) -> None:
        instant = int(datetime.fromisoformat(f"{moment}:00+08:00").timestamp()) * clock.SECOND
        monkeypatch.setattr(clock, "now", lambda: instant)

    change("2025-12-22T10:00")
    return change


def propose(person: Person, **query: Any) -> dict[str, Any]:
    return dict(get(f"{STAFF_PATH}/holiday_proposals", person.token, **query).data)


def confirm(person: Person, *names: Any, year: Any = 2026) -> ApiResponse:
    return post(f"{STAFF_PATH}/confirm_holidays", person.token, year=year, holidays=list(names))


def save_makeup_day(person: Person, day: Any, weekday: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/save_makeup_day", person.token, date=day, weekday=weekday)


def save_pattern(department: BookingDepartment, weekday: int, **fields: Any) -> int:
    body = {"dept_id": department.dept_id, "doctor_id": department.hospital.chen.user_id, "weekday": weekday}
    token = department.hospital.desk.token
    return int(post(f"{STAFF_PATH}/save_schedule_pattern", token, **{**body, **MORNING, **fields}).data["pattern_id"])


def list_open(department: BookingDepartment, day: str) -> list[dict[str, Any]]:
    rows = list_rows("schedules", department.hospital)
    return [one for one in rows if one["live"] and str(one["day"]) == day]


def test_weekly_pattern_and_its_booking_on_new_years_day(department: BookingDepartment, lin: Person) -> None:
    """Field report P10: the pattern had made 1 January, a Thursday, and it was booked."""
    hospital = department.hospital
    pattern_id = save_pattern(department, 4)
    [new_year] = list_open(department, "2026-01-01")
    book_id = department.book_slot(lin, new_year["schedule_id"])
    mark_paid(book_id)
    shown = propose(hospital.desk, year=2026)
    assert (shown["published"], shown["source"]) == (True, "国办发明电〔2025〕7号")
    affected = {"schedules": 1, "bookings": 1, "paid": 1, "paid_fee": 12.5, "no_account": 0}
    makeup_days = [{"date": "2026-01-04", "weekday": None}]
    assert shown["holidays"][0] == {**NEW_YEAR, **affected, "closure_id": "", "makeup_days": makeup_days}
    assert len(list_open(department, "2026-01-01")) == 1, "a proposal changes nothing"
    [confirmed] = confirm(hospital.admin, "元旦").data
    assert (confirmed["name"], confirmed["stopped"]) == ("元旦", 1)
    assert confirm(hospital.admin, "元旦").data == [{**confirmed, "stopped": 0}]
    for row in list_rows("outbox", hospital):
        if row["job"] == "cancel_stopped_schedule":
            stopped_schedules.cancel_bookings(hospital.tenant_id, json.loads(row["payload"]))
    moved = department.get_booking(lin, book_id).data
    assert (moved["treaTime"], moved["bookStatus"]) == ("2025-12-25 08:00:00", 0)
    assert department.get_alternatives(lin, book_id).data["reason"] == "元旦放假"
    patterns.expand(hospital.tenant_id, pattern_id)
    assert list_open(department, "2026-01-01") == []
    shown = propose(hospital.admin, year=2026)["holidays"][0]
    assert shown == {**NEW_YEAR, **NOTHING, "closure_id": confirmed["closure_id"], "makeup_days": makeup_days}


def test_patterns_saved_after_the_confirmation_make_no_holiday(department: BookingDepartment) -> None:
    department.save_rules(weeks_ahead=10)
    confirmed = confirm(department.hospital.admin, "元旦", "春节").data
    assert [(one["name"], one["stopped"]) for one in confirmed] == [("元旦", 0), ("春节", 0)]
    save_pattern(department, 1)
    days = [str(one["day"]) for one in list_rows("schedules", department.hospital)]
    mondays = [str(date(2025, 12, 29) + timedelta(7 * week)) for week in range(10)]
    assert days == [one for one in mondays if one not in ("2026-02-16", "2026-02-23")]


def test_official_list_is_complete(department: BookingDepartment) -> None:
    """As the notice for 2026 says, which names the days of the week too."""
    holidays = propose(department.hospital.desk, year=2026)["holidays"]
    days = {
        one["name"]: (one["from_date"], one["to_date"], [day["date"] for day in one["makeup_days"]]) for one in holidays
    }
    assert days == {
        "元旦": ("2026-01-01", "2026-01-03", ["2026-01-04"]),
        "春节": ("2026-02-15", "2026-02-23", ["2026-02-14", "2026-02-28"]),
        "清明节": ("2026-04-04", "2026-04-06", []),
        "劳动节": ("2026-05-01", "2026-05-05", ["2026-05-09"]),
        "端午节": ("2026-06-19", "2026-06-21", []),
        "中秋节": ("2026-09-25", "2026-09-27", []),
        "国庆节": ("2026-10-01", "2026-10-07", ["2026-09-20", "2026-10-10"]),
    }
    for year in holiday_list.HOLIDAY_YEARS.values():
        assert {day.isoweekday() for one in year.holidays for day in one.makeup_days} <= {6, 7}


def test_holidays_that_are_over_are_not_proposed(
    department: BookingDepartment, set_clock: Callable[[str], None]
) -> None:
    set_clock("2026-05-05T23:00")
    department.create_schedule(date="2026-05-05", begin="23:00", end="23:50", half="PM")
    assert [one["name"] for one in propose(department.hospital.desk)["holidays"]] == [
        "劳动节",
        "端午节",
        "中秋节",
        "国庆节",
    ]
    first = confirm(department.hospital.admin, "劳动节").data
    set_clock("2026-05-05T23:30")
    assert confirm(department.hospital.admin, "劳动节").data == [{**first[0], "stopped": 0}]
    over = confirm(department.hospital.admin, "国庆节", "清明节")
    assert (over.status, over.error) == (409, "2026 年清明节假期已过")
    assert len(list_rows("closures", department.hospital)) == 1, "none of a rejected request is confirmed"


def test_nothing_is_proposed_for_a_year_without_a_list(department: BookingDepartment) -> None:
    reason = "没有 2027 年的放假安排（国务院办公厅尚未公布，或系统尚未收录），请用 save_closure 登记停诊"
    shown = propose(department.hospital.desk, year=2027)
    assert shown == {"year": 2027, "published": False, "source": reason, "holidays": []}
    rejected = confirm(department.hospital.admin, "元旦", year=2027)
    assert (rejected.status, rejected.error) == (409, reason)


def test_makeup_day_follows_the_selected_weekday(department: BookingDepartment, lin: Person) -> None:
    hospital, sunday = department.hospital, "2026-01-04"
    department.save_rules(weeks_ahead=2)
    save_pattern(department, 5)
    save_pattern(department, 5, doctor_id=hospital.zhou.user_id, **{**AFTERNOON, "bookfee": 20})
    save_pattern(department, 1, doctor_id="")
    own = save_pattern(department, 7, doctor_id="", **AFTERNOON)
    assert len(list_open(department, sunday)) == 1, "the clinic of Sundays"
    saved = save_makeup_day(hospital.admin, sunday, 5).data
    assert saved["schedules"] == 3
    assert save_makeup_day(hospital.admin, sunday, 5).data == saved
    made = {(one["doctor_id"], one["half_day"], one["fee"]) for one in list_open(department, sunday)}
    assert made == {(hospital.chen.user_id, "AM", 1250), (hospital.zhou.user_id, "PM", 2000), (None, "PM", 1250)}
    assert len({one["day"] for one in list_rows("schedules", hospital) if one["doctor_id"]}) == 3, "Fridays too"
    schedule_id = next(one["schedule_id"] for one in list_open(department, sunday) if one["half_day"] == "AM")
    assert department.submit(lin, schedule_id).status == 200
    patterns.expand(hospital.tenant_id, own)
    assert len(list_open(department, sunday)) == 3
    [proposed] = propose(hospital.desk, year=2026)["holidays"][0]["makeup_days"]
    assert proposed == {"date": sunday, "weekday": 5}
    assert get(f"{STAFF_PATH}/makeup_days", hospital.desk.token).data == [
        {"makeup_id": saved["makeup_id"], "date": sunday, "weekday": 5}
    ]


def test_own_patterns_rest_on_a_makeup_day_until_it_is_withdrawn(department: BookingDepartment) -> None:
    hospital = department.hospital
    department.save_rules(weeks_ahead=2)
    saved = save_makeup_day(hospital.admin, "2026-01-04", 1).data
    assert saved["schedules"] == 0
    own, monday = save_pattern(department, 7), save_pattern(department, 1, doctor_id=hospital.zhou.user_id)
    assert [one["doctor_id"] for one in list_open(department, "2026-01-04")] == [hospital.zhou.user_id]
    for _ in range(2):
        end = post(f"{STAFF_PATH}/end_makeup_day", hospital.admin.token, makeup_id=saved["makeup_id"])
        assert end.data is None
    for one in (own, monday):
        patterns.expand(hospital.tenant_id, one)
    shown = {one["doctor_id"] for one in list_open(department, "2026-01-04")}
    assert shown == {hospital.zhou.user_id, hospital.chen.user_id}, "what exists stays"
    assert get(f"{STAFF_PATH}/makeup_days", hospital.desk.token).data == []
    assert save_makeup_day(hospital.admin, "2026-01-04", 2).status == 200


def test_makeup_day_beyond_the_weeks_ahead_is_made_later(
    department: BookingDepartment, set_clock: Callable[[str], None]
) -> None:
    department.save_rules(weeks_ahead=1)
    pattern_id = save_pattern(department, 1)
    assert save_makeup_day(department.hospital.admin, "2026-02-28", 1).data["schedules"] == 0
    set_clock("2026-02-23T10:00")
    patterns.expand(department.hospital.tenant_id, pattern_id)
    assert len(list_open(department, "2026-02-28")) == 1


def test_what_is_rejected(department: BookingDepartment, other_department: BookingDepartment) -> None:
    hospital = department.hospital
    makeup: list[tuple[Any, Any, int, str]] = [
        ("2026-01-05", 1, 400, "date：必须是周六或周日"),
        ("2025-12-21", 1, 400, "date：必须在明天起一年之内"),
        ("2026-12-26", 1, 400, "date：必须在明天起一年之内"),
        ("x", 1, 400, "date"),
        ("2026-01-04", 0, 400, "weekday"),
        ("2026-01-04", "x", 400, "weekday"),
    ]
    for day, weekday, status, text in makeup:
        response = save_makeup_day(hospital.admin, day, weekday)
        assert (response.status, text in response.error) == (status, True)
    names: list[tuple[Any, list[Any], int, str]] = [
        (1999, ["元旦"], 400, "year"),
        ("x", ["元旦"], 400, "year"),
        (2026, [], 400, "holidays"),
        (2026, ["节" * 17], 400, "holidays"),
        (2026, [1], 400, "holidays"),
        (2026, ["元旦", "元宵节"], 404, "2026 年放假安排中没有该节日"),
    ]
    for year, holidays, status, text in names:
        response = confirm(hospital.admin, *holidays, year=year)
        assert (response.status, response.error.startswith(text)) == (status, True)
    assert list_rows("closures", hospital) == list_rows("makeup_days", hospital) == []
    others = save_makeup_day(other_department.hospital.admin, "2026-01-04", 1).data["makeup_id"]
    for makeup_id in (others, 999_999_999):
        ended = post(f"{STAFF_PATH}/end_makeup_day", hospital.admin.token, makeup_id=makeup_id)
        assert (ended.status, ended.error) == (404, "调休日不存在")
    assert get(f"{STAFF_PATH}/makeup_days", hospital.desk.token).data == []
    assert len(get(f"{STAFF_PATH}/makeup_days", other_department.hospital.desk.token).data) == 1


def test_makeup_day_that_contradicts_another_entry(department: BookingDepartment) -> None:
    admin = department.hospital.admin
    save_makeup_day(admin, "2026-01-04", 1)
    other = save_makeup_day(admin, "2026-01-04", 7)
    assert (other.status, other.error) == (409, "2026-01-04 已按周一出诊；如需更改，请先取消该调休日")
    confirm(admin, "春节")
    closed = save_makeup_day(admin, "2026-02-22", 1)
    assert (closed.status, closed.error) == (409, "2026-02-22 全院停诊，请先取消该停诊安排")


def test_only_an_admin_confirms(department: BookingDepartment) -> None:
    for person in (department.hospital.desk, department.hospital.chen, department.hospital.lin):
        assert confirm(person, "元旦").status == 403
        assert save_makeup_day(person, "2026-01-04", 1).status == 403
        assert post(f"{STAFF_PATH}/end_makeup_day", person.token, makeup_id="1").status == 403
    assert get(f"{STAFF_PATH}/holiday_proposals", department.hospital.lin.token).status == 403


def test_concurrent_requests_enter_each_once(department: BookingDepartment) -> None:
    hospital = department.hospital
    save_pattern(department, 1)
    save_pattern(department, 4)
    calls: list[Any] = [lambda: confirm(hospital.admin, "元旦", "春节")] * 3
    calls += [lambda: save_makeup_day(hospital.admin, "2026-01-04", 1)] * 3
    responses = run_in_threads(calls)
    assert {one.status for one in responses} == {200}
    assert sum(one.data[0]["stopped"] for one in responses[:3]) == 1
    assert len(list_rows("closures", hospital)) == 2
    assert len(list_rows("makeup_days", hospital)) == 1
    assert len(list_open(department, "2026-01-04")) == 1
