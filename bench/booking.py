"""bin/bench booking: booking, rescheduling and reading the calendar through the whole handler, compared with the floor.

The hand-over of the waitlist is a job, which is called as the worker of the outbox does.
"""

import argparse
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import pymysql

from app import app
from bench import machine
from bench.baseline import Baseline, RoundTrip, format_round_trips, record_round_trips
from bench.console import print_line
from bench.lambda_events import LambdaContext, build_get, build_post
from bench.process_pool import Measurement, ProcessPool, Slice
from bench.tables import TableSnapshot, build_row_counter
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.reservations import waitlist_store
from chalicelib.booking.reservations.waitlist_store import WaitState
from chalicelib.booking.waitlist import offering
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people.roles import Role
from tests.support import booking_client, factories
from tests.support.booking_client import BOOKING_PATH, PUBLIC_PATH, BookingDepartment, get_iso_date
from tests.support.factories import Person

BUYERS_PER_SCARCE_SLOT = 5  # buyers of one process for each slot of the scarce half-day
BUYERS_PER_RELEASED_SLOT = 2
RELEASE_BUYERS = 125  # of each process: with 8 processes, 1,000 buyers want 500 slots
OWN_SLOTS = 240  # of the half-day that each process has for itself
DAYS = 30  # in the calendar
HANDOVER_DAYS = 30  # after those: each half-day has a slot that becomes free, and one person who waits
ROUNDS = 4  # of the handler and of the floor, alternating, so that both see the same machine load
CONTEXT = LambdaContext()
MAX_RATIO = 1.8  # target of a calendar read with one process: its p50 over the floor's


class Kind(Enum):
    """What a case measures."""

    SUBMIT = auto()  # each process books in a half-day of its own
    SCARCE = auto()  # all processes want the same few slots
    RELEASE = auto()  # all processes want the slots that were just released
    RESCHEDULE = auto()
    HANDOVER = auto()  # the waitlist gives a free slot to the first in line
    READ = auto()


@dataclass(frozen=True)
class Case:
    """One kind of request; `path` is that of a read."""

    name: str
    kind: Kind = Kind.READ
    path: str = ""
    days: int = 0

    @property
    def is_contended(self) -> bool:
        """Whether all processes book in one half-day, of which each slot is wanted."""
        return self.kind in (Kind.SCARCE, Kind.RELEASE)


CASES = [
    Case("submit, uncontended", Kind.SUBMIT),
    Case("submit, scarce", Kind.SCARCE),
    Case("submit, release", Kind.RELEASE),
    Case("reschedule", Kind.RESCHEDULE),
    Case("waitlist hand-over", Kind.HANDOVER),
    Case("schedule/info, 30 days", path="schedule/info", days=DAYS),
    Case("schedule", path="schedule"),
    Case("left_appo", path="schedule/left_appo"),
    Case("schedule_by_date", path="schedule_by_date"),
]


@dataclass(frozen=True)
class SharedData:
    """What all processes use: a department, half-days that all want, and a half-day whose slots are read."""

    department: BookingDepartment
    scarce_schedule_id: str
    released_schedule_id: str
    read_schedule_id: str


