"""Concurrent booking requests: each slot is booked once, and every other request gets a clear error."""

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
from chalicelib.notifications.event_types import EventType
from tests.support import factories
from tests.support.booking_client import (
    AFTERNOON,
    BookingDepartment,
    create_patient,
    create_second_account,
    get_iso_date,
    list_rows,
)
from tests.support.client import ApiResponse
from tests.support.factories import Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def count_statuses(responses: Iterable[ApiResponse]) -> Counter[int]:
    return Counter(one.status for one in responses)


@pytest.fixture
def patients(department: BookingDepartment) -> list[Person]:
    return [create_patient(department, number) for number in range(8)]


def test_one_of_eight_concurrent_requests_gets_the_slot(department: BookingDepartment, patients: list[Person]) -> None:
    schedule_id = department.create_schedule()
    responses = run_in_threads(partial(department.submit, one, schedule_id, 2) for one in patients)
    assert count_statuses(responses) == {200: 1, 409: 7}
    free = "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    assert {one.error for one in responses if one.status == 409} == {free}
    assert len(list_rows("bookings", department.hospital)) == 1


def test_eight_concurrent_duplicates_create_one_booking(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    responses = run_in_threads([lambda: department.submit(lin, schedule_id, 1)] * 8)
    assert len({one.data["bookId"] for one in responses}) == 1
    assert len(list_rows("bookings", department.hospital)) == len(list_rows("outbox", department.hospital)) == 1


def test_two_accounts_of_one_patient_get_one_booking_in_a_half_day(department: BookingDepartment, lin: Person) -> None:
    second_account = create_second_account(department, lin)
    schedule_ids = [
        department.create_schedule(),
        department.create_schedule(doctor_id=department.hospital.zhou.user_id),
        department.create_schedule(doctor_id=""),
    ]
    calls = [(account, one, slot) for account in (lin, second_account) for one in schedule_ids for slot in (1, 2)]
    responses = run_in_threads(partial(department.submit, *one) for one in calls)
    assert count_statuses(responses) == {200: 1, 409: 11}
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
        is_declared=False,
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
def test_unique_indexes_reject_conflicting_bookings(
    department: BookingDepartment, other_department: BookingDepartment, same: tuple[str, ...], key: str
) -> None:
    """Also without the checks and the locks that precede the INSERT."""
    first = insert_booking(department, 1, half_day=HalfDay.AM)
    [row] = list_rows("bookings", department.hospital)
    row["idempotency_key"] = row["idempotency_key"].decode()
    taken = {name: row[name] for name in same}
    with pytest.raises(mysql.DuplicateKeyError) as caught:
        insert_booking(department, 2, **taken)
    assert caught.value.key == key
    if key != "slot":  # schedule_ids are unique across tenants
        insert_booking(other_department, 3, **taken)
    mysql.run_transaction(lambda tx: booking_store.cancel(tx, first, CancellationReason.PATIENT, None))
    if key not in ("book_code", "idempotency_key"):  # these stay taken after a cancellation
        insert_booking(department, 4, **taken)


def test_concurrent_bookings_with_one_doctor_on_a_day_create_one(department: BookingDepartment, lin: Person) -> None:
    schedule_ids = [department.create_schedule(), department.create_schedule(**AFTERNOON)]
    responses = run_in_threads(partial(department.submit, lin, one) for one in schedule_ids)
    assert count_statuses(responses) == {200: 1, 409: 1}


@pytest.fixture
def paused_insert(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Pause the first INSERT of a booking: it sets the first event and waits for the second."""
    reached, proceed, insert = Event(), Event(), booking_store.insert

    def insert_after_pause(*arguments: Any) -> Booking:
        if not reached.is_set():
            reached.set()
            assert proceed.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(booking_store, "insert", insert_after_pause)
    yield reached, proceed
    proceed.set()


def test_one_idempotency_key_for_two_patients_creates_one_booking(
    department: BookingDepartment, lin: Person, paused_insert: tuple[Event, Event]
) -> None:
    """The requests share no lock: the child is booked while the INSERT for Lin is paused; the unique key decides."""
    child = replace(lin, member_id=factories.add_member(lin, "林小宝"))
    factories.create_patient_file(child, "林小宝")
    schedule_id = department.create_schedule()
    with ThreadPoolExecutor(1) as pool:
        paused = pool.submit(department.submit, lin, schedule_id, 1, key="k1")
        assert paused_insert[0].wait(10)
        book_id = department.submit(child, schedule_id, 2, key="k1").data["bookId"]
        paused_insert[1].set()
        assert (paused.result().status, paused.result().error) == (409, "Idempotency-Key：已用于另一次预约")
    assert [str(row["book_id"]) for row in list_rows("bookings", department.hospital)] == [book_id]


def test_daily_limit_holds_for_concurrent_requests(
    department: BookingDepartment, lin: Person, paused_insert: tuple[Event, Event]
) -> None:
    department.save_rules(daily_limit=1)
    schedule_ids = [department.create_schedule(), department.create_schedule(date=get_iso_date(2))]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.submit, lin, schedule_ids[0])
        assert paused_insert[0].wait(10)
        second = pool.submit(department.submit, lin, schedule_ids[1])
        wait_until(is_row_lock_waiting)
        paused_insert[1].set()
        assert (first.result().status, second.result().error) == (200, "就诊人今天已预约 1 次，请明天再试")


def test_gap_between_bookings_holds_for_concurrent_requests(
    department: BookingDepartment, lin: Person, paused_insert: tuple[Event, Event]
) -> None:
    second_account = create_second_account(department, lin)
    morning = department.create_schedule(end="14:00", slots=6)
    noon = department.create_schedule(
        half="PM", begin="12:00", end="15:00", slots=3, doctor_id=department.hospital.zhou.user_id
    )
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(department.submit, lin, morning, 5)
        assert paused_insert[0].wait(10)
        second = pool.submit(department.submit, second_account, noon, 1)
        wait_until(is_row_lock_waiting)
        paused_insert[1].set()
        error = f"就诊人已有预约 {get_iso_date(1)} 12:00（其他账号预约），两次就诊须相隔 60 分钟以上，请选择其他时间"
        assert (first.result().status, second.result().error) == (200, error)
    assert len(list_rows("bookings", department.hospital)) == 1


def test_stopping_a_schedule_waits_for_a_booking_in_progress(
    department: BookingDepartment, lin: Person, paused_insert: tuple[Event, Event]
) -> None:
    schedule_id = department.create_schedule()
    with ThreadPoolExecutor(2) as pool:
        booked = pool.submit(department.submit, lin, schedule_id)
        assert paused_insert[0].wait(10)
        stopped = pool.submit(department.stop_schedule, schedule_id)
        wait_until(is_row_lock_waiting)
        paused_insert[1].set()
        assert (booked.result().status, stopped.result().status) == (200, 200)
    wait_until(lambda: department.get_status(lin, booked.result().data["bookId"]) == 1)


def test_concurrent_cancellations_free_the_slot_once(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(slots=1)
    book_id = department.book_slot(lin, schedule_id)
    responses = run_in_threads([lambda: department.cancel(lin, book_id)] * 6)
    assert count_statuses(responses) == {200: 6}
    department.book_slot(wang, schedule_id)
    assert [row["status"] for row in list_rows("bookings", department.hospital)] == [1, 0]
    payloads = [row["payload"] for row in list_rows("outbox", department.hospital)]
    assert sum(f'"type": {EventType.BOOKING_CANCELLED}' in one for one in payloads) == 1


def test_slot_freed_and_rebooked_concurrently_has_one_booking(
    department: BookingDepartment, patients: list[Person]
) -> None:
    schedule_id = department.create_schedule(slots=1)
    holder, *others = patients
    for _ in range(5):
        book_id = department.submit(holder, schedule_id).data["bookId"]
        department.save_rules(daily_limit=0)
        calls = [partial(department.cancel, holder, book_id)]
        calls += [partial(department.submit, one, schedule_id) for one in others]
        cancelled, *responses = run_in_threads(calls)
        assert cancelled.status == 200
        assert set(count_statuses(responses)) <= {200, 409}
        live = [row for row in list_rows("bookings", department.hospital) if row["live"]]
        assert len(live) == count_statuses(responses)[200] <= 1
        for one in live:
            owner = next(person for person in others if person.user_id == one["user_id"])
            assert department.cancel(owner, one["book_id"]).status == 200
    assert department.list_free_serial_nos(schedule_id) == [1]


def test_schedule_is_not_changed_while_a_slot_is_booked(department: BookingDepartment, patients: list[Person]) -> None:
    schedule_id = department.create_schedule()
    calls: list[Callable[[], ApiResponse]] = [lambda: department.save_schedule(schedule_id=schedule_id, slots=1)]
    calls += [partial(department.submit, one, schedule_id, 4) for one in patients]
    changed, *responses = run_in_threads(calls)
    booked = count_statuses(responses)[200]
    [row] = list_rows("schedules", department.hospital)
    assert (changed.status, row["slots"], booked) in [(200, 1, 0), (409, 4, 1)]
