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
from bench.console import say
from bench.crew import Crew, Measured, Slice
from bench.events import Context, get, post
from bench.floor import Floor, Trip, recorded, shape
from bench.tables import Kept
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from tests import people
from tests.booking import ward as wards
from tests.booking.ward import BOOK, VISIT, Ward, day
from tests.people import Person

FIFTH = 5  # of a process's buyers find a slot where all of them want the same half-day
DAYS = 30
ROUNDS = 4  # of the handler and of the floor, in turn, so that both see the same machine
CONTEXT = Context()
AIM = 1.8  # times the floor's p50 that a calendar read takes at most, alone


@dataclass(frozen=True)
class Row:
    """One kind of request; `path` is of a read, others sell."""

    name: str
    path: str = ""
    days: int = 0
    contended: bool = False


ROWS = [
    Row("submit, uncontended"),
    Row("submit, scarce", contended=True),
    Row("schedule/info, 30 days", path="schedule/info", days=DAYS),
    Row("schedule", path="schedule"),
    Row("left_appo", path="schedule/left_appo"),
    Row("schedule_by_date", path="schedule_by_date"),
]


@dataclass(frozen=True)
class Place:
    """Where all processes ask: a ward, a half-day that is scarce, and one whose slots are read."""

    ward: Ward
    scarce: str
    read: str


