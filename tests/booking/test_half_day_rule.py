"""The rule of one booking in a half-day, and what applies where a hospital has lifted it."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.waitlist import offering
from chalicelib.outbox import outbox
from tests.support.booking_client import (
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    create_second_account,
    get_iso_date,
    list_rows,
)
from tests.support.client import get, post
from tests.support.factories import Person
from tests.support.front_desk_client import merge_patients, split_patients
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
RULE = "同一半天只能预约一次"


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def mornings(department: BookingDepartment) -> list[str]:
    """Two mornings of a day with slots at 8, 9, 10 and 11 o'clock, of two doctors; the rule is lifted."""
    department.save_rules(half_day_rule=False)
    return [department.create_schedule(), department.create_schedule(doctor_id=department.hospital.zhou.user_id)]


def list_half_days(department: BookingDepartment) -> list[int | None]:
    return [row["half_day_live"] for row in list_rows("bookings", department.hospital)]


def get_pati_id(person: Person) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=person.member_id))


def test_several_bookings_in_a_half_day_keep_the_gap(
    department: BookingDepartment, lin: Person, mornings: list[str]
) -> None:
    department.save_rules(gap_minutes=90)
    department.book_slot(lin, mornings[0], 1)
    at_nine = department.submit(lin, mornings[1], 2)
    assert (at_nine.status, at_nine.error.partition("，")[2]) == (409, "两次就诊须相隔 90 分钟以上，请选择其他时间")
    check: dict[str, Any] = {"scheduleId": mornings[1], "memberId": lin.member_id}
    assert post(f"{BOOKING_PATH}/book/schedule", lin.token, **check).status == 200
    assert department.submit(lin, mornings[1], 3).status == 200
    assert "同一医生一天只能预约一次" in department.submit(lin, mornings[0], 4).error
    assert list_half_days(department) == [None, None]


def test_concurrent_bookings_keep_the_gap(department: BookingDepartment, lin: Person, mornings: list[str]) -> None:
    """Beside the rule, no unique key prevents it: the patient's lock does."""
    other = create_second_account(department, lin)
    calls: list[Any] = [
        lambda one=one, schedule_id=schedule_id: department.submit(one, schedule_id, 2)
        for one in (lin, other)
        for schedule_id in mornings
    ]
    assert sorted(one.status for one in run_in_threads(calls)) == [200, 409, 409, 409]


def test_rescheduling_and_front_desk_obey_the_same_rule(
    department: BookingDepartment, lin: Person, mornings: list[str]
) -> None:
    afternoon = department.create_schedule(
        half="PM", begin="14:00", end="16:00", slots=2, doctor_id=department.hospital.zhou.user_id
    )
    department.book_slot(lin, mornings[0], 1)
    moved = department.book_slot(lin, afternoon, 1)
    assert department.reschedule(lin, moved, mornings[1], 1).error.endswith(
        "两次就诊须相隔 60 分钟以上，请选择其他时间"
    )
    assert department.reschedule(lin, moved, mornings[1], 2).status == 200
    assert department.reschedule_as_desk(moved, mornings[1], 3).status == 200
    clinic = department.create_schedule(doctor_id="")
    assert department.book_for_patient(get_pati_id(lin), clinic, 2).status == 200
    department.save_rules(half_day_rule=True)
    assert RULE in department.reschedule(lin, moved, mornings[1], 4).error
    assert department.reschedule(lin, moved, afternoon, 1).status == 200


