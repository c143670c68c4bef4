"""Run functions in concurrent processes, as Lambda does, each with its own connections."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib import import_module
from multiprocessing import get_context, parent_process
from multiprocessing.context import ForkServerContext
from threading import Thread
from typing import Any

from tests.support import log_privacy

PROCESS_COUNT = 8


def run_in_processes(work: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call a module's function with each tuple of arguments in up to PROCESS_COUNT processes; return the results."""
    return [call.result(timeout=120) for call in [_get_pool().submit(work, *one) for one in arguments]]


@cache
def _get_pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(PROCESS_COUNT, mp_context=get_fork_context(), initializer=_initialize_process)


def get_fork_context() -> ForkServerContext:
    """Return a context that forks a process which has imported the app: concurrent imports would take a second each."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["app", "tests.support.client", "pytest"])
    return context


def _initialize_process() -> None:
    Thread(target=_exit_with_parent, args=(parent_process(),), daemon=True).start()
    import_module("app")  # first, because it configures logging
    log_privacy.install_handler()


def _exit_with_parent(parent: Any) -> None:
    """End the process together with the tests; otherwise it would wait for work forever."""
    parent.join()
    os._exit(1)
