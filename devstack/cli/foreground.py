"""Python of the development environment as the terminal's own: a Ctrl-C is its, and we wait for its end."""

import signal
import subprocess

from devstack.install import python_env
from devstack.paths import ROOT
from devstack.services import processes


def run(arguments: list[str], env: dict[str, str]) -> int:
    """Run it to its end and return the exit code; a signal that ended it counts as a shell would count it."""
    command = [*processes.build_parent_death_prefix(), python_env.get_python("venv-dev"), *arguments]
    child = subprocess.Popen(command, cwd=ROOT, env=env)
    born = processes.get_start_time(child.pid)
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            code = child.wait()
        finally:
            signal.signal(signal.SIGINT, before)
        return code if code >= 0 else 128 - code
    finally:
        processes.end(child.pid, born)
        child.wait()
