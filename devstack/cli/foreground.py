"""Python of the development environment as the terminal's own: a Ctrl-C is its, and we wait for its end."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from devstack.install import python_env
from devstack.paths import ROOT
from devstack.services import processes


def run(arguments: list[str], env: dict[str, str]) -> int:
    with start_child(arguments, env) as child:
        return wait_for_exit_codes([child])[0]


@contextlib.contextmanager
def start_child(
    arguments: list[str], env: dict[str, str], report: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """What it says goes into the report, where there is one. It does not outlive the block."""
    command = [*processes.build_parent_death_prefix(), python_env.get_python("venv-dev"), *arguments]
    with report.open("wb") if report else contextlib.nullcontext() as out:
        child = subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out and subprocess.STDOUT)
    born = processes.get_start_time(child.pid)
    try:
        yield child
    finally:
        processes.end(child.pid, born)
        child.wait()


def wait_for_exit_codes(children: list["subprocess.Popen[bytes]"]) -> list[int]:
    """Waits for all. A signal that ended one counts as a shell would count it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return [code if code >= 0 else 128 - code for code in [child.wait() for child in children]]
    finally:
        signal.signal(signal.SIGINT, before)
