"""The waitlist under load: every slot is given once, every offer is accepted or passed on, and the order is kept."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.waitlist import offering
from chalicelib.outbox import outbox
from tests.support import booking_client, booking_load, factories, waitlist_load
from tests.support.booking_client import BookingDepartment, create_patient, get_iso_date, list_rows
from tests.support.booking_load import CONCURRENCY
from tests.support.client import ApiResponse
from tests.support.factories import Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
SLOTS, CANCELLATIONS = 50, 100


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@contextmanager
def try_to_buy(department: BookingDepartment, schedule_id: str, wang: Person) -> Iterator[list[ApiResponse]]:
    """Let a passer-by request one slot after another; yield the responses that are not the expected error."""
    stopped, wrong = Event(), list[ApiResponse]()

    def buy() -> None:
        chance = random.Random(2)
        while not stopped.is_set():
            response = department.submit(wang, schedule_id, chance.randint(1, SLOTS))
            wrong.extend([response] if response.status != 409 else [])

    with ThreadPoolExecutor(1) as pool:
        buying = pool.submit(buy)
        yield wrong
        stopped.set()
        buying.result()


def test_a_thousand_people_wait_while_processes_die_and_redis_is_flushed() -> None:
    department = booking_client.create_department(factories.create_hospital())
    department.save_rules(daily_limit=0, quiet_from=0, quiet_to=0)
    people, tenant_id = booking_load.create_buyers(department), department.hospital.tenant_id
    holders = [create_patient(department, 1_000 + number) for number in range(SLOTS)]
    schedule_id = department.create_schedule(date=get_iso_date(9), slots=SLOTS)
    books = [department.book_slot(one, schedule_id, at + 1) for at, one in enumerate(holders)]
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        joined = pool.map(lambda one: department.join_waitlist(one, schedule_id), people)
        assert {one.status for one in joined} == {200}
    by_account, chance = {one.user_id: one for one in [*people, *holders]}, random.Random(4)
    cancelled = died = 0
    with (
        booking_load.flush_redis_repeatedly(),
        try_to_buy(department, schedule_id, department.hospital.wang) as bought,
    ):
        while cancelled < CANCELLATIONS:
            with ThreadPoolExecutor(8) as pool:
                kills = [(chance.randint(1, 6), chance.random() < 0.5) for _ in range(4)]
                dying = pool.submit(waitlist_load.offer_in_dying_processes, tenant_id, schedule_id, kills)
                responses = [pool.submit(department.cancel, *one) for one in zip(holders, books, strict=True)]
                assert {one.result().status for one in responses} <= {200}
                died += dying.result()
            cancelled += len(books)
            died += waitlist_load.offer_in_dying_processes(tenant_id, schedule_id, [(2, True), (3, False)])
            offering.offer_all()
            cancelled += respond_to_offers(department, schedule_id, by_account, chance)
            holders, books = [], []
    offering.offer_all()
    assert died > 2
    assert bought == []
    assert waitlist_load.find_inconsistencies(schedule_id, SLOTS) == []


def respond_to_offers(
    department: BookingDepartment, schedule_id: str, people: dict[int, Person], chance: random.Random
) -> int:
    """Confirm, decline and leave unanswered some of the offers; return how many slots became free."""
    open_offers = [one for one in list_rows("bookings", department.hospital) if one["live"] and one["confirm_by"]]
    declined = lapsed = 0
    for offer in open_offers:
        person, book_id = people[offer["user_id"]], offer["book_id"]
        choice = chance.choice("cdl")
        if choice == "c":
            assert department.confirm(person, book_id).status == 200
        elif choice == "d":
            assert department.cancel(person, book_id).status == 200
            declined += 1
        else:
            let_lapse(book_id)
            lapsed += 1
    assert scheduled.cancel_unconfirmed() >= lapsed
    assert open_offers
    assert str(open_offers[0]["schedule_id"]) == schedule_id
    return declined + lapsed


def let_lapse(book_id: int) -> None:
    late = "UPDATE bookings SET confirm_by = %(now)s WHERE book_id = %(book_id)s"
    mysql.autocommit.execute(late, now=clock.now() - 1, book_id=book_id)


def test_concurrent_offers_keep_the_order(department: BookingDepartment, lin: Person, wang: Person) -> None:
    department.save_rules(quiet_from=0, quiet_to=0)
    people = [create_patient(department, number) for number in range(6)]
    schedule_id = department.create_schedule(date=get_iso_date(3), slots=2)
    books = [department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)]
    for person in people:
        department.join_waitlist(person, schedule_id)
    for person, book_id in zip((lin, wang), books, strict=True):
        department.cancel(person, book_id)
    run_in_threads([partial(offering.offer_free_slots, lin.tenant_id, {"schedule_id": int(schedule_id)})] * 6)
    states = [row["state"] for row in list_rows("waitlist_entries", department.hospital)]
    assert states == ["offered", "offered", *["waiting"] * 4]
    assert waitlist_load.find_inconsistencies(schedule_id, 2) == []


def test_entry_that_left_meanwhile_gets_nothing(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(3), slots=1)
    book_id = department.book_slot(lin, schedule_id)
    [joined] = department.join_waitlist(wang, schedule_id).data
    department.cancel(lin, book_id)
    first = waitlist_store.find_first(mysql.autocommit, lin.tenant_id, int(schedule_id))
    assert first
    department.leave_waitlist(wang, joined["entryId"])
    assert offering._offer_to(lin.tenant_id, first) is offering.Outcome.SKIPPED
    assert [row["live"] for row in list_rows("bookings", department.hospital)] == [None]


def test_concurrent_double_clicks_join_once(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(3), slots=1)
    department.book_slot(lin, schedule_id)
    responses = run_in_threads([partial(department.join_waitlist, wang, schedule_id)] * 6)
    assert len({one.data[0]["entryId"] for one in responses}) == 1
    assert len(list_rows("waitlist_entries", department.hospital)) == 1


def test_confirmation_and_lapse_exclude_each_other(department: BookingDepartment, lin: Person, wang: Person) -> None:
    department.save_rules(quiet_from=0, quiet_to=0)
    schedule_id = department.create_schedule(date=get_iso_date(3), slots=1)
    book_id = department.book_slot(lin, schedule_id)
    department.join_waitlist(wang, schedule_id)
    department.cancel(lin, book_id)
    offering.offer_all()
    [offer] = [one for one in list_rows("bookings", department.hospital) if one["live"]]
    let_lapse(offer["book_id"])
    confirm = partial(department.confirm, wang, offer["book_id"])
    calls: list[Callable[[], Any]] = [scheduled.cancel_unconfirmed, confirm, confirm, scheduled.cancel_unconfirmed]
    run_in_threads(calls)
    assert [row["state"] for row in list_rows("waitlist_entries", department.hospital)] == ["lapsed"]
    assert department.list_free_serial_nos(schedule_id) == [1]
