"""Work done by several processes at once, as Lambdas do it: each with connections of its own."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from tests import overheard

PROCESSES = 8


def at_once(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call work (a module's function) with up to PROCESSES tuples at once; return what the calls return."""
    return [call.result(timeout=120) for call in [_pool().submit(work, *one) for one in arguments]]


@cache
def _pool() -> ProcessPoolExecutor:
    """Forks of a process that has imported the app: eight imports at once take a second each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["app", "tests.wire", "pytest"])
    return ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=_begin)


def _begin() -> None:
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    import_module("app")  # first: it sets up logging
    overheard.listen()


def _end_with(parent: Any) -> None:
    """However the tests end: their executor would wait for work for ever."""
    parent.join()
    os._exit(1)
