"""Many who want the same: what MySQL sells is exact, whoever comes at once, and each is told clearly."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.billing.bookings import Booking, CancellationReason
from chalicelib.booking.reservations import booking_store
from chalicelib.booking.reservations.booking_store import NewBooking, SlotRequest
from chalicelib.booking.schedules.slots import HalfDay, Schedule
from tests.support import factories
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    create_patient,
    create_second_account,
    get_iso_date,
    list_rows,
)
from tests.support.client import Answer
from tests.support.factories import Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    return Counter(one.status for one in answers)


@pytest.fixture
def crowd(department: BookingDepartment) -> list[Person]:
    return [create_patient(department, number) for number in range(8)]


def test_of_eight_who_want_one_slot_one_has_it_and_the_others_hear_what_is_free(
    department: BookingDepartment, crowd: list[Person]
) -> None:
    schedule_id = department.create_schedule()
    answers = run_in_threads(partial(department.submit, one, schedule_id, 2) for one in crowd)
    assert statuses(answers) == {200: 1, 409: 7}
    free = "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    assert {one.error for one in answers if one.status == 409} == {free}
    assert len(list_rows("bookings", department.hospital)) == 1


def test_the_same_request_eight_times_at_once_is_one_booking(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    answers = run_in_threads([lambda: department.submit(lin, schedule_id, 1)] * 8)
    assert len({one.data["bookId"] for one in answers}) == 1
    assert len(list_rows("bookings", department.hospital)) == len(list_rows("outbox", department.hospital)) == 1


def test_one_person_through_two_accounts_at_once_has_one_booking_in_a_half_day(
    department: BookingDepartment, lin: Person
) -> None:
    other = create_second_account(department, lin)
    places = [
        department.create_schedule(),
        department.create_schedule(doctor_id=department.hospital.zhou.user_id),
        department.create_schedule(doctor_id=""),
    ]
    calls = [(who, place, slot) for who in (lin, other) for place in places for slot in (1, 2)]
    answers = run_in_threads(partial(department.submit, *one) for one in calls)
    assert statuses(answers) == {200: 1, 409: 11}
    assert len(list_rows("bookings", department.hospital)) == 1


def insert_booking(department: BookingDepartment, number: int, **fields: Any) -> int:
    """Insert a booking without the checks before the INSERT; all of its ids derive from `number`."""
    unique_id = department.hospital.tenant_id * 100 + number
    schedule = Schedule(
        schedule_id=fields.get("schedule_id", unique_id),
        doctor_id=fields.get("doctor_id", unique_id),
        half_day=HalfDay(fields.get("half_day", HalfDay.PM)),
        dept_id=department.dept_id,
        day=date.fromisoformat(get_iso_date(1)),
        type=0,
        fee=0,
        area="",
        begins=timedelta(hours=8),
        ends=timedelta(hours=12),
        slots=4,
        stopped_at=None,
        doctor_active=True,
    )
    request = SlotRequest(
        tenant_id=department.hospital.tenant_id,
        schedule_id=schedule.schedule_id,
        serial_no=fields.get("serial_no", number),
        user_id=fields.get("user_id", unique_id),
        member_id=unique_id,
        pati_id=fields.get("pati_id", unique_id),
        idempotency_key=fields.get("idempotency_key", f"k{number}"),
    )
    book_code = fields.get("book_code", f"20360107{number:06}")
    new = NewBooking(request=request, schedule=schedule, slot_time=timedelta(hours=8), book_code=book_code, pay_by=None)
    return mysql.run_transaction(lambda tx: booking_store.insert(tx, new)).book_id


@pytest.mark.parametrize(
    ("same", "key"),
    [
        (("schedule_id", "serial_no"), "slot"),
        (("pati_id", "half_day"), "patient_half_day"),
        (("pati_id", "doctor_id"), "patient_doctor_day"),
        (("user_id", "idempotency_key"), "idempotency_key"),
        (("book_code",), "book_code"),
    ],
)
def test_the_database_itself_holds_what_is_sold(
    department: BookingDepartment, other_department: BookingDepartment, same: tuple[str, ...], key: str
) -> None:
    """Whatever was looked at before, and whether or not somebody was locked."""

    first = insert_booking(department, 1, half_day=HalfDay.AM)
    [row] = list_rows("bookings", department.hospital)
    row["idempotency_key"] = row["idempotency_key"].decode()
    taken = {name: row[name] for name in same}
    with pytest.raises(mysql.DuplicateKeyError) as refused:
        insert_booking(department, 2, **taken)
    assert refused.value.key == key
    if key != "slot":  # a schedule is one hospital's
        insert_booking(other_department, 3, **taken)
    mysql.run_transaction(lambda tx: booking_store.cancel(tx, first, CancellationReason.PATIENT, None))
    if key not in ("book_code", "idempotency_key"):  # which are never another's
        insert_booking(department, 4, **taken)


def test_one_person_books_one_doctor_once_a_day_also_at_once(department: BookingDepartment, lin: Person) -> None:
    places = [department.create_schedule(), department.create_schedule(**AFTERNOON)]
    answers = run_in_threads(partial(department.submit, lin, one) for one in places)
    assert statuses(answers) == {200: 1, 409: 1}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Whoever is about to take a slot sets the first, once, and waits for the second."""
    about, go, insert = Event(), Event(), booking_store.insert

    def waits(*arguments: Any) -> Booking:
        if not about.is_set():
            about.set()
            assert go.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(booking_store, "insert", waits)
    yield about, go
    go.set()


