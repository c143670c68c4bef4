"""Starting and ending processes: only ours, only by number, never leaving one behind.

Starting must be done in a thread that lives on (the main one): Linux counts the thread as the parent.
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

PORT_RANGE = (20_000, 32_768)  # Linux hands out those above, macOS those above 49,151


def find_free_port() -> int:
    """One that no outgoing connection is given: a server that is killed and started again finds its port free."""
    while not is_port_free(port := random.randrange(*PORT_RANGE)):
        pass
    return port


def is_port_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def spawn(argv: list[str], env: dict[str, str], log: Path, death: int = signal.SIGKILL) -> int:
    """Starts argv in a session of its own (a Ctrl-C is not for it), tied to us by the signal `death`; its number."""
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [*build_parent_death_prefix(death), *argv]
    into_log = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, env, file_actions=into_log, setsid=True)


def reap(pid: int) -> None:
    """Takes the exit code of an ended child, so that no zombie stays; nothing if it was somebody else's child."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def build_parent_death_prefix(death: int = signal.SIGKILL) -> list[str]:
    """What to put before a command so that it dies with this process."""
    return [sys.executable, "-I", "-S", str(Path(parent_death.__file__).resolve()), str(os.getpid()), str(int(death))]


def get_start_time(pid: int) -> str:
    """When that process began, to tell it from a later one of the same number; '' when it is gone or a zombie.

    On Linux the main thread of one that was killed may be a zombie while others still hold its ports and files.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        state, threads, began = fields[0], int(fields[17]), fields[19]
        return "" if state in "ZX" and threads <= 1 else began
    except OSError:
        if sys.platform == "linux":
            return ""
    shown = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True)
    state, _, began = shown.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else began.strip()


def end(pid: int, born: str, first: int = signal.SIGTERM, grace: float = 5.0) -> None:
    """Ends that very process: `first`, and SIGKILL after the grace. Does nothing if the number is another's by now."""
    for number, patience in ((first, grace), (signal.SIGKILL, 5.0)):
        if not born or get_start_time(pid) != born:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience
        while get_start_time(pid) == born and time.monotonic() < deadline:
            time.sleep(0.01)


def record_children(name: str, pids: Iterable[int], folders: Iterable[str]) -> None:
    """Notes under a name what this process has started and which folders are its own, for clear_stale after a sudden
    death."""
    children = [[pid, get_start_time(pid)] for pid in pids]
    note = {"owner": [os.getpid(), get_start_time(os.getpid())], "children": children, "folders": list(folders)}
    write_atomically(RUN / f"{os.getpid()}-{name}.json", json.dumps(note))


def delete_record(name: str) -> None:
    (RUN / f"{os.getpid()}-{name}.json").unlink(missing_ok=True)


def clear_stale() -> None:
    """Ends the processes and removes the temporary folders of runs whose owner is dead."""
    for path in RUN.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            note = json.loads(path.read_text())
            if get_start_time(note["owner"][0]) == note["owner"][1]:
                continue
            for pid, born in note["children"]:
                end(pid, born)
            for folder in note["folders"]:
                shutil.rmtree(folder, ignore_errors=True)
            path.unlink(missing_ok=True)
