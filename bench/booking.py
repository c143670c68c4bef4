"""bin/bench booking: selling slots and looking at the calendar through the whole handler, beside the same round trips
bare."""

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
from tests.support import booking_client as wards
from tests.support import factories
from tests.support.booking_client import BOOKING_PATH, PUBLIC_PATH, BookingDepartment, get_iso_date
from tests.support.factories import Person

BUYERS_PER_SCARCE_SLOT = 5  # of a process's buyers find a slot where all of them want the same half-day
DAYS = 30
ROUNDS = 4  # of the handler and of the floor, in turn, so that both see the same machine
CONTEXT = LambdaContext()
MAX_RATIO = 1.8  # times the floor's p50 that a calendar read takes at most, alone


@dataclass(frozen=True)
class Case:
    """One kind of request; `path` is of a read, others sell."""

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
class Place:
    """Where all processes ask: a ward, a half-day that is scarce, and one whose slots are read."""

    ward: BookingDepartment
    scarce_schedule_id: str
    read_schedule_id: str


class Worker:
    """One process: buyers of its own, connections of its own, one request after another."""

    def __init__(self, number: int, buyers: int) -> None:
        outbox.wake_worker = lambda queue=Queue.INTERNAL: None  # noqa: ARG005  # on AWS another function does what was promised
        self.number, self.size, self.scarce = number, buyers, buyers // BUYERS_PER_SCARCE_SLOT
        self.baseline = Baseline()
        self.events: list[dict[str, Any]] = []
        self.trips: list[list[RoundTrip]] = []

    def create_place(self) -> Place:
        """Make the hospital: a doctor with a morning and an afternoon on each day, half of them sold."""
        migrations.migrate()
        ward = wards.create_department(factories.create_hospital())
        ward.save_rules(days_ahead=DAYS, daily_limit=0)
        for ahead in range(1, DAYS + 1):
            ward.create_schedule(date=get_iso_date(ahead), slots=20)
            read = ward.create_schedule(**wards.AFTERNOON, date=get_iso_date(ahead)) if ahead % 2 else ""
        zhou = ward.hospital.zhou.user_id
        return Place(
            ward,
            ward.create_schedule(doctor_id=zhou, slots=self.scarce),
            read or ward.create_schedule(doctor_id="", slots=20),
        )

    def join_place(self, place: Place) -> None:
        """Bring the buyers, and give them a clinic of their own, where nobody else wants the same slot."""
        self.place, self.snapshot = place, TableSnapshot(place.ward.hospital.tenant_id, "bookings", "outbox")
        first = 100_000 + self.number * self.size
        with ThreadPoolExecutor(4) as pool:
            self.buyers = list(pool.map(lambda n: wards.create_patient(place.ward, n), range(first, first + self.size)))
        doctor = factories.create_staff(place.ward.hospital.tenant_id, f"135{self.number:08d}", "医生", "doctor")
        self.own_schedule_id = place.ward.create_schedule(
            doctor_id=doctor.user_id, slots=240, begin="07:00", end="11:00"
        )

    def warm_up(self, case: Case) -> None:
        """Everybody is signed in, copies are made, connections opened."""
        self.case, self.events = case, self._build_reads(case) if case.path else self._build_submits(case)
        for event in self.events[:1] if case.path else self.events:
            app(event, CONTEXT)

    def record_round_trips(self) -> str:
        """Ask once what the floor replays; return the round trips of the first."""
        self.trips = [self._record(event) for event in (self.events[:1] if self.case.path else self.events)]
        return format_round_trips(self.trips[0])

    def run(self, bare: bool, start: float) -> Slice:
        done = Slice()
        time.sleep(max(start - time.monotonic(), 0))
        began = time.perf_counter()
        for number, event in enumerate(self.events):
            asked = time.perf_counter()
            if bare:
                self._replay(self.trips[number % len(self.trips)])
            elif app(event, CONTEXT)["statusCode"] not in (200, 409):
                done.failures += 1
            done.durations.append(time.perf_counter() - asked)
        done.seconds = time.perf_counter() - began
        return done

    def restore_tables(self) -> None:
        """As if nobody had bought."""
        self.snapshot.restore()

    def is_sold_out(self) -> bool:
        """Whether each of the scarce slots is sold, once."""
        count = "SELECT COUNT(*) FROM bookings WHERE schedule_id = %(id)s AND live = 1"
        return bool(mysql.autocommit.fetch_value(count, id=self.place.scarce_schedule_id) == self.scarce)

    def _build_submits(self, case: Case) -> list[dict[str, Any]]:
        """Each buyer's wish; of what is scarce each process wants every slot, in an order of its own."""
        schedule_id, slots = (
            (self.place.scarce_schedule_id, self.scarce) if case.contended else (self.own_schedule_id, 240)
        )
        wishes = [number % slots + 1 for number in range(self.size)]
        random.shuffle(wishes)
        return [self._build_submit(schedule_id, *one) for one in zip(wishes, self.buyers, strict=True)]

    def _build_submit(self, schedule_id: str, serial_no: int, buyer: Person) -> dict[str, Any]:
        asked = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": buyer.member_id}
        return build_post(f"{BOOKING_PATH}/book/submit", buyer.token, "", **asked)

    def _build_reads(self, case: Case) -> list[dict[str, Any]]:
        ward = self.place.ward
        asked = {
            "deptId": ward.dept_id,
            "doctorId": ward.hospital.chen.user_id,
            "days": case.days or 7,
            "date": get_iso_date(1),
            "scheduleId": self.place.read_schedule_id,
        }
        return [build_get(f"{PUBLIC_PATH}/{case.path}", self.buyers[0].token, **asked)] * self.size

    def _record(self, event: dict[str, Any]) -> list[RoundTrip]:
        with record_round_trips() as trips:
            answer = app(event, CONTEXT)
        if answer["statusCode"] not in (200, 409):
            raise ValueError(f"{answer['statusCode']} {json.loads(answer['body'])}")
        return trips

    def _replay(self, trips: list[RoundTrip]) -> None:
        for trip in trips:
            with suppress(pymysql.err.IntegrityError):  # somebody else had the slot this time
                trip.replay(self.baseline)
        self.baseline.mysql.rollback()
        self.baseline.answers.clear()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench booking", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8], metavar="N")
    parser.add_argument("--buyers", type=int, default=250, help="of each process, a slot for every fifth of one's")
    parser.add_argument("--only", default="", metavar="TEXT", help="the rows whose names contain it")
    options = parser.parse_args(arguments)
    print_line(machine.describe(machine.find_servers()))
    pool, wrong = ProcessPool(max(options.processes), lambda number: Worker(number, options.buyers)), 0
    [place] = pool.call(1, Worker.create_place)
    pool.call(max(options.processes), Worker.join_place, place)
    print_line(f"\n{'processes':>9}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8} |{'floor/s':>8}{'p50 ms':>8} |{'ratio':>6}")
    for case in [one for one in CASES if options.only in one.name]:
        for processes in options.processes:
            pool.call(processes, Worker.warm_up, case)
            pool.call(1, Worker.restore_tables)  # who has booked already is answered otherwise
            trips = pool.call(processes, Worker.record_round_trips)[0]
            if processes == options.processes[0]:
                print_line(f"{case.name}: {trips}")
            wrong += _measure(pool, case, processes)
    pool.stop()
    return 1 if wrong else 0


