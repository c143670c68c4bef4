"""Work done by several processes at once, as Lambdas do it: each with connections of its own."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any

from tests.support import log_privacy

PROCESS_COUNT = 8


def run_in_processes(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call work (a module's function) with up to PROCESSES tuples at once; return what the calls return."""
    return [call.result(timeout=120) for call in [_get_pool().submit(work, *one) for one in arguments]]


@cache
def _get_pool() -> ProcessPoolExecutor:
    """Forks of a process that has imported the app: eight imports at once take a second each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["app", "tests.support.client", "pytest"])
    return ProcessPoolExecutor(PROCESS_COUNT, mp_context=context, initializer=_initialize_process)


def _initialize_process() -> None:
    Thread(target=_exit_with_parent, args=(parent_process(),), daemon=True).start()
    import_module("app")  # first: it sets up logging
    log_privacy.install_handler()


def _exit_with_parent(parent: Any) -> None:
    """However the tests end: their executor would wait for work for ever."""
    parent.join()
    os._exit(1)