class Worker:
    """One process, with its own buyers and connections, that sends one request after another."""

    def __init__(self, number: int, buyers: int) -> None:
        outbox.wake_worker = lambda queue=Queue.INTERNAL: None  # noqa: ARG005  # on AWS another function runs the jobs
        self.number, self.size, self.scarce = number, buyers, buyers // BUYERS_PER_SCARCE_SLOT
        self.baseline = Baseline()
        self.calls: list[Callable[[], bool]] = []  # each returns whether it was answered as expected
        self.trips: list[list[RoundTrip]] = []

    def create_shared_data(self) -> SharedData:
        """Create a hospital with a doctor who works every morning and every other afternoon."""
        migrations.migrate()
        department = booking_client.create_department(factories.create_hospital())
        department.save_rules(days_ahead=DAYS + HANDOVER_DAYS, daily_limit=0, quiet_from=0, quiet_to=0)
        for ahead in range(1, DAYS + 1):
            department.create_schedule(date=get_iso_date(ahead), slots=20)
            read = department.create_schedule(**booking_client.AFTERNOON, date=get_iso_date(ahead)) if ahead % 2 else ""
        zhou = department.hospital.zhou.user_id
        return SharedData(
            department,
            department.create_schedule(doctor_id=zhou, slots=self.scarce),
            department.create_schedule(doctor_id=zhou, date=get_iso_date(2), begin="03:00", slots=500),
            read or department.create_schedule(doctor_id="", slots=20),
        )

    def join(self, shared: SharedData) -> None:
        """Create this process's buyers, and a half-day of its own in which no other process books."""
        self.shared, tenant_id = shared, shared.department.hospital.tenant_id
        numbers = range(100_000 + self.number * self.size, 100_000 + (self.number + 1) * self.size)
        with ThreadPoolExecutor(4) as pool:
            self.buyers = list(pool.map(lambda n: booking_client.create_patient(shared.department, n), numbers))
        doctor = factories.create_staff(tenant_id, f"135{self.number:08d}", "医生", Role.DOCTOR)
        self.own_schedule_id = shared.department.create_schedule(
            doctor_id=doctor.user_id, slots=OWN_SLOTS, begin="07:00", end="11:00"
        )
        self.handover_schedule_ids = [
            shared.department.create_schedule(
                **{**half, "doctor_id": doctor.user_id, "slots": 1, "date": get_iso_date(DAYS + day)}
            )
            for day in range(1, HANDOVER_DAYS + 1)
            for half in ({}, booking_client.AFTERNOON)
        ]
        self.empty = TableSnapshot(tenant_id, "bookings", "booking_changes", "waitlist_entries", "outbox")

    def prepare(self, case: Case, processes: int) -> None:
        """Create what exists before a case, and build its requests."""
        self.case, self.processes = case, processes
        builders = {
            Kind.READ: self._build_reads,
            Kind.RESCHEDULE: self._build_reschedules,
            Kind.HANDOVER: self._build_handovers,
        }
        self.calls = builders.get(case.kind, self._build_submits)()

    def remember_tables(self) -> None:
        """Let restore_tables restore the rows as they are now."""
        self.snapshot = TableSnapshot(self.empty.tenant_id, *self.empty.rows)

    def clear_tables(self) -> None:
        """Delete all bookings and what belongs to them."""
        self.empty.restore()

    def warm_up(self) -> None:
        """Send each request once: sign the buyers in, fill the caches and open the connections."""
        for call in self._list_different_calls():
            call()

    def record_round_trips(self) -> str:
        """Record the requests for the floor, and return the round trips of the first."""
        self.trips = [self._record(call) for call in self._list_different_calls()]
        return format_round_trips(self.trips[0])

    def run(self, as_floor: bool, start: float) -> Slice:
        """Send all requests, or replay their round trips, from the time `start` of the monotonic clock on."""
        done = Slice()
        time.sleep(max(start - time.monotonic(), 0))
        started = time.perf_counter()
        for number, call in enumerate(self.calls):
            sent_at = time.perf_counter()
            if as_floor:
                self._replay(self.trips[number % len(self.trips)])
            elif not call():
                done.failures += 1
            done.durations.append(time.perf_counter() - sent_at)
        done.seconds = time.perf_counter() - started
        return done

    def restore_tables(self) -> None:
        """Undo what the requests have written."""
        self.snapshot.restore()

    def is_exact(self) -> bool:
        """Return True if the requests of all processes have written exactly what they should."""
        tenant_id, calls = self.empty.tenant_id, self.processes * len(self.calls)
        if self.case.kind is Kind.RESCHEDULE:
            return build_row_counter(tenant_id, "booking_changes")() == calls
        if self.case.kind is Kind.HANDOVER:
            given = build_row_counter(tenant_id, "waitlist_entries", "state = %(state)s", state=WaitState.OFFERED)
            return given() == calls
        schedule_id, slots, _ = self._choose_schedule()
        booked = build_row_counter(
            tenant_id, "bookings", "schedule_id = %(schedule)s AND live = 1", schedule=schedule_id
        )
        return not self.case.is_contended or booked() == slots

    def _choose_schedule(self) -> tuple[str, int, int]:
        """Return the half-day of a case, how many of its slots are requested, and the number of buyers."""
        if self.case.kind is Kind.SCARCE:
            return self.shared.scarce_schedule_id, self.scarce, self.size
        if self.case.kind is Kind.RELEASE:
            buyers = min(self.size, RELEASE_BUYERS)
            return self.shared.released_schedule_id, self.processes * buyers // BUYERS_PER_RELEASED_SLOT, buyers
        return self.own_schedule_id, OWN_SLOTS, self.size

    def _build_submits(self) -> list[Callable[[], bool]]:
        """Build a request for each buyer, in random order: together the processes request each slot equally often."""
        schedule_id, slots, buyers = self._choose_schedule()
        first = self.number * buyers if self.case.kind is Kind.RELEASE else 0
        serial_numbers = [number % slots + 1 for number in range(first, first + buyers)]
        random.shuffle(serial_numbers)
        return [
            partial(self._submit, schedule_id, *one) for one in zip(serial_numbers, self.buyers[:buyers], strict=True)
        ]

    def _submit(self, schedule_id: str, serial_no: int, buyer: Person) -> bool:
        body = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": buyer.member_id}
        return _send(build_post(f"{BOOKING_PATH}/book/submit", buyer.token, "", **body), 200, 409)

    def _build_reschedules(self) -> list[Callable[[], bool]]:
        """Book the first slots of the process's half-day, and build requests that move them to the others."""
        calls: list[Callable[[], bool]] = []
        for serial_no, buyer in enumerate(self.buyers[: OWN_SLOTS // 2], 1):
            book_id = self.shared.department.book_slot(buyer, self.own_schedule_id, serial_no)
            body = {"bookId": book_id, "scheduleId": self.own_schedule_id, "serialNo": serial_no + OWN_SLOTS // 2}
            calls.append(partial(_send, build_post(f"{BOOKING_PATH}/book/reschedule", buyer.token, "", **body), 200))
        return calls

    def _build_handovers(self) -> list[Callable[[], bool]]:
        """Let one buyer wait for the free slot of each half-day, and build the jobs that give it."""
        tenant_id = self.empty.tenant_id
        calls: list[Callable[[], bool]] = []
        for schedule_id, buyer in zip(self.handover_schedule_ids, self.buyers, strict=False):
            mysql.run_transaction(partial(_insert_entry, buyer=buyer, schedule_id=int(schedule_id)))
            calls.append(partial(_hand_over, tenant_id, int(schedule_id)))
        return calls

    def _build_reads(self) -> list[Callable[[], bool]]:
        department, case = self.shared.department, self.case
        query = {
            "deptId": department.dept_id,
            "doctorId": department.hospital.chen.user_id,
            "days": case.days or 7,
            "date": get_iso_date(1),
            "scheduleId": self.shared.read_schedule_id,
        }
        event = build_get(f"{PUBLIC_PATH}/{case.path}", self.buyers[0].token, **query)
        return [partial(_send, event, 200)] * self.size

    def _list_different_calls(self) -> list[Callable[[], bool]]:
        return self.calls[:1] if self.case.kind is Kind.READ else self.calls

    def _record(self, call: Callable[[], bool]) -> list[RoundTrip]:
        with record_round_trips() as trips:
            is_expected = call()
        if not is_expected:
            raise ValueError(f"{self.case.name} was rejected")
        return trips

    def _replay(self, trips: list[RoundTrip]) -> None:
        for trip in trips:
            with suppress(pymysql.err.IntegrityError):  # another process has the slot this time
                trip.replay(self.baseline)
        self.baseline.mysql.rollback()
        self.baseline.replies.clear()


def _send(event: dict[str, Any], *expected: int) -> bool:
    return app(event, CONTEXT)["statusCode"] in expected


def _insert_entry(tx: Tx, buyer: Person, schedule_id: int) -> None:
    waitlist_store.insert(tx, buyer.tenant_id, buyer.user_id, buyer.member_id or 0, [schedule_id])


def _hand_over(tenant_id: int, schedule_id: int) -> bool:
    offering.offer_free_slots(tenant_id, {"schedule_id": schedule_id})
    return True


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a round wrote a wrong number of rows."""
    parser = argparse.ArgumentParser(prog="bin/bench booking", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8], metavar="N")
    parser.add_argument(
        "--buyers", type=int, default=250, help="of each process; the scarce half-day has a slot for a fifth of them"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose names contain TEXT")
    options = parser.parse_args(arguments)
    print_line(machine.describe(machine.find_servers()))
    pool, wrong = ProcessPool(max(options.processes), lambda number: Worker(number, options.buyers)), 0
    [shared] = pool.call(1, Worker.create_shared_data)
    pool.call(max(options.processes), Worker.join, shared)
    print_line(f"\n{'processes':>9}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8} |{'floor/s':>8}{'p50 ms':>8} |{'ratio':>6}")
    for case in [one for one in CASES if options.only in one.name]:
        for processes in options.processes:
            pool.call(1, Worker.clear_tables)
            pool.call(processes, Worker.prepare, case, processes)
            pool.call(1, Worker.remember_tables)
            pool.call(processes, Worker.warm_up)
            pool.call(1, Worker.restore_tables)  # a second booking by the same person is another request
            trips = pool.call(processes, Worker.record_round_trips)[0]
            if processes == options.processes[0]:
                print_line(f"{case.name}: {trips}")
            wrong += _measure(pool, case, processes)
    pool.stop()
    return 1 if wrong else 0


def _measure(pool: ProcessPool, case: Case, processes: int) -> int:
    """Measure a case and print its line; return how many rounds did not write exactly what they should."""
    handler, floor, wrong = Measurement(), Measurement(), 0
    for _ in range(ROUNDS):
        for measured in (floor, handler):
            pool.call(1, Worker.restore_tables)
            measured.slices += pool.call(processes, Worker.run, measured is floor, time.monotonic() + 0.01)
        if pool.call(1, Worker.is_exact) != [True]:
            wrong += 1
    ratio = handler.get_percentile_ms(50) / floor.get_percentile_ms(50)
    notes = (
        f"  target: ≤ {MAX_RATIO}{'' if ratio <= MAX_RATIO else ' MISSED'}"
        if case.kind is Kind.READ and processes == 1
        else ""
    )
    notes += f"  {wrong} ROUNDS WITH A WRONG NUMBER OF BOOKINGS" if wrong else ""
    notes += f"  {handler.failures} rejected" if handler.failures else ""
    print_line(
        f"{processes:>9}{handler.get_rate(processes):>8.0f}"
        f"{handler.get_percentile_ms(50):>8.2f}{handler.get_percentile_ms(99):>8.2f} |"
        f"{floor.get_rate(processes):>8.0f}{floor.get_percentile_ms(50):>8.2f} |{ratio:>6.2f}{notes}"
    )
    return wrong
