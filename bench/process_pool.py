"""Worker processes that send requests concurrently, each on its own connections, and their measurements."""

import traceback
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import quantiles
from typing import Any, TypeVar

from bench.console import silence_app_logs

T = TypeVar("T")


@dataclass
class Slice:
    """The requests of one process in one slice of time."""

    seconds: float = 0.0
    cpu: float = 0.0  # seconds of CPU
    failures: int = 0
    durations: "array[float]" = field(default_factory=lambda: array("d"))  # of each request, seconds


@dataclass
class Measurement:
    """All slices of one case at one number of processes, of the handler or of the floor."""

    slices: list[Slice] = field(default_factory=list)

    @property
    def durations(self) -> list[float]:
        """The durations of all requests, in seconds."""
        return [one for part in self.slices for one in part.durations]

    @property
    def failures(self) -> int:
        """The number of requests that were rejected."""
        return sum(one.failures for one in self.slices)

    def get_percentile_ms(self, percent: int) -> float:
        """Return a percentile of the durations, in milliseconds."""
        return quantiles(self.durations, n=100, method="inclusive")[percent - 1] * 1000

    def get_rate(self, processes: int) -> float:
        """Return the requests per second of all processes together."""
        return len(self.durations) / sum(part.seconds for part in self.slices) * processes


class ProcessPool:
    """Forked processes, each with a worker. The parent opens no connections: the forks would share them."""

    def __init__(self, size: int, create_worker: Callable[[int], Any]) -> None:
        context = get_context("fork")
        self.pipes: list[Connection] = []
        for number in range(size):
            ours, theirs = context.Pipe()
            self.pipes.append(ours)
            arguments = (theirs, partial(create_worker, number), self.pipes)
            context.Process(target=_serve, args=arguments, daemon=True).start()

    def call(self, size: int, method: Callable[..., T], *arguments: Any) -> list[T]:
        """Call a method of the workers of the first `size` processes, all at once, and return their results.

        Args:
            method: a function of the worker's class, such as `Worker.run`.
        """
        for pipe in self.pipes[:size]:
            pipe.send((method, arguments))
        return [_receive(pipe) for pipe in self.pipes[:size]]

    def call_each(self, method: Callable[..., T], *arguments: Any) -> list[T]:
        """Call a method of the workers of all processes, one process after the other, and return their results."""
        results: list[T] = []
        for pipe in self.pipes:
            pipe.send((method, arguments))
            results.append(_receive(pipe))
        return results

    def stop(self) -> None:
        """End the processes."""
        for pipe in self.pipes:
            pipe.send(None)


def _receive(pipe: Connection) -> Any:
    error, result = pipe.recv()
    if error:
        raise RuntimeError(error)
    return result


def _serve(pipe: Connection, create_worker: Callable[[], Any], inherited: list[Connection]) -> None:
    """Run a process: call the worker's methods that the parent sends, until it sends None or ends."""
    for other in inherited:  # an open copy of the parent's ends would hide from the others that the parent has ended
        other.close()
    silence_app_logs()
    worker: Any = None
    while (call := pipe.recv()) is not None:
        method, arguments = call
        try:
            worker = worker or create_worker()
            pipe.send((None, method(worker, *arguments)))
        except Exception:
            pipe.send((traceback.format_exc(), None))
