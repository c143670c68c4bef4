"""Calls made at once by threads of this process, which share what a process shares. See processes.py for the other."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

T = TypeVar("T")


def run_in_threads(calls: Iterable[Callable[[], T]]) -> list[T]:
    """Make the calls, each from a thread of its own, all beginning together; return what they return."""
    ready = list(calls)
    start = Barrier(len(ready))

    def made(call: Callable[[], T]) -> T:
        start.wait()
        return call()

    with ThreadPoolExecutor(len(ready)) as pool:
        return list(pool.map(made, ready))
