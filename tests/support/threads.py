"""Run functions in concurrent threads, which share the state of the process; processes.py runs them in processes."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")


def run_in_threads(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Start all calls at the same time, each in its own thread, and return their results."""
    all_calls = list(calls)
    barrier = Barrier(len(all_calls))

    def run(call: Callable[[], T]) -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(all_calls)) as pool:
        return list(pool.map(run, all_calls))