def test_one_key_for_two_persons_at_once_makes_one_booking(
    department: BookingDepartment, lin: Person, held: tuple[Event, Event]
) -> None:
    """No lock of theirs meets: the child is booked while Lin is about to be, and the unique key alone decides."""
    child = replace(lin, member_id=factories.add_member(lin, "林小宝"))
    factories.create_patient_file(child, "林小宝")
    schedule_id = department.create_schedule()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(department.submit, lin, schedule_id, 1, key="k1")
        assert held[0].wait(10)
        book_id = department.submit(child, schedule_id, 2, key="k1").data["bookId"]
        held[1].set()
        assert (late.result().status, late.result().error) == (409, "Idempotency-Key：已用于另一次预约")
    assert [str(row["book_id"]) for row in list_rows("bookings", department.hospital)] == [book_id]


def test_the_daily_limit_holds_for_two_requests_at_once(
    department: BookingDepartment, lin: Person, held: tuple[Event, Event]
) -> None:
    department.save_rules(daily_limit=1)
    places = [department.create_schedule(), department.create_schedule(date=get_iso_date(2))]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.submit, lin, places[0])
        assert held[0].wait(10)
        second = pool.submit(department.submit, lin, places[1])
        wait_until(is_row_lock_waiting)
        held[1].set()
        assert (first.result().status, second.result().error) == (200, "就诊人今天已预约 1 次，请明天再试")


def test_who_stops_a_schedule_waits_for_who_is_booking(
    department: BookingDepartment, lin: Person, held: tuple[Event, Event]
) -> None:
    schedule_id = department.create_schedule()
    with ThreadPoolExecutor(2) as pool:
        sold = pool.submit(department.submit, lin, schedule_id)
        assert held[0].wait(10)
        stopped = pool.submit(department.stop_schedule, schedule_id)
        wait_until(is_row_lock_waiting)
        held[1].set()
        assert (sold.result().status, stopped.result().status) == (200, 200)
    wait_until(lambda: department.get_status(lin, sold.result().data["bookId"]) == 1)


def test_cancelling_twice_at_once_frees_and_refunds_once(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule(slots=1)
    book_id = department.book_slot(lin, schedule_id)
    answers = run_in_threads([lambda: department.cancel(lin, book_id)] * 6)
    assert statuses(answers) == {200: 6}
    department.book_slot(wang, schedule_id)
    assert [row["status"] for row in list_rows("bookings", department.hospital)] == [1, 0]
    told = [row["payload"] for row in list_rows("outbox", department.hospital)]
    assert sum('"type": 1101' in one for one in told) == 1


def test_cancel_and_resell_at_once_never_sells_twice(department: BookingDepartment, crowd: list[Person]) -> None:
    schedule_id = department.create_schedule(slots=1)
    holder, *others = crowd
    for _ in range(5):
        book_id = department.submit(holder, schedule_id).data["bookId"]
        department.save_rules(daily_limit=0)
        calls = [partial(department.cancel, holder, book_id)]
        calls += [partial(department.submit, one, schedule_id) for one in others]
        cancelled, *answers = run_in_threads(calls)
        assert cancelled.status == 200
        assert set(statuses(answers)) <= {200, 409}
        live = [row for row in list_rows("bookings", department.hospital) if row["live"]]
        assert len(live) == statuses(answers)[200] <= 1
        for one in live:
            buyer = next(person for person in others if person.user_id == one["user_id"])
            assert department.cancel(buyer, one["book_id"]).status == 200
    assert department.list_free_serial_nos(schedule_id) == [1]


def test_a_schedule_is_not_changed_under_somebody_who_books(department: BookingDepartment, crowd: list[Person]) -> None:
    schedule_id = department.create_schedule()
    calls: list[Callable[[], Answer]] = [lambda: department.save_schedule(schedule_id=schedule_id, slots=1)]
    calls += [partial(department.submit, one, schedule_id, 4) for one in crowd]
    changed, *answers = run_in_threads(calls)
    sold = statuses(answers)[200]
    [row] = list_rows("schedules", department.hospital)
    assert (changed.status, row["slots"], sold) in [(200, 1, 0), (409, 4, 1)]
