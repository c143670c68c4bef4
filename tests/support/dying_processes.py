"""Processes that die between two commands to MySQL, as when Lambda ends them: what they had not committed is undone."""

import os
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

import pymysql

from chalicelib.outbox import outbox
from tests.support.processes import get_fork_context


def run_in_dying_processes(work: Callable[..., Any], arguments: tuple[Any, ...], numbers: Iterable[int]) -> int:
    """Run a module's function in concurrent processes; return how many died.

    Args:
        numbers: for each process, the number of the command before which it dies. COMMIT is a command too.
    """
    context = get_fork_context()
    processes = [context.Process(target=run_and_die, args=(work, arguments, number)) for number in numbers]
    for one in processes:
        one.start()
    for one in processes:
        one.join()
    return sum(one.exitcode == 1 for one in processes)


def run_and_die(work: Callable[..., Any], arguments: tuple[Any, ...], number: int) -> None:
    """Call a function until this process has sent so many commands to MySQL but one, and end it then and there."""
    numbers, send = count(1), pymysql.connections.Connection._execute_command  # type: ignore[attr-defined]

    def send_or_die(connection: Any, *command: Any) -> None:
        if next(numbers) == number:
            os._exit(1)
        send(connection, *command)

    pymysql.connections.Connection._execute_command = send_or_die  # type: ignore[attr-defined]
    outbox.wake_worker = lambda *_: None
    work(*arguments)
