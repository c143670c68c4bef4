"""What it takes to run one server: everything needed to start it, and to start it again after a crash."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from devstack import processes
from devstack.say import Refusal


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
    scratch: str = ""  # a folder that goes when it stops
    death: int = signal.SIGTERM  # what it gets when we die
    pid: int = 0
    born: str = ""


def start(service: Service) -> None:
    if service.scratch:  # the socket of a killed server is in the way of the next
        shutil.rmtree(service.scratch, ignore_errors=True)
        Path(service.scratch).mkdir(mode=0o700)
    service.pid = processes.spawn(service.argv, service.env, Path(service.log), service.death)
    service.born = processes.birth(service.pid)


def stop(service: Service) -> None:
    processes.end(service.pid, service.born)
    processes.reap(service.pid)
    if service.scratch:
        shutil.rmtree(service.scratch, ignore_errors=True)


def await_ready(service: Service, ready: Callable[[Service], bool], patience: float = 30.0) -> None:
    """Returns when the server answers; raises if it dies or takes longer than the patience."""
    deadline = time.monotonic() + patience
    while not answers(service, ready):
        if processes.birth(service.pid) != service.born:
            raise Refusal(f"{service.label} ended at once; the end of its log:\n{tail(service.log)}")
        if time.monotonic() > deadline:
            raise Refusal(
                f"{service.label} does not answer after {patience:.0f} s; the end of its log:\n{tail(service.log)}"
            )
        time.sleep(0.02)


def answers(service: Service, ready: Callable[[Service], bool]) -> bool:
    try:
        return ready(service)
    except (OSError, EOFError):
        return False


def tail(log: str) -> str:
    try:
        return "\n".join(Path(log).read_text(errors="replace").splitlines()[-12:])
    except OSError:
        return "(no log)"


def version_of(argv: list[str], env: dict[str, str]) -> str:
    """What the program says of itself with --version; '' if it does not run here."""
    try:
        return subprocess.run([*argv, "--version"], env=env, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
