"""A worker process of bin/bench chat: it sends one request after another on its own connections, as a Lambda does."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import replace

from app import app
from bench.baseline import Baseline, RoundTrip, format_round_trips, record_round_trips
from bench.chat_cases import Case, Event, check_response
from bench.consultations import INITIAL_MESSAGES, Participants, create_participants
from bench.lambda_events import LambdaContext
from bench.process_pool import Slice
from chalicelib.adapters import mysql

CONTEXT = LambdaContext()
MAX_ATTEMPTS = 5  # a cache entry may expire between two recordings


class Worker:
    """The state of one process: its participants, its floor, and the events of the case that is measured."""

    def __init__(self, number: int, sessions: int, cases: Iterable[Case]) -> None:
        self.cases = {case.name: case for case in cases}
        self.participants = create_participants(sessions)
        self.shared_participants = self.participants
        self.baseline = Baseline()
        self.keys = (f"{number:02d}-{n:016d}" for n in itertools.count())
        self.events: list[Event] = []
        self.trips: list[list[RoundTrip]] = []
        self.sent = 0

    def get_participants(self) -> Participants:
        """Return this process's own participants."""
        return self.participants

    def share_participants(self, shared: Participants) -> None:
        """Use these participants for the cases in which all processes share a conversation."""
        self.shared_participants = shared

    def prepare(self, name: str) -> str:
        """Warm up a case, record the round trips that the floor replays, and return the format of the first."""
        case = self.cases[name]
        self.events = case.build_events(self.get_case_participants(case))
        self.trips = [self._record_stable(case, number) for number in range(len(self.events))]
        if case.prepare and "M" not in format_round_trips(self.trips[0]):
            raise RuntimeError(f"{name}: the preparation leaves no round trip to MySQL")
        return format_round_trips(self.trips[0])

    def _record_stable(self, case: Case, number: int) -> list[RoundTrip]:
        """Record a request whose round trips are the same before and after a replay by the floor.

        Raises:
            RuntimeError: the replay changes what the handler does, in MAX_ATTEMPTS attempts.
        """
        self._record(case, number)  # reads new messages and fills the caches
        for _ in range(MAX_ATTEMPTS):
            trips = self._record(case, number)
            self.prepare_turn(case, number)
            self.baseline.replay(trips, self.set_key(case, self.events[number]))
            again = self._record(case, number)
            if format_round_trips(trips) == format_round_trips(again):
                return again
        raise RuntimeError(
            f"{case.name}: the round trips differ after a replay: "
            f"{format_round_trips(trips)}, {format_round_trips(again)}"
        )

    def _record(self, case: Case, number: int) -> list[RoundTrip]:
        self.prepare_turn(case, number)
        key = self.set_key(case, self.events[number])
        with record_round_trips(key) as trips:
            check_response(case, app(self.events[number], CONTEXT))
        return trips

    def run(self, name: str, as_floor: bool, start: float, seconds: float) -> Slice:
        """Send a case's requests in turn, or replay them, for `seconds` from the monotonic time `start` on."""
        case, done = self.cases[name], Slice()
        execute = self.replay if as_floor else self.send
        time.sleep(max(start - time.monotonic(), 0))
        while done.seconds < seconds:
            self.prepare_turn(case)
            started, cpu = time.perf_counter(), time.process_time()
            for number in range(len(self.events)):
                execute(case, number, done)
                if done.seconds + time.perf_counter() - started >= seconds:
                    break
            done.seconds += time.perf_counter() - started
            done.cpu += time.process_time() - cpu
        return done

    def send(self, case: Case, number: int, done: Slice) -> None:
        """Send a request through the handler and add its duration to `done`."""
        event = self.events[number]
        self.set_key(case, event)
        started = time.perf_counter()
        response = app(event, CONTEXT)
        done.durations.append(time.perf_counter() - started)
        if response["statusCode"] != 200:
            done.failures += 1
            self.sent -= case.writes

    def replay(self, case: Case, number: int, done: Slice) -> None:
        """Replay the round trips of a request and add their duration to `done`."""
        key = self.set_key(case, self.events[number])
        started = time.perf_counter()
        self.baseline.replay(self.trips[number], key)
        done.durations.append(time.perf_counter() - started)

    def get_case_participants(self, case: Case) -> Participants:
        """Return the participants of a case, with as many consultations as it uses."""
        participants = self.shared_participants if case.shared else self.participants
        return replace(participants, consultations=participants.consultations[: case.consultation_count])

    def prepare_turn(self, case: Case, number: int | None = None) -> None:
        """Run the case's preparation for all of its conversations, or for one of them."""
        if case.prepare:
            participants = self.get_case_participants(case)
            case.prepare(
                participants, participants.consultations if number is None else [participants.consultations[number]]
            )

    def set_key(self, case: Case, event: Event) -> str:
        """Give a write a new idempotency key and return it; return "" for a read."""
        if not case.writes:
            return ""
        self.sent += 1
        event["headers"]["Idempotency-Key"] = key = next(self.keys)
        return key

    def count_stored(self) -> tuple[int, int]:
        """Return how many messages this process's conversations have in MySQL, and how many it has sent to any."""
        ids = [consultation.conversation_id for consultation in self.participants.consultations]
        found = mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE conversation_id IN %(ids)s", ids=ids)
        return found, self.sent + INITIAL_MESSAGES * len(ids)