def test_waitlist_and_alternatives_obey_the_same_rule(
    department: BookingDepartment, lin: Person, wang: Person, mornings: list[str]
) -> None:
    department.save_rules(quiet_from=0, quiet_to=0)
    hospital, day = department.hospital, get_iso_date(2)
    full = department.create_schedule(date=day, slots=1)
    held = department.book_slot(wang, full)
    clinic = department.create_schedule(date=day, doctor_id="", begin="10:00")
    department.book_slot(lin, clinic, 2)
    assert department.join_waitlist(lin, full).status == 200
    department.cancel(wang, held)
    offering.offer_all()
    [offered] = [one for one in list_rows("bookings", hospital) if one["origin"] == "waitlist"]
    assert (offered["user_id"], offered["half_day_live"]) == (lin.user_id, None)
    stopped, _ = department.book_slot(lin, mornings[0], 1), department.book_slot(lin, mornings[1], 3)
    department.create_schedule(doctor_id="")
    department.stop_schedule(mornings[0])
    stopped_schedules.cancel_bookings(hospital.tenant_id, {"schedule_id": int(mornings[0]), "by": 1})
    moved = department.get_booking(lin, stopped).data
    assert (moved["treaTime"], moved["doctorName"]) == (f"{get_iso_date(1)} 08:00:00", "")


def test_rule_is_set_again_while_there_are_pairs(
    department: BookingDepartment, lin: Person, wang: Person, mornings: list[str]
) -> None:
    """They stay, and are shown to the front desk; the first of each takes the half-day, which its key guards."""
    pair = [department.book_slot(lin, mornings[0], 1), department.book_slot(lin, mornings[1], 3)]
    department.book_slot(wang, mornings[0], 2)
    listed = f"{STAFF_PATH}/day_bookings"
    desk, day = department.hospital.desk.token, get_iso_date(1)
    assert {one["conflict"] for one in get(listed, desk, date=day).data["list"]} == {False}
    for _ in range(2):
        assert department.save_rules(half_day_rule=True).status == 200
        assert list_half_days(department) == [1, None, 1]
    shown = {one["book_id"]: one["conflict"] for one in get(listed, desk, date=day).data["list"]}
    assert [shown[one] for one in pair] == [True, True]
    assert sum(shown.values()) == 2
    clinic = department.create_schedule(doctor_id="")
    for person in (lin, wang):
        assert RULE in department.submit(person, clinic, 4).error
    department.cancel(lin, pair[0])
    assert RULE in department.submit(lin, clinic, 4).error
    department.cancel(lin, pair[1])
    assert department.submit(lin, clinic, 4).status == 200


def test_bookings_from_before_do_not_hinder_those_after_the_rule_was_lifted(
    department: BookingDepartment, lin: Person
) -> None:
    first, other = department.create_schedule(), department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    department.book_slot(lin, first, 1)
    assert RULE in department.submit(lin, other, 3).error
    department.save_rules(half_day_rule=False)
    book_id = department.book_slot(lin, other, 3)
    assert list_half_days(department) == [1, None]
    later = department.create_schedule(date=get_iso_date(2))
    assert department.reschedule(lin, book_id, later, 1).status == 200
    assert department.reschedule(lin, book_id, other, 4).status == 200


@pytest.mark.parametrize("half_day_rule", [True, False])
def test_merged_files_obey_the_rule(
    department: BookingDepartment, lin: Person, wang: Person, half_day_rule: bool
) -> None:
    """Bookings of two files in a half-day become those of one: a conflict only under the rule."""
    hospital = department.hospital
    first, other = department.create_schedule(), department.create_schedule(doctor_id=hospital.zhou.user_id)
    department.book_slot(lin, first, 1)
    moved = department.book_slot(wang, other, 3)
    department.save_rules(half_day_rule=half_day_rule)
    merged = merge_patients(hospital.desk, get_pati_id(wang), get_pati_id(lin)).data
    assert merged["conflicts"] == ([moved] if half_day_rule else [])
    rows = [(row["person_live"], row["half_day_live"]) for row in list_rows("bookings", hospital)]
    assert rows == [(1, 1), (None, None) if half_day_rule else (1, None)]
    split_patients(hospital.desk, merged["merge_id"])
    rows = [(row["person_live"], row["half_day_live"]) for row in list_rows("bookings", hospital)]
    assert rows == [(1, 1), (1, 1 if half_day_rule else None)]
