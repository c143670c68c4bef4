"""One process that asks one request after another: the handler and its own floor, in turn."""

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
ROUNDS = 4  # of the handler and of the floor, in turn, so that both see the same machine
TABLE_HEADER = f"\n{'':36}{'n':>6}{'p50 ms':>8}{'p99 ms':>8} |{'floor p50':>10} |{'ratio':>6}   round trips"


@dataclass(frozen=True)
class Case:
    """Requests of one kind, each asked once in a round.

    `before` makes things so, before each round and outside the measurement. `done` counts in MySQL: one more for each
    request, or the run fails. `key` says how the Idempotency-Key of a request (by its number) stands in SQL, where they
    have one.
    """

    name: str
    events: list[Event]
    check: Callable[[Any], bool] = lambda answer: True  # noqa: ARG005  # of an answer's body
    prepare: Callable[[], None] = lambda: None
    count_done: Callable[[], int] | None = None
    format_key: Callable[[int, str], str] | None = None


def prepare() -> None:
    """Say what the figures are measured on. On AWS another function does what a request has promised."""
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    outbox.wake_worker = lambda queue=Queue.INTERNAL: None  # noqa: ARG005  # its signature
    migrations.migrate()


class SingleProcessRun:
    """The process's bare connections, and its keys."""

    def __init__(self) -> None:
        self.baseline = Baseline()
        self.keys = (f"k{number:011d}" for number in itertools.count())
        print_line(TABLE_HEADER)

    def measure(self, row: Case) -> None:
        """Raises ValueError where a request was not done. The last turn is the handler's."""
        for _ in range(2):  # what was new is read by the second time, copies are made, connections opened
            row.prepare()
            trips = [self._record(row, number) for number in range(len(row.events))]
        handler, bare = Measurement(), Measurement()
        for turn in range(ROUNDS):
            for measured in (bare, handler) if turn % 2 else (handler, bare):
                row.prepare()
                there = row.count_done() if row.count_done else 0
                measured.slices.append(self._run_slice(row, trips if measured is bare else None))
                if row.count_done and measured is handler and row.count_done() - there != len(row.events):
                    raise ValueError(f"{row.name}: {row.count_done() - there} are done of {len(row.events)}")
        refused = f"  {handler.failures} refused" if handler.failures else ""
        p50, floor = handler.get_percentile_ms(50), bare.get_percentile_ms(50)
        print_line(
            f"{row.name:36}{len(handler.durations):>6}{p50:>8.2f}{handler.get_percentile_ms(99):>8.2f} "
            f"|{floor:>10.2f} |{p50 / floor:>6.2f}  {format_round_trips(trips[0])}{refused}"
        )

    def _record(self, row: Case, number: int) -> list[RoundTrip]:
        with record_round_trips(self._set_key(row, number)) as trips:
            answer = app(row.events[number], CONTEXT)
        body = answer["body"]
        if answer["statusCode"] != 200 or not row.check(json.loads(body) if body else None):
            raise ValueError(f"{row.name}: {answer['statusCode']} {body[:500]}")
        return trips

    def _run_slice(self, row: Case, trips: list[list[RoundTrip]] | None) -> Slice:
        """Ask all of them through the handler, or bare."""
        done = Slice()
        for number, event in enumerate(row.events):
            key = self._set_key(row, number)
            began = time.perf_counter()
            if trips:
                self.baseline.replay(trips[number], key)
            elif app(event, CONTEXT)["statusCode"] != 200:
                done.failures += 1
            done.durations.append(time.perf_counter() - began)
        return done

    def _set_key(self, row: Case, number: int) -> str:
        """Give a request a key of its own; return how that stands in SQL."""
        if not row.format_key:
            return ""
        row.events[number]["headers"]["Idempotency-Key"] = key = next(self.keys)
        return row.format_key(number, key)
