"""One process that asks: as a Lambda would, with connections of its own, one request after another."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import replace

from app import app
from bench import consultations as casting
from bench.baseline import Baseline, RoundTrip, format_round_trips, record_round_trips
from bench.chat_cases import Case, Event, check_response
from bench.consultations import INITIAL_MESSAGES, Participants
from bench.lambda_events import LambdaContext
from bench.process_pool import Slice
from chalicelib.adapters import mysql

CONTEXT = LambdaContext()
MAX_ATTEMPTS = 5  # a copy in Redis may just expire


class Worker:
    """`rows` maps each row's name to it. Answers the parent's (method, arguments) over `line` until it hangs up."""

    def __init__(self, number: int, sessions: int, rows: Iterable[Case]) -> None:
        self.rows = {row.name: row for row in rows}
        self.participants = casting.create_participants(sessions)
        self.shared_participants = self.participants
        self.baseline = Baseline()
        self.keys = (f"{number:02d}-{n:016d}" for n in itertools.count())
        self.events: list[Event] = []
        self.trips: list[list[RoundTrip]] = []
        self.sent = 0

    def get_participants(self) -> Participants:
        return self.participants

    def share_participants(self, shared: Participants) -> None:
        """From here on, what all processes do in one place is done in that cast's."""
        self.shared_participants = shared

    def prepare(self, name: str) -> str:
        """Warm up and record the round trips that the floor replays; return them by name."""
        row = self.rows[name]
        self.events = row.build_events(self.get_case_participants(row))
        self.trips = [self._record_stable(row, number) for number in range(len(self.events))]
        if row.prepare and "M" not in format_round_trips(self.trips[0]):
            raise RuntimeError(f"{name}: what is made so before each turn leaves MySQL nothing to do")
        return format_round_trips(self.trips[0])

    def _record_stable(self, row: Case, number: int) -> list[RoundTrip]:
        """Return what the handler asks, once the floor leaves things so that the handler asks the same after it."""
        self._record(row, number)  # what was new is read now, and copies are made
        for _ in range(MAX_ATTEMPTS):
            trips = self._record(row, number)
            self.prepare_turn(row, number)
            self.baseline.replay(trips, self.set_key(row, self.events[number]))
            again = self._record(row, number)
            if format_round_trips(trips) == format_round_trips(again):
                return again
        raise RuntimeError(
            f"{row.name}: handler and floor get into each other's way: "
            f"{format_round_trips(trips)}, {format_round_trips(again)}"
        )

    def _record(self, row: Case, number: int) -> list[RoundTrip]:
        self.prepare_turn(row, number)
        key = self.set_key(row, self.events[number])
        with record_round_trips(key) as trips:
            check_response(row, app(self.events[number], CONTEXT))
        return trips

    def run(self, name: str, bare: bool, start: float, seconds: float) -> Slice:
        """Ask everywhere in turn for so long, through the handler or bare."""
        row, done = self.rows[name], Slice()
        ask = self.replay if bare else self.send
        time.sleep(max(start - time.monotonic(), 0))
        while done.seconds < seconds:
            self.prepare_turn(row)
            began, cpu = time.perf_counter(), time.process_time()
            for number in range(len(self.events)):
                ask(row, number, done)
                if done.seconds + time.perf_counter() - began >= seconds:
                    break
            done.seconds += time.perf_counter() - began
            done.cpu += time.process_time() - cpu
        return done

    def send(self, row: Case, number: int, done: Slice) -> None:
        event = self.events[number]
        self.set_key(row, event)
        began = time.perf_counter()
        response = app(event, CONTEXT)
        done.durations.append(time.perf_counter() - began)
        if response["statusCode"] != 200:
            done.failures += 1
            self.sent -= row.writes

    def replay(self, row: Case, number: int, done: Slice) -> None:
        key = self.set_key(row, self.events[number])
        began = time.perf_counter()
        self.baseline.replay(self.trips[number], key)
        done.durations.append(time.perf_counter() - began)

    def get_case_participants(self, row: Case) -> Participants:
        cast = self.shared_participants if row.shared else self.participants
        return replace(cast, consultations=cast.consultations[: row.consultation_count])

    def prepare_turn(self, row: Case, number: int | None = None) -> None:
        """Prepare a turn at every place, or at one of them."""
        if row.prepare:
            cast = self.get_case_participants(row)
            row.prepare(cast, cast.consultations if number is None else [cast.consultations[number]])

    def set_key(self, row: Case, event: Event) -> str:
        if not row.writes:
            return ""
        self.sent += 1
        event["headers"]["Idempotency-Key"] = key = next(self.keys)
        return key

    def count_stored(self) -> tuple[int, int]:
        """Return how many messages its own conversations have in MySQL, and how many it put into any."""
        own = [room.conversation_id for room in self.participants.consultations]
        found = mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE conversation_id IN %(own)s", own=own)
        return found, self.sent + INITIAL_MESSAGES * len(own)
