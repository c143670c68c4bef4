"""One process that asks one request after another: the handler and its own floor, in turn."""

import itertools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app import app
from bench import machine
from bench.console import hush, say
from bench.crew import Measured, Slice
from bench.events import Context
from bench.floor import Floor, Trip, recorded, shape
from bench.rows import Event
from chalicelib import migrations
from chalicelib.outbox import outbox

CONTEXT = Context()
ROUNDS = 4  # of the handler and of the floor, in turn, so that both see the same machine
HEAD = f"\n{'':36}{'n':>6}{'p50 ms':>8}{'p99 ms':>8} |{'floor p50':>10} |{'ratio':>6}   round trips"


@dataclass(frozen=True)
class Row:
    """Requests of one kind, each asked once in a round.

    `before` makes things so, before each round and outside the measurement. `done` counts in MySQL: one more for each
    request, or the run fails. `key` says how the Idempotency-Key of a request (by its number) stands in SQL, where they
    have one.
    """

    name: str
    events: list[Event]
    check: Callable[[Any], bool] = lambda answer: True  # noqa: ARG005  # of an answer's body
    before: Callable[[], None] = lambda: None
    done: Callable[[], int] | None = None
    key: Callable[[int, str], str] | None = None


def begun() -> None:
    """Say what the figures are measured on. On AWS another function does what a request has promised."""
    say(machine.described(machine.servers()))
    hush()
    outbox.wake_worker = lambda outside=False: None  # noqa: ARG005  # its signature
    migrations.migrate()


class Asking:
    """The process's bare connections, and its keys."""

    def __init__(self) -> None:
        self.floor = Floor()
        self.keys = (f"k{number:011d}" for number in itertools.count())
        say(HEAD)

    def measure(self, row: Row) -> None:
        """Raises ValueError where a request was not done. The last turn is the handler's."""
        for _ in range(2):  # what was new is read by the second time, copies are made, connections opened
            row.before()
            trips = [self._recorded(row, number) for number in range(len(row.events))]
        handler, bare = Measured(), Measured()
        for turn in range(ROUNDS):
            for measured in (bare, handler) if turn % 2 else (handler, bare):
                row.before()
                there = row.done() if row.done else 0
                measured.slices.append(self._slice(row, trips if measured is bare else None))
                if row.done and measured is handler and row.done() - there != len(row.events):
                    raise ValueError(f"{row.name}: {row.done() - there} are done of {len(row.events)}")
        refused = f"  {handler.refused} refused" if handler.refused else ""
        p50, floor = handler.percent(50), bare.percent(50)
        say(
            f"{row.name:36}{len(handler.times):>6}{p50:>8.2f}{handler.percent(99):>8.2f} |{floor:>10.2f} |"
            f"{p50 / floor:>6.2f}   {shape(trips[0])}{refused}"
        )

    def _recorded(self, row: Row, number: int) -> list[Trip]:
        with recorded(self._key(row, number)) as trips:
            answer = app(row.events[number], CONTEXT)
        body = answer["body"]
        if answer["statusCode"] != 200 or not row.check(json.loads(body) if body else None):
            raise ValueError(f"{row.name}: {answer['statusCode']} {body[:500]}")
        return trips

    def _slice(self, row: Row, trips: list[list[Trip]] | None) -> Slice:
        """Ask all of them through the handler, or bare."""
        done = Slice()
        for number, event in enumerate(row.events):
            key = self._key(row, number)
            began = time.perf_counter()
            if trips:
                self.floor.replay(trips[number], key)
            elif app(event, CONTEXT)["statusCode"] != 200:
                done.refused += 1
            done.times.append(time.perf_counter() - began)
        return done

    def _key(self, row: Row, number: int) -> str:
        """Give a request a key of its own; return how that stands in SQL."""
        if not row.key:
            return ""
        row.events[number]["headers"]["Idempotency-Key"] = key = next(self.keys)
        return row.key(number, key)
