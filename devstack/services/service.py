"""A server process: start it, wait until it is ready, stop it."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from devstack.console import CommandError
from devstack.services import processes


@dataclass
class Service:
    """Everything that is needed to start a server, and to start it again after a crash."""

    name: str  # mysql, redis, s3
    label: str  # the product and its version
    argv: list[str]
    port: int
    folder: str  # with its data
    log: str
    url: str
    env: dict[str, str] = field(default_factory=dict)
    scratch_folder: str = ""  # a folder that is deleted when it stops
    death_signal: int = signal.SIGTERM  # sent to it when the parent ends
    pid: int = 0
    start_time: str = ""


def start(service: Service) -> None:
    """Start the server without waiting until it is ready."""
    if service.scratch_folder:  # the socket of a killed server would prevent the start
        shutil.rmtree(service.scratch_folder, ignore_errors=True)
        Path(service.scratch_folder).mkdir(mode=0o700)
    service.pid = processes.spawn(service.argv, service.env, Path(service.log), service.death_signal)
    service.start_time = processes.get_start_time(service.pid)


def stop(service: Service) -> None:
    """End the server and delete its scratch folder."""
    processes.end(service.pid, service.start_time)
    processes.reap(service.pid)
    if service.scratch_folder:
        shutil.rmtree(service.scratch_folder, ignore_errors=True)


def await_ready(service: Service, check: Callable[[Service], bool], timeout: float = 30.0) -> None:
    """Wait until a server is ready.

    Raises:
        CommandError: it ends, or is not ready within `timeout` seconds; the text has the end of its log.
    """
    deadline = time.monotonic() + timeout
    while not is_ready(service, check):
        if processes.get_start_time(service.pid) != service.start_time:
            raise CommandError(f"{service.label} has ended; the end of its log:\n{read_log_tail(service.log)}")
        if time.monotonic() > deadline:
            raise CommandError(
                f"{service.label} is not ready after {timeout:.0f} s; the end of its log:\n{read_log_tail(service.log)}"
            )
        time.sleep(0.02)


def is_ready(service: Service, check: Callable[[Service], bool]) -> bool:
    """Return the result of the check; False if the server does not accept a connection."""
    try:
        return check(service)
    except (OSError, EOFError):
        return False


def read_log_tail(log: str) -> str:
    """Return the last lines of a log."""
    try:
        return "\n".join(Path(log).read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return "(no log)"


def read_version(argv: list[str], env: dict[str, str]) -> str:
    """Return the output of a program with --version; '' if it does not run here."""
    try:
        return subprocess.run([*argv, "--version"], env=env, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
