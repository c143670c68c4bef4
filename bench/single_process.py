"""Measure cases in one process, one request after another, alternating between the handler and the floor."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app import app
from bench import machine
from bench.baseline import Baseline, RoundTrip, format_round_trips, record_round_trips
from bench.chat_cases import Event
from bench.console import print_line, silence_app_logs
from bench.lambda_events import LambdaContext
from bench.process_pool import Measurement, Slice
from chalicelib import migrations
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue

CONTEXT = LambdaContext()
ROUNDS = 4  # of the handler and of the floor, alternating, so that both see the same machine load
TABLE_HEADER = f"\n{'':36}{'n':>6}{'p50 ms':>8}{'p99 ms':>8} |{'floor p50':>10} |{'ratio':>6}   round trips"


@dataclass(frozen=True)
class Case:
    """Requests of one kind, each made once per round.

    Attributes:
        check: returns True if the body of a response is as expected.
        prepare: is called before each round, outside the measurement.
        count_done: counts rows in MySQL; a round must add one for each request.
        format_key: returns how the Idempotency-Key of a request (by its number) is written in SQL.
    """

    name: str
    events: list[Event]
    check: Callable[[Any], bool] = lambda body: True  # noqa: ARG005  # its signature
    prepare: Callable[[], None] = lambda: None
    count_done: Callable[[], int] | None = None
    format_key: Callable[[int, str], str] | None = None


def prepare() -> None:
    """Describe the machine and migrate the database. Outbox jobs are not run: on AWS another function runs them."""
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    outbox.wake_worker = lambda queue=Queue.INTERNAL: None  # noqa: ARG005  # its signature
    migrations.migrate()


class SingleProcessRun:
    """A run: the connections of the floor, and the idempotency keys."""

    def __init__(self) -> None:
        self.baseline = Baseline()
        self.keys = (f"k{number:011d}" for number in itertools.count())
        print_line(TABLE_HEADER)

    def measure(self, case: Case) -> None:
        """Measure a case and print its line. The last round is the handler's.

        Raises:
            ValueError: a request failed, or did not write what it should.
        """
        for _ in range(2):  # the first time fills the caches and opens the connections
            case.prepare()
            trips = [self._record(case, number) for number in range(len(case.events))]
        handler, floor = Measurement(), Measurement()
        for turn in range(ROUNDS):
            for measured in (floor, handler) if turn % 2 else (handler, floor):
                case.prepare()
                before = case.count_done() if case.count_done else 0
                measured.slices.append(self._run_slice(case, trips if measured is floor else None))
                if case.count_done and measured is handler and case.count_done() - before != len(case.events):
                    raise ValueError(
                        f"{case.name}: {case.count_done() - before} of {len(case.events)} requests were executed"
                    )
        rejected = f"  {handler.failures} rejected" if handler.failures else ""
        p50, floor_p50 = handler.get_percentile_ms(50), floor.get_percentile_ms(50)
        print_line(
            f"{case.name:36}{len(handler.durations):>6}{p50:>8.2f}{handler.get_percentile_ms(99):>8.2f} "
            f"|{floor_p50:>10.2f} |{p50 / floor_p50:>6.2f}  {format_round_trips(trips[0])}{rejected}"
        )

    def _record(self, case: Case, number: int) -> list[RoundTrip]:
        with record_round_trips(self._set_key(case, number)) as trips:
            response = app(case.events[number], CONTEXT)
        body = response["body"]
        if response["statusCode"] != 200 or not case.check(json.loads(body) if body else None):
            raise ValueError(f"{case.name}: {response['statusCode']} {body[:500]}")
        return trips

    def _run_slice(self, case: Case, trips: list[list[RoundTrip]] | None) -> Slice:
        """Send all requests through the handler, or replay their round trips if these are given."""
        done = Slice()
        for number, event in enumerate(case.events):
            key = self._set_key(case, number)
            started = time.perf_counter()
            if trips:
                self.baseline.replay(trips[number], key)
            elif app(event, CONTEXT)["statusCode"] != 200:
                done.failures += 1
            done.durations.append(time.perf_counter() - started)
        return done

    def _set_key(self, case: Case, number: int) -> str:
        """Give a request a new idempotency key; return how it is written in SQL, "" for none."""
        if not case.format_key:
            return ""
        case.events[number]["headers"]["Idempotency-Key"] = key = next(self.keys)
        return case.format_key(number, key)
