"""What it takes to run one server: everything needed to start it, and to start it again after a crash."""

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
    name: str  # mysql, redis, s3
    label: str  # the product and its version
    argv: list[str]
    port: int
    folder: str  # its data
    log: str
    url: str
    env: dict[str, str] = field(default_factory=dict)
    scratch_folder: str = ""  # a folder that goes when it stops
    death_signal: int = signal.SIGTERM  # what it gets when we die
    pid: int = 0
    start_time: str = ""


def start(service: Service) -> None:
    if service.scratch_folder:  # the socket of a killed server is in the way of the next
        shutil.rmtree(service.scratch_folder, ignore_errors=True)
        Path(service.scratch_folder).mkdir(mode=0o700)
    service.pid = processes.spawn(service.argv, service.env, Path(service.log), service.death_signal)
    service.start_time = processes.get_start_time(service.pid)


def stop(service: Service) -> None:
    processes.end(service.pid, service.start_time)
    processes.reap(service.pid)
    if service.scratch_folder:
        shutil.rmtree(service.scratch_folder, ignore_errors=True)


def await_ready(service: Service, ready: Callable[[Service], bool], patience: float = 30.0) -> None:
    """Returns when the server answers; raises if it dies or takes longer than the patience."""
    deadline = time.monotonic() + patience
    while not is_ready(service, ready):
        if processes.get_start_time(service.pid) != service.start_time:
            raise CommandError(f"{service.label} ended at once; the end of its log:\n{read_log_tail(service.log)}")
        if time.monotonic() > deadline:
            raise CommandError(
                f"{service.label} does not answer after {patience:.0f} s; the end of its log:\n"
                f"{read_log_tail(service.log)}"
            )
        time.sleep(0.02)


def is_ready(service: Service, ready: Callable[[Service], bool]) -> bool:
    try:
        return ready(service)
    except (OSError, EOFError):
        return False


def read_log_tail(log: str) -> str:
    try:
        return "\n".join(Path(log).read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return "(no log)"


def read_version(argv: list[str], env: dict[str, str]) -> str:
    """What the program says of itself with --version; '' if it does not run here."""
    try:
        return subprocess.run([*argv, "--version"], env=env, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