class Worker:
    """One process: buyers of its own, connections of its own, one request after another."""

    def __init__(self, number: int, buyers: int) -> None:
        outbox.wake_worker = lambda outside=False: None  # noqa: ARG005  # on AWS another function does what was promised
        self.number, self.size, self.scarce = number, buyers, buyers // FIFTH
        self.floor = Floor()
        self.events: list[dict[str, Any]] = []
        self.trips: list[list[Trip]] = []

    def found(self) -> Place:
        """Make the hospital: a doctor with a morning and an afternoon on each day, half of them sold."""
        migrations.migrate()
        ward = wards.ward(people.hospital())
        ward.rules(days_ahead=DAYS, daily_limit=0)
        for ahead in range(1, DAYS + 1):
            ward.schedule(date=day(ahead), slots=20)
            read = ward.schedule(**wards.AFTERNOON, date=day(ahead)) if ahead % 2 else ""
        zhou = ward.hospital.zhou.user_id
        return Place(
            ward, ward.schedule(doctor_id=zhou, slots=self.scarce), read or ward.schedule(doctor_id="", slots=20)
        )

    def meet(self, place: Place) -> None:
        """Bring the buyers, and give them a clinic of their own, where nobody else wants the same slot."""
        self.place, self.nothing = place, Kept(place.ward.hospital.tenant_id, "bookings", "outbox")
        first = 100_000 + self.number * self.size
        with ThreadPoolExecutor(4) as pool:
            self.buyers = list(pool.map(lambda n: wards.patient(place.ward, n), range(first, first + self.size)))
        doctor = people.worker(place.ward.hospital.tenant_id, f"135{self.number:08d}", "医生", "doctor")
        self.own = place.ward.schedule(doctor_id=doctor.user_id, slots=240, begin="07:00", end="11:00")

    def warm(self, row: Row) -> None:
        """Everybody is signed in, copies are made, connections opened."""
        self.row, self.events = row, self._reads(row) if row.path else self._sales(row)
        for event in self.events[:1] if row.path else self.events:
            app(event, CONTEXT)

    def record(self) -> str:
        """Ask once what the floor replays; return the round trips of the first."""
        self.trips = [self._recorded(event) for event in (self.events[:1] if self.row.path else self.events)]
        return shape(self.trips[0])

    def run(self, bare: bool, start: float) -> Slice:
        done = Slice()
        time.sleep(max(start - time.monotonic(), 0))
        began = time.perf_counter()
        for number, event in enumerate(self.events):
            asked = time.perf_counter()
            if bare:
                self._replayed(self.trips[number % len(self.trips)])
            elif app(event, CONTEXT)["statusCode"] not in (200, 409):
                done.refused += 1
            done.times.append(time.perf_counter() - asked)
        done.seconds = time.perf_counter() - began
        return done

    def clear(self) -> None:
        """As if nobody had bought."""
        self.nothing.back()

    def sold_out(self) -> bool:
        """Whether each of the scarce slots is sold, once."""
        count = "SELECT COUNT(*) FROM bookings WHERE schedule_id = %(id)s AND live = 1"
        return bool(mysql.run_autocommit(lambda tx: tx.fetch_value(count, id=self.place.scarce)) == self.scarce)

    def _sales(self, row: Row) -> list[dict[str, Any]]:
        """Each buyer's wish; of what is scarce each process wants every slot, in an order of its own."""
        schedule_id, slots = (self.place.scarce, self.scarce) if row.contended else (self.own, 240)
        wishes = [number % slots + 1 for number in range(self.size)]
        random.shuffle(wishes)
        return [self._sale(schedule_id, *one) for one in zip(wishes, self.buyers, strict=True)]

    def _sale(self, schedule_id: str, serial_no: int, buyer: Person) -> dict[str, Any]:
        asked = {"scheduleId": schedule_id, "serialNo": serial_no, "memberId": buyer.member_id}
        return post(f"{BOOK}/book/submit", buyer.token, "", **asked)

    def _reads(self, row: Row) -> list[dict[str, Any]]:
        ward = self.place.ward
        asked = {
            "deptId": ward.dept_id,
            "doctorId": ward.hospital.chen.user_id,
            "days": row.days or 7,
            "date": day(1),
            "scheduleId": self.place.read,
        }
        return [get(f"{VISIT}/{row.path}", self.buyers[0].token, **asked)] * self.size

    def _recorded(self, event: dict[str, Any]) -> list[Trip]:
        with recorded() as trips:
            answer = app(event, CONTEXT)
        if answer["statusCode"] not in (200, 409):
            raise ValueError(f"{answer['statusCode']} {json.loads(answer['body'])}")
        return trips

    def _replayed(self, trips: list[Trip]) -> None:
        for trip in trips:
            with suppress(pymysql.err.IntegrityError):  # somebody else had the slot this time
                trip.ask(self.floor)
        self.floor.mysql.rollback()
        self.floor.answers.clear()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench booking", description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 8], metavar="N")
    parser.add_argument("--buyers", type=int, default=250, help="of each process, a slot for every fifth of one's")
    parser.add_argument("--only", default="", metavar="TEXT", help="the rows whose names contain it")
    options = parser.parse_args(arguments)
    say(machine.described(machine.servers()))
    crew, wrong = Crew(max(options.processes), lambda number: Worker(number, options.buyers)), 0
    [place] = crew.ask(1, "found")
    crew.ask(max(options.processes), "meet", place)
    say(f"\n{'processes':>9}{'req/s':>8}{'p50 ms':>8}{'p99 ms':>8} |{'floor/s':>8}{'p50 ms':>8} |{'ratio':>6}")
    for row in [one for one in ROWS if options.only in one.name]:
        for processes in options.processes:
            crew.ask(processes, "warm", row)
            crew.ask(1, "clear")  # who has booked already is answered otherwise
            trips = crew.ask(processes, "record")[0]
            if processes == options.processes[0]:
                say(f"{row.name}: {trips}")
            wrong += _measured(crew, row, processes)
    crew.dismiss()
    return 1 if wrong else 0


def _measured(crew: Crew, row: Row, processes: int) -> int:
    """Measure and say it; return how many rounds sold another number than there was."""
    handler, bare, wrong = Measured(), Measured(), 0
    for _ in range(ROUNDS):
        for measured in (bare, handler):
            crew.ask(1, "clear")
            measured.slices += crew.ask(processes, "run", measured is bare, time.monotonic() + 0.01)
        if row.contended and crew.ask(1, "sold_out") != [True]:
            wrong += 1
    ratio = handler.percent(50) / bare.percent(50)
    aim = f"  aim: ≤ {AIM}{'' if ratio <= AIM else ' MISSED'}" if row.path and processes == 1 else ""
    marks = f"  {wrong} ROUNDS SOLD WRONGLY" if wrong else ""
    marks += f"  {handler.refused} refused" if handler.refused else ""
    say(
        f"{processes:>9}{handler.rate(processes):>8.0f}{handler.percent(50):>8.2f}{handler.percent(99):>8.2f} |"
        f"{bare.rate(processes):>8.0f}{bare.percent(50):>8.2f} |{ratio:>6.2f}{aim}{marks}"
    )
    return wrong
