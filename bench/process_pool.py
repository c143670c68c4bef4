"""Processes that ask at once, as Lambdas do, each with connections of its own, and what they have measured."""

import traceback
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import quantiles
from typing import Any

from bench.console import silence_app_logs


@dataclass
class Slice:
    """What one process did in one slice of time."""

    seconds: float = 0.0
    cpu: float = 0.0
    failures: int = 0
    durations: "array[float]" = field(default_factory=lambda: array("d"))  # of each request, seconds


@dataclass
class Measurement:
    """All slices of one row at one number of processes, through the handler or bare."""

    slices: list[Slice] = field(default_factory=list)

    @property
    def durations(self) -> list[float]:
        return [one for part in self.slices for one in part.durations]

    @property
    def failures(self) -> int:
        return sum(one.failures for one in self.slices)

    def get_percentile_ms(self, percent: int) -> float:
        """Return milliseconds."""
        return quantiles(self.durations, n=100, method="inclusive")[percent - 1] * 1000

    def get_rate(self, processes: int) -> float:
        return len(self.durations) / sum(part.seconds for part in self.slices) * processes


class ProcessPool:
    """The processes. The parent never opens a connection: a forked copy of one would be shared."""

    def __init__(self, size: int, make: Callable[[int], Any]) -> None:
        context = get_context("fork")
        self.pipes: list[Connection] = []
        for number in range(size):
            ours, theirs = context.Pipe()
            self.pipes.append(ours)
            arguments = (theirs, partial(make, number), self.pipes)
            context.Process(target=_serve, args=arguments, daemon=True).start()

    def call(self, size: int, method: str, *arguments: Any) -> list[Any]:
        """Have the first so many processes do something at once; return what each of them answers."""
        for line in self.pipes[:size]:
            line.send((method, *arguments))
        return [_receive(line) for line in self.pipes[:size]]

    def call_each(self, method: str, *arguments: Any) -> list[Any]:
        """Have all of them do something, one after the other."""
        answers = []
        for line in self.pipes:
            line.send((method, *arguments))
            answers.append(_receive(line))
        return answers

    def stop(self) -> None:
        for line in self.pipes:
            line.send(None)


def _receive(line: Connection) -> Any:
    error, answer = line.recv()
    if error:
        raise RuntimeError(error)
    return answer


def _serve(line: Connection, make: Callable[[], Any], inherited: list[Connection]) -> None:
    """The process's main: answers the parent's (method, arguments) until it hangs up."""
    for other in inherited:  # else no process would notice that the parent is gone
        other.close()
    silence_app_logs()
    worker: Any = None
    while (asked := line.recv()) is not None:
        name, *arguments = asked
        try:
            worker = worker or make()
            line.send((None, getattr(worker, name)(*arguments)))
        except Exception:
            line.send((traceback.format_exc(), None))
