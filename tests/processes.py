"""Work done by several processes at once, as Lambdas do it: each with connections of its own."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from tests import overheard

PROCESSES = 8


def at_once(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call work (a module's function) with up to PROCESSES tuples at once; return what the calls return."""
    return [call.result(timeout=120) for call in [_pool().submit(work, *one) for one in arguments]]


@cache
def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn"), initializer=_overheard)


def _overheard() -> None:
    import_module("app")  # first: it sets up logging
    overheard.listen()
