"""Run Python of the development environment in the foreground: a Ctrl-C is handled by the child, not by us."""

import signal
import subprocess

from devstack.install import python_env
from devstack.paths import ROOT
from devstack.services import processes


def run(arguments: list[str], env: dict[str, str]) -> int:
    """Run Python with these arguments and return its exit code, 128 + N if signal N ended it."""
    command = [*processes.build_parent_death_prefix(), python_env.get_python("venv-dev"), *arguments]
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    start_time = processes.get_start_time(child.pid)
    try:
        previous_handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = child.wait()
        finally:
            signal.signal(signal.SIGINT, previous_handler)
        return code if code >= 0 else 128 - code
    finally:
        processes.end(child.pid, start_time)
        child.wait()
