"""bin/bench booking: booking slots and reading the calendar through the whole handler, compared with the floor."""

import argparse
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pymysql

from app import app
from bench import machine
from bench.baseline import Baseline, RoundTrip, format_round_trips, record_round_trips
from bench.console import print_line
from bench.lambda_events import LambdaContext, build_get, build_post
from bench.process_pool import Measurement, ProcessPool, Slice
from bench.tables import TableSnapshot
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people.roles import Role
from tests.support import booking_client, factories
from tests.support.booking_client import BOOKING_PATH, PUBLIC_PATH, BookingDepartment, get_iso_date
from tests.support.factories import Person

BUYERS_PER_SCARCE_SLOT = 5  # buyers of one process for each slot of the scarce half-day
OWN_SLOTS = 240  # of the half-day that each process has for itself
DAYS = 30  # in the calendar
ROUNDS = 4  # of the handler and of the floor, alternating, so that both see the same machine load
CONTEXT = LambdaContext()
MAX_RATIO = 1.8  # target of a calendar read with one process: its p50 over the floor's


@dataclass(frozen=True)
class Case:
    """One kind of request: a read of `path`, or a booking if there is no path."""

    name: str
    path: str = ""
    days: int = 0
    contended: bool = False


CASES = [
    Case("submit, uncontended"),
    Case("submit, scarce", contended=True),
    Case("schedule/info, 30 days", path="schedule/info", days=DAYS),
    Case("schedule", path="schedule"),
    Case("left_appo", path="schedule/left_appo"),
    Case("schedule_by_date", path="schedule_by_date"),
]


@dataclass(frozen=True)
class SharedData:
    """What all processes use: a department, a half-day with few slots, and a half-day whose slots are read."""

    department: BookingDepartment
    scarce_schedule_id: str
    read_schedule_id: str


