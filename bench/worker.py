"""One process that asks: as a Lambda would, with connections of its own, one request after another."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import replace

from app import app
from bench import cast as casting
from bench.cast import SAID_BEFORE, Cast
from bench.crew import Slice
from bench.events import Context
from bench.floor import Floor, Trip, recorded, shape
from bench.rows import Event, Row, check
from chalicelib.adapters import mysql

CONTEXT = Context()
TRIES = 5  # a copy in Redis may just expire


class Worker:
    """`rows` maps each row's name to it. Answers the parent's (method, arguments) over `line` until it hangs up."""

    def __init__(self, number: int, sessions: int, rows: Iterable[Row]) -> None:
        self.rows = {row.name: row for row in rows}
        self.cast = casting.made(sessions)
        self.shared = self.cast
        self.floor = Floor()
        self.keys = (f"{number:02d}-{n:016d}" for n in itertools.count())
        self.events: list[Event] = []
        self.trips: list[list[Trip]] = []
        self.sent = 0

    def whose(self) -> Cast:
        return self.cast

    def meet(self, shared: Cast) -> None:
        """From here on, what all processes do in one place is done in that cast's."""
        self.shared = shared

    def prepare(self, name: str) -> str:
        """Warm up and record the round trips that the floor replays; return them by name."""
        row = self.rows[name]
        self.events = row.events(self.who(row))
        self.trips = [self.learned(row, number) for number in range(len(self.events))]
        if row.before and "M" not in shape(self.trips[0]):
            raise RuntimeError(f"{name}: what is made so before each turn leaves MySQL nothing to do")
        return shape(self.trips[0])

    def learned(self, row: Row, number: int) -> list[Trip]:
        """Return what the handler asks, once the floor leaves things so that the handler asks the same after it."""
        self.recorded(row, number)  # what was new is read now, and copies are made
        for _ in range(TRIES):
            trips = self.recorded(row, number)
            self.begin(row, number)
            self.floor.replay(trips, self.key(row, self.events[number]))
            again = self.recorded(row, number)
            if shape(trips) == shape(again):
                return again
        raise RuntimeError(f"{row.name}: handler and floor get into each other's way: {shape(trips)}, {shape(again)}")

    def recorded(self, row: Row, number: int) -> list[Trip]:
        self.begin(row, number)
        key = self.key(row, self.events[number])
        with recorded(key) as trips:
            check(row, app(self.events[number], CONTEXT))
        return trips

    def run(self, name: str, bare: bool, start: float, seconds: float) -> Slice:
        """Ask everywhere in turn for so long, through the handler or bare."""
        row, done = self.rows[name], Slice()
        ask = self.ask_bare if bare else self.ask
        time.sleep(max(start - time.monotonic(), 0))
        while done.seconds < seconds:
            self.begin(row)
            began, cpu = time.perf_counter(), time.process_time()
            for number in range(len(self.events)):
                ask(row, number, done)
                if done.seconds + time.perf_counter() - began >= seconds:
                    break
            done.seconds += time.perf_counter() - began
            done.cpu += time.process_time() - cpu
        return done

    def ask(self, row: Row, number: int, done: Slice) -> None:
        event = self.events[number]
        self.key(row, event)
        began = time.perf_counter()
        response = app(event, CONTEXT)
        done.times.append(time.perf_counter() - began)
        if response["statusCode"] != 200:
            done.refused += 1
            self.sent -= row.writes

    def ask_bare(self, row: Row, number: int, done: Slice) -> None:
        key = self.key(row, self.events[number])
        began = time.perf_counter()
        self.floor.replay(self.trips[number], key)
        done.times.append(time.perf_counter() - began)

    def who(self, row: Row) -> Cast:
        cast = self.shared if row.shared else self.cast
        return replace(cast, rooms=cast.rooms[: row.rooms])

    def begin(self, row: Row, number: int | None = None) -> None:
        """Prepare a turn at every place, or at one of them."""
        if row.before:
            cast = self.who(row)
            row.before(cast, cast.rooms if number is None else [cast.rooms[number]])

    def key(self, row: Row, event: Event) -> str:
        if not row.writes:
            return ""
        self.sent += 1
        event["headers"]["Idempotency-Key"] = key = next(self.keys)
        return key

    def stored(self) -> tuple[int, int]:
        """Return how many messages its own conversations have in MySQL, and how many it put into any."""
        own = [room.conversation_id for room in self.cast.rooms]
        found = mysql.run_autocommit(
            lambda tx: tx.fetch_value("SELECT COUNT(*) FROM messages WHERE conversation_id IN %(own)s", own=own)
        )
        return found, self.sent + SAID_BEFORE * len(own)
