"""Many who want the same: what MySQL sells is exact, whoever comes at once, and each is told clearly."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.reservations import booking_store
from tests import people
from tests.booking.ward import AFTERNOON, Ward, day, patient, rows, second_account
from tests.faults.aftermath import somebody_waits, wait_until
from tests.people import Person
from tests.threads import at_once
from tests.wire import Answer

pytestmark = pytest.mark.store


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    return Counter(one.status for one in answers)


@pytest.fixture
def crowd(ward: Ward) -> list[Person]:
    return [patient(ward, number) for number in range(8)]


def test_of_eight_who_want_one_slot_one_has_it_and_the_others_hear_what_is_free(
    ward: Ward, crowd: list[Person]
) -> None:
    schedule_id = ward.schedule()
    answers = at_once(partial(ward.submit, one, schedule_id, 2) for one in crowd)
    assert statuses(answers) == {200: 1, 409: 7}
    free = "2号已被预约，还可预约：1号 08:00、3号 10:00、4号 11:00"
    assert {one.error for one in answers if one.status == 409} == {free}
    assert len(rows("bookings", ward.hospital)) == 1


def test_the_same_request_eight_times_at_once_is_one_booking(ward: Ward, lin: Person) -> None:
    schedule_id = ward.schedule()
    answers = at_once([lambda: ward.submit(lin, schedule_id, 1)] * 8)
    assert len({one.data["bookId"] for one in answers}) == 1
    assert len(rows("bookings", ward.hospital)) == len(rows("outbox", ward.hospital)) == 1


def test_one_person_through_two_accounts_at_once_has_one_booking_in_a_half_day(ward: Ward, lin: Person) -> None:
    other = second_account(ward, lin)
    places = [ward.schedule(), ward.schedule(doctor_id=ward.hospital.zhou.user_id), ward.schedule(doctor_id="")]
    calls = [(who, place, slot) for who in (lin, other) for place in places for slot in (1, 2)]
    answers = at_once(partial(ward.submit, *one) for one in calls)
    assert statuses(answers) == {200: 1, 409: 11}
    assert len(rows("bookings", ward.hospital)) == 1


@pytest.mark.parametrize(
    ("same", "key"),
    [
        (("schedule_id", "serial_no"), "slot"),
        (("pati_id", "half"), "persons_half_day"),
        (("pati_id", "doctor_id"), "persons_doctor"),
        (("user_id", "retry_key"), "resend"),
        (("book_code",), "book_code"),
    ],
)
def test_the_database_itself_holds_what_is_sold(ward: Ward, other: Ward, same: tuple[str, ...], key: str) -> None:
    """Whatever was looked at before, and whether or not somebody was locked."""

    def sold(of: Ward, number: int, **fields: Any) -> int:
        tenant_id = of.hospital.tenant_id
        ids = dict.fromkeys(("schedule_id", "pati_id", "doctor_id", "user_id", "member_id"), tenant_id * 100 + number)
        row = {**ids, "serial_no": number, "dept_id": of.dept_id, "day": day(1), "half": "PM", "slot_time": "08:00"}
        row |= {"type": 0, "fee": 0, "area": "", "book_code": f"20360107{number:06}", "pay_by": None}
        row |= {"retry_key": f"k{number}".encode(), **fields}
        return mysql.run_transaction(lambda tx: booking_store.insert(tx, tenant_id, row))

    first = sold(ward, 1, half="AM")
    taken = {name: rows("bookings", ward.hospital)[0][name] for name in same}
    with pytest.raises(mysql.DuplicateKeyError) as refused:
        sold(ward, 2, **taken)
    assert refused.value.key == key
    if key != "slot":  # a schedule is one hospital's
        sold(other, 3, **taken)
    mysql.run_transaction(lambda tx: booking_store.cancel(tx, first, "patient", None))
    if key not in ("book_code", "resend"):  # which are never another's
        sold(ward, 4, **taken)


def test_one_person_books_one_doctor_once_a_day_also_at_once(ward: Ward, lin: Person) -> None:
    places = [ward.schedule(), ward.schedule(**AFTERNOON)]
    answers = at_once(partial(ward.submit, lin, one) for one in places)
    assert statuses(answers) == {200: 1, 409: 1}


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Event, Event]]:
    """Whoever is about to take a slot sets the first, once, and waits for the second."""
    about, go, insert = Event(), Event(), booking_store.insert

    def waits(*arguments: Any) -> int:
        if not about.is_set():
            about.set()
            assert go.wait(10)
        return insert(*arguments)

    monkeypatch.setattr(booking_store, "insert", waits)
    yield about, go
    go.set()


def test_one_key_for_two_persons_at_once_makes_one_booking(ward: Ward, lin: Person, held: tuple[Event, Event]) -> None:
    """No lock of theirs meets: the child is booked while Lin is about to be, and the unique key alone decides."""
    child = replace(lin, member_id=people.add_member(lin, "林小宝"))
    people.file(child, "林小宝")
    schedule_id = ward.schedule()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ward.submit, lin, schedule_id, 1, key="k1")
        assert held[0].wait(10)
        book_id = ward.submit(child, schedule_id, 2, key="k1").data["bookId"]
        held[1].set()
        assert (late.result().status, late.result().error) == (409, "Idempotency-Key：已用于另一次预约")
    assert [str(row["book_id"]) for row in rows("bookings", ward.hospital)] == [book_id]


def test_the_daily_limit_holds_for_two_requests_at_once(ward: Ward, lin: Person, held: tuple[Event, Event]) -> None:
    ward.rules(daily_limit=1)
    places = [ward.schedule(), ward.schedule(date=day(2))]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ward.submit, lin, places[0])
        assert held[0].wait(10)
        second = pool.submit(ward.submit, lin, places[1])
        wait_until(somebody_waits)
        held[1].set()
        assert (first.result().status, second.result().error) == (200, "就诊人今天已预约 1 次，请明天再试")


def test_who_stops_a_schedule_waits_for_who_is_booking(ward: Ward, lin: Person, held: tuple[Event, Event]) -> None:
    schedule_id = ward.schedule()
    with ThreadPoolExecutor(2) as pool:
        sold = pool.submit(ward.submit, lin, schedule_id)
        assert held[0].wait(10)
        stopped = pool.submit(ward.stop, schedule_id)
        wait_until(somebody_waits)
        held[1].set()
        assert (sold.result().status, stopped.result().status) == (200, 200)
    wait_until(lambda: ward.status(lin, sold.result().data["bookId"]) == 1)


def test_cancelling_twice_at_once_frees_and_refunds_once(ward: Ward, lin: Person, wang: Person) -> None:
    schedule_id = ward.schedule(slots=1)
    book_id = ward.booked(lin, schedule_id)
    answers = at_once([lambda: ward.cancel(lin, book_id)] * 6)
    assert statuses(answers) == {200: 6}
    ward.booked(wang, schedule_id)
    assert [row["status"] for row in rows("bookings", ward.hospital)] == [1, 0]
    told = [row["payload"] for row in rows("outbox", ward.hospital)]
    assert sum('"type": 1101' in one for one in told) == 1


def test_cancel_and_resell_at_once_never_sells_twice(ward: Ward, crowd: list[Person]) -> None:
    schedule_id = ward.schedule(slots=1)
    holder, *others = crowd
    for _ in range(5):
        book_id = ward.submit(holder, schedule_id).data["bookId"]
        ward.rules(daily_limit=0)
        calls = [partial(ward.cancel, holder, book_id)]
        calls += [partial(ward.submit, one, schedule_id) for one in others]
        cancelled, *answers = at_once(calls)
        assert cancelled.status == 200
        assert set(statuses(answers)) <= {200, 409}
        live = [row for row in rows("bookings", ward.hospital) if row["live"]]
        assert len(live) == statuses(answers)[200] <= 1
        for one in live:
            buyer = next(person for person in others if person.user_id == one["user_id"])
            assert ward.cancel(buyer, one["book_id"]).status == 200
    assert ward.left(schedule_id) == [1]


def test_a_schedule_is_not_changed_under_somebody_who_books(ward: Ward, crowd: list[Person]) -> None:
    schedule_id = ward.schedule()
    calls: list[Callable[[], Answer]] = [lambda: ward.save(schedule_id=schedule_id, slots=1)]
    calls += [partial(ward.submit, one, schedule_id, 4) for one in crowd]
    changed, *answers = at_once(calls)
    sold = statuses(answers)[200]
    [row] = rows("schedules", ward.hospital)
    assert (changed.status, row["slots"], sold) in [(200, 1, 0), (409, 4, 1)]