def _measure(pool: ProcessPool, case: Case, processes: int) -> int:
    """Measure and say it; return how many rounds sold another number than there was."""
    handler, floor, wrong = Measurement(), Measurement(), 0
    for _ in range(ROUNDS):
        for measured in (floor, handler):
            pool.call(1, Worker.restore_tables)
            measured.slices += pool.call(processes, Worker.run, measured is floor, time.monotonic() + 0.01)
        if case.contended and pool.call(1, Worker.is_sold_out) != [True]:
            wrong += 1
    ratio = handler.get_percentile_ms(50) / floor.get_percentile_ms(50)
    aim = f"  aim: ≤ {MAX_RATIO}{'' if ratio <= MAX_RATIO else ' MISSED'}" if case.path and processes == 1 else ""
    marks = f"  {wrong} ROUNDS SOLD WRONGLY" if wrong else ""
    marks += f"  {handler.failures} refused" if handler.failures else ""
    print_line(
        f"{processes:>9}{handler.get_rate(processes):>8.0f}"
        f"{handler.get_percentile_ms(50):>8.2f}{handler.get_percentile_ms(99):>8.2f} |"
        f"{floor.get_rate(processes):>8.0f}{floor.get_percentile_ms(50):>8.2f} |{ratio:>6.2f}{aim}{marks}"
    )
    return wrong