class Worker:
    """One process, with its own buyers and connections, that sends one request after another."""

    def __init__(self, number: int, buyers: int) -> None:
        outbox.wake_worker = lambda queue=Queue.INTERNAL: None  # noqa: ARG005  # on AWS another function runs the jobs
        self.number, self.size, self.scarce = number, buyers, buyers // BUYERS_PER_SCARCE_SLOT
        self.baseline = Baseline()
        self.events: list[dict[str, Any]] = []
        self.trips: list[list[RoundTrip]] = []

    def create_shared_data(self) -> SharedData:
        """Create a hospital with a doctor who works every morning and every other afternoon."""
        migrations.migrate()
        department = booking_client.create_department(factories.create_hospital())
        department.save_rules(days_ahead=DAYS, daily_limit=0)
        for ahead in range(1, DAYS + 1):
            department.create_schedule(date=get_iso_date(ahead), slots=20)
            read = department.create_schedule(**booking_client.AFTERNOON, date=get_iso_date(ahead)) if ahead % 2 else ""
        zhou = department.hospital.zhou.user_id
        return SharedData(
            department,
            department.create_schedule(doctor_id=zhou, slots=self.scarce),
            read or department.create_schedule(doctor_id="", slots=20),
        )

    def join(self, shared: SharedData) -> None:
        """Create this process's buyers, and a half-day of its own in which no other process books."""
        self.shared, tenant_id = shared, shared.department.hospital.tenant_id
        self.snapshot = TableSnapshot(tenant_id, "bookings", "outbox")
        numbers = range(100_000 + self.number * self.size, 100_000 + (self.number + 1) * self.size)
        with ThreadPoolExecutor(4) as pool:
            self.buyers = list(pool.map(lambda n: booking_client.create_patient(shared.department, n), numbers))
        doctor = factories.create_staff(tenant_id, f"135{self.number:08d}", "医生", Role.DOCTOR)
        self.own_schedule_id = shared.department.create_schedule(
            doctor_id=doctor.user_id, slots=OWN_SLOTS, begin="07:00", end="11:00"
        )

    def warm_up(self, case: Case) -> None:
        """Send each request once: sign the buyers in, fill the caches and open the connections."""
        self.case, self.events = case, self._build_reads(case) if case.path else self._build_submits(case)
        for event in self.events[:1] if case.path else self.events:
            app(event, CONTEXT)

    def record_round_trips(self) -> str:
        """Record the requests for the floor, and return the round trips of the first."""
        self.trips = [self._record(event) for event in (self.events[:1] if self.case.path else self.events)]
        return format_round_trips(self.trips[0])

    def run(self, as_floor: bool, start: float) -> Slice:
        """Send all requests, or replay their round trips, from the time `start` of the monotonic clock on."""
        done = Slice()
        time.sleep(max(start - time.monotonic(), 0))
        started = time.perf_counter()
        for number, event in enumerate(self.events):
            sent_at = time.perf_counter()
            if as_floor:
                self._replay(self.trips[number % len(self.trips)])
            elif app(event, CONTEXT)["statusCode"] not in (200, 409):
                done.failures += 1
            done.durations.append(time.perf_counter() - sent_at)
        done.seconds = time.perf_counter() - started
        return done

    def restore_tables(self) -> None:
        """Delete the bookings."""
        self.snapshot.restore()

    def is_sold_out(self) -> bool:
        """Return True if there are exactly as many bookings of the scarce half-day as it has slots."""
        count = "SELECT COUNT(*) FROM bookings WHERE schedule_id = %(id)s AND live = 1"
        return bool(mysql.autocommit.fetch_value(count, id=self.shared.scarce_schedule_id) == self.scarce)

    def _build_submits(self, case: Case) -> list[dict[str, Any]]:
        """Build a request for each buyer. In the contended case each process requests every slot, in random order."""
        own, scarce = (self.own_schedule_id, OWN_SLOTS), (self.shared.scarce_schedule_id, self.scarce)
        schedule_id, slots = scarce if case.contended else own
        serial_numbers = [number % slots + 1 for number in range(self.size)]
        random.shuffle(serial_numbers)
        return [self._build_submit(schedule_id, *one) for one in zip(serial_numbers, self.buyers, strict=True)]

    def _build_submit(self, schedule_id: str, serial_no: int, buyer: Person) -> dict[str, Any]:
        body = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": buyer.member_id}
        return build_post(f"{BOOKING_PATH}/book/submit", buyer.token, "", **body)

    def _build_reads(self, case: Case) -> list[dict[str, Any]]:
        department = self.shared.department
        query = {
            "deptId": department.dept_id,
            "doctorId": department.hospital.chen.user_id,
            "days": case.days or 7,
            "date": get_iso_date(1),
            "scheduleId": self.shared.read_schedule_id,
        }
        return [build_get(f"{PUBLIC_PATH}/{case.path}", self.buyers[0].token, **query)] * self.size

    def _record(self, event: dict[str, Any]) -> list[RoundTrip]:
        with record_round_trips() as trips:
            response = app(event, CONTEXT)
        if response["statusCode"] not in (200, 409):
            raise ValueError(f"{response['statusCode']} {json.loads(response['body'])}")
        return trips

    def _replay(self, trips: list[RoundTrip]) -> None:
        for trip in trips:
            with suppress(pymysql.err.IntegrityError):  # another process has the slot this time
                trip.replay(self.baseline)
        self.baseline.mysql.rollback()
        self.baseline.replies.clear()


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a round booked a wrong number of slots."""
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
            pool.call(processes, Worker.warm_up, case)
            pool.call(1, Worker.restore_tables)  # a second booking by the same person is another request
            trips = pool.call(processes, Worker.record_round_trips)[0]
            if processes == options.processes[0]:
                print_line(f"{case.name}: {trips}")
            wrong += _measure(pool, case, processes)
    pool.stop()
    return 1 if wrong else 0


def _measure(pool: ProcessPool, case: Case, processes: int) -> int:
    """Measure a case and print its line; return how many rounds did not book exactly all scarce slots."""
    handler, floor, wrong = Measurement(), Measurement(), 0
    for _ in range(ROUNDS):
        for measured in (floor, handler):
            pool.call(1, Worker.restore_tables)
            measured.slices += pool.call(processes, Worker.run, measured is floor, time.monotonic() + 0.01)
        if case.contended and pool.call(1, Worker.is_sold_out) != [True]:
            wrong += 1
    ratio = handler.get_percentile_ms(50) / floor.get_percentile_ms(50)
    notes = f"  target: ≤ {MAX_RATIO}{'' if ratio <= MAX_RATIO else ' MISSED'}" if case.path and processes == 1 else ""
    notes += f"  {wrong} ROUNDS WITH A WRONG NUMBER OF BOOKINGS" if wrong else ""
    notes += f"  {handler.failures} rejected" if handler.failures else ""
    print_line(
        f"{processes:>9}{handler.get_rate(processes):>8.0f}"
        f"{handler.get_percentile_ms(50):>8.2f}{handler.get_percentile_ms(99):>8.2f} |"
        f"{floor.get_rate(processes):>8.0f}{floor.get_percentile_ms(50):>8.2f} |{ratio:>6.2f}{notes}"
    )
    return wrong
