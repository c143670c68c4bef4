"""Bookings for members with a self-declared file count against the account, those of verified ones against them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import booking_store
from chalicelib.people.patient_status import PatientStatus
from tests.support import factories
from tests.support.booking_client import AFTERNOON, BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.pauses import pause_first_call

HOW_TO_VERIFY = "请先核验就诊人身份：在就诊人页面用短信验证码或就诊卡号核验，或持证件到医院前台办理"
LIMIT_TEXT = f"未核验的就诊人同时最多有 2 个预约。{HOW_TO_VERIFY}"


def invent_person(account: Person, name: str) -> Person:
    """Return a member of an account with a self-declared file."""
    member = replace(account, member_id=factories.add_member(account, name))
    factories.create_patient_file(member, name, is_verified=False)
    return member.with_token(account.token)


@pytest.fixture
def invented(lin: Person) -> list[Person]:
    return [invent_person(lin, f"虚构{number}") for number in range(7)]


def set_status(pati_id: int, status: PatientStatus) -> None:
    sql = "UPDATE patients SET status = %(status)s WHERE pati_id = %(pati_id)s"
    mysql.autocommit.execute(sql, status=status, pati_id=pati_id)


def find_pati_id(person: Person) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(member_id)s"
    return int(mysql.autocommit.fetch_value(sql, member_id=person.member_id))


def test_seven_invented_persons_take_two_slots(department: BookingDepartment, invented: list[Person]) -> None:
    schedule_id = department.create_schedule(slots=7)
    responses = [department.submit(one, schedule_id, slot) for slot, one in enumerate(invented, 1)]
    assert [one.status for one in responses] == [200] * 2 + [409] * 5
    assert {one.error for one in responses[2:]} == {LIMIT_TEXT}
    assert [row["is_declared"] for row in list_rows("bookings", department.hospital)] == [1, 1]


def test_cancelled_and_registered_bookings_make_room(
    department: BookingDepartment, invented: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_clock(monkeypatch, "07:00")
    schedule_id = department.create_schedule(date=get_iso_date(0), slots=7)
    first, second = (department.book_slot(one, schedule_id, slot) for slot, one in enumerate(invented[:2], 1))
    department.cancel(invented[0], first)
    third = department.submit(invented[2], schedule_id, 3)
    assert third.status == 200
    assert department.register(book_id=second, reason="急诊，未带证件").status == 200
    assert department.submit(invented[3], schedule_id, 4).status == 200
    assert department.submit(invented[4], schedule_id, 5).error == LIMIT_TEXT


def test_verified_member_of_the_same_account_is_not_limited(
    department: BookingDepartment, lin: Person, invented: list[Person]
) -> None:
    schedule_id = department.create_schedule(slots=7)
    for slot, one in enumerate(invented[:2], 1):
        department.book_slot(one, schedule_id, slot)
    department.book_slot(lin, schedule_id, 3)
    department.book_slot(lin, department.create_schedule(date=get_iso_date(2)))
    assert department.submit(lin, department.create_schedule(date=get_iso_date(3))).status == 200
    assert [row["is_declared"] for row in list_rows("bookings", department.hospital)] == [1, 1, 0, 0, 0]


@pytest.mark.store
def test_limit_of_an_account_holds_for_concurrent_bookings_of_two_members(
    department: BookingDepartment, invented: list[Person]
) -> None:
    department.save_rules(daily_limit=1)
    schedule_id = department.create_schedule()
    with pause_first_call(booking_store, "insert") as pause, ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.submit, invented[0], schedule_id, 1)
        pause.wait_until_reached()
        second = pool.submit(department.submit, invented[1], schedule_id, 2)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert first.result().status == 200
        assert second.result().error == f"未核验的就诊人今天已预约 1 次，请明天再试。{HOW_TO_VERIFY}"


def test_missed_visits_of_declared_members_block_the_account_alone(
    department: BookingDepartment, lin: Person, invented: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(missed_limit=2)
    for one, ahead in zip(invented, (1, 2), strict=False):
        department.book_slot(one, department.create_schedule(date=get_iso_date(ahead)))
    freeze_clock(monkeypatch, "08:00", ahead=3)
    scheduled.mark_missed()
    schedule_id = department.create_schedule()
    response = department.submit(invented[2], schedule_id)
    text = f"未核验的就诊人 90 天内已失约 2 次，暂时不能预约，可联系医院前台解除。{HOW_TO_VERIFY}"
    assert (response.status, response.error) == (403, text)
    department.book_slot(lin, schedule_id, 2)
    department.book_slot(invent_person(department.hospital.wang, "王小宝"), schedule_id, 3)


def test_missed_visits_before_the_file_was_verified_do_not_count_against_the_person(
    department: BookingDepartment, invented: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.save_rules(missed_limit=1)
    department.book_slot(invented[0], department.create_schedule())
    freeze_clock(monkeypatch, "08:00", ahead=2)
    scheduled.mark_missed()
    schedule_id = department.create_schedule(**AFTERNOON)
    assert department.submit(invented[0], schedule_id).status == 403
    set_status(find_pati_id(invented[0]), PatientStatus.VERIFIED)
    assert department.submit(invented[0], schedule_id).status == 200


@pytest.mark.store
def test_file_verified_while_it_is_booked_counts_as_verified(
    department: BookingDepartment, invented: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The status is read before the transaction; under the lock it is another one, and the request starts again."""
    pati_id, lock = find_pati_id(invented[0]), booking_store.lock_booking_context
    statuses = [PatientStatus.VERIFIED]

    def verify_and_lock(*arguments: Any) -> booking_store.BookingContext:
        if statuses:
            set_status(pati_id, statuses.pop())
        return lock(*arguments)

    monkeypatch.setattr(booking_store, "lock_booking_context", verify_and_lock)
    department.book_slot(invented[0], department.create_schedule())
    assert [row["is_declared"] for row in list_rows("bookings", department.hospital)] == [0]


@pytest.mark.store
def test_member_removed_while_it_is_booked_is_not_found(
    department: BookingDepartment, invented: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = booking_store.lock_booking_context

    def remove_and_lock(*arguments: Any) -> booking_store.BookingContext:
        sql = "UPDATE members SET live = NULL WHERE member_id = %(member_id)s"
        mysql.autocommit.execute(sql, member_id=invented[0].member_id)
        return lock(*arguments)

    monkeypatch.setattr(booking_store, "lock_booking_context", remove_and_lock)
    response = department.submit(invented[0], department.create_schedule())
    assert (response.status, response.error) == (404, "就诊人不存在")
    assert list_rows("bookings", department.hospital) == []


def test_file_that_changes_again_and_again_gives_an_error_that_can_be_retried(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    pati_id, lock = find_pati_id(lin), booking_store.lock_booking_context
    statuses = [PatientStatus.VERIFIED, PatientStatus.DECLARED] * 3

    def change_and_lock(*arguments: Any) -> booking_store.BookingContext:
        set_status(pati_id, statuses.pop())
        return lock(*arguments)

    monkeypatch.setattr(booking_store, "lock_booking_context", change_and_lock)
    response = department.submit(lin, department.create_schedule())
    assert (response.status, response.headers["Retry-After"]) == (503, "1")
    assert (len(statuses), list_rows("bookings", department.hospital)) == (3, [])
