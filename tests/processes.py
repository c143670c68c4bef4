"""Work done by several processes at once, as Lambdas do it: each with connections of its own."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def at_once(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call work (a module's function) with each tuple in a fresh process of its own; return what they return."""
    listed = list(arguments)
    with ProcessPoolExecutor(len(listed), mp_context=get_context("spawn")) as pool:
        return [future.result(timeout=120) for future in [pool.submit(work, *one) for one in listed]]
