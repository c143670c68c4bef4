"""Start and end processes: only our own, by process id, without leaving any behind.

Processes must be started by a thread that does not end before them (the main thread), because on Linux the parent of
a process is the thread that started it.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from devstack.paths import RUN, write_atomically
from devstack.services import parent_death

PORT_RANGE = (20_000, 32_768)  # below the ephemeral ports of Linux, and of macOS (from 49,152)


def find_free_port() -> int:
    """Return a free port that is never an outgoing connection's, so that a server can reuse it after a restart."""
    while not is_port_free(port := random.randrange(*PORT_RANGE)):
        pass
    return port


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def spawn(argv: list[str], env: dict[str, str], log: Path, death_signal: int = signal.SIGKILL) -> int:
    """Start a command in its own session, so that Ctrl-C does not reach it, and return its process id.

    Args:
        log: the file to which its output is appended.
        death_signal: sent to it when this process ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [*build_parent_death_prefix(death_signal), *argv]
    file_actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, env, file_actions=file_actions, setsid=True)


def reap(pid: int) -> None:
    """Wait for an ended child, so that no zombie remains; do nothing for another process's child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def build_parent_death_prefix(death_signal: int = signal.SIGKILL) -> list[str]:
    """Return the words to put before a command so that it receives a signal when this process ends."""
    return [
        sys.executable,
        "-I",
        "-S",
        str(Path(parent_death.__file__).resolve()),
        str(os.getpid()),
        str(int(death_signal)),
    ]


def get_start_time(pid: int) -> str:
    """Return the start time of a process, which distinguishes it from a later one with the same id.

    Returns:
        A text to compare; '' if the process has ended or is a zombie. On Linux a killed process counts as running while
        any of its threads exists, because these still hold its ports and files.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, threads, started = fields[0], int(fields[17]), fields[19]
        return "" if state in "ZX" and threads <= 1 else started
    except OSError:
        if sys.platform == "linux":
            return ""
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, started = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()


def end(pid: int, start_time: str, first: int = signal.SIGTERM, grace: float = 5.0) -> None:
    """Send a process the signal `first`, and SIGKILL if it still runs after `grace` seconds.

    Nothing is sent if the id belongs to another process by now, that is, if the start time differs.
    """
    for number, timeout in ((first, grace), (signal.SIGKILL, 5.0)):
        if not start_time or get_start_time(pid) != start_time:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + timeout
        while get_start_time(pid) == start_time and time.monotonic() < deadline:
            time.sleep(0.01)


def record_children(name: str, pids: Iterable[int], folders: Iterable[str]) -> None:
    """Record the processes that this one has started, and its temporary folders, for clear_stale after a crash."""
    children = [[pid, get_start_time(pid)] for pid in pids]
    record = {"owner": [os.getpid(), get_start_time(os.getpid())], "children": children, "folders": list(folders)}
    write_atomically(RUN / f"{os.getpid()}-{name}.json", json.dumps(record))


def delete_record(name: str) -> None:
    """Delete a record of record_children."""
    (RUN / f"{os.getpid()}-{name}.json").unlink(missing_ok=True)


def clear_stale() -> None:
    """End the processes and delete the temporary folders of runs whose owner has ended."""
    for path in RUN.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            record = json.loads(path.read_text())
            if get_start_time(record["owner"][0]) == record["owner"][1]:
                continue
            for pid, start_time in record["children"]:
                end(pid, start_time)
            for folder in record["folders"]:
                shutil.rmtree(folder, ignore_errors=True)
            path.unlink(missing_ok=True)
