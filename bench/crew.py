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

from bench.console import hush


@dataclass
class Slice:
    """What one process did in one slice of time."""

    seconds: float = 0.0
    cpu: float = 0.0
    refused: int = 0
    times: "array[float]" = field(default_factory=lambda: array("d"))  # of each request, seconds


@dataclass
class Measured:
    """All slices of one row at one number of processes, through the handler or bare."""

    slices: list[Slice] = field(default_factory=list)

    @property
    def times(self) -> list[float]:
        return [one for part in self.slices for one in part.times]

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.slices)

    def percent(self, percent: int) -> float:
        """Return milliseconds."""
        return quantiles(self.times, n=100, method="inclusive")[percent - 1] * 1000

    def rate(self, processes: int) -> float:
        return len(self.times) / sum(part.seconds for part in self.slices) * processes


class Crew:
    """The processes. The parent never opens a connection: a forked copy of one would be shared."""

    def __init__(self, size: int, make: Callable[[int], Any]) -> None:
        context = get_context("fork")
        self.lines: list[Connection] = []
        for number in range(size):
            ours, theirs = context.Pipe()
            self.lines.append(ours)
            arguments = (theirs, partial(make, number), self.lines)
            context.Process(target=_serve, args=arguments, daemon=True).start()

    def ask(self, size: int, method: str, *arguments: Any) -> list[Any]:
        """Have the first so many processes do something at once; return what each of them answers."""
        for line in self.lines[:size]:
            line.send((method, *arguments))
        return [_heard(line) for line in self.lines[:size]]

    def ask_each(self, method: str, *arguments: Any) -> list[Any]:
        """Have all of them do something, one after the other."""
        answers = []
        for line in self.lines:
            line.send((method, *arguments))
            answers.append(_heard(line))
        return answers

    def dismiss(self) -> None:
        for line in self.lines:
            line.send(None)


def _heard(line: Connection) -> Any:
    error, answer = line.recv()
    if error:
        raise RuntimeError(error)
    return answer


def _serve(line: Connection, make: Callable[[], Any], inherited: list[Connection]) -> None:
    """The process's main: answers the parent's (method, arguments) until it hangs up."""
    for other in inherited:  # else no process would notice that the parent is gone
        other.close()
    hush()
    worker: Any = None
    while (asked := line.recv()) is not None:
        name, *arguments = asked
        try:
            worker = worker or make()
            line.send((None, getattr(worker, name)(*arguments)))
        except Exception:
            line.send((traceback.format_exc(), None))
