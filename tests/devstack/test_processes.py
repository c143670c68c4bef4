"""Our processes end with us, and no other process is ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.paths import ROOT
from devstack.services import processes
from tests.support.faults.final_state import wait_until

SLEEP_COMMAND = [sys.executable, "-c", "import time; time.sleep(60)"]
LAST_THREAD_SCRIPT = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
print(1, flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
POOL_SCRIPT = """
import os
from tests.support import processes
processes.run_in_processes(os.getpid, [()] * processes.PROCESS_COUNT)
print(*processes._get_pool()._processes, flush=True)
os.kill(os.getpid(), 9)
"""
PARENT_SCRIPT = """
import sys, time
from pathlib import Path
from devstack.services import processes
print(processes.spawn([sys.executable, "-c", "import time; time.sleep(60)"], {}, Path(sys.argv[1])), flush=True)
time.sleep(60)
"""


@pytest.fixture
def run_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(processes, "RUN", tmp_path / "run")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(SLEEP_COMMAND)
    yield child
    child.kill()
    child.wait()


def ends_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while processes.get_start_time(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes.get_start_time(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_service_ends_with_its_killed_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT_SCRIPT, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert processes.get_start_time(child)
    parent.kill()
    parent.wait()
    assert ends_within(child, 5)


def test_pool_processes_end_with_the_tests() -> None:
    result = subprocess.run([sys.executable, "-c", POOL_SCRIPT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert result.returncode == -signal.SIGKILL
    workers = [int(word) for word in result.stdout.split()]
    assert workers
    wait_until(lambda: not any(processes.get_start_time(pid) for pid in workers))


@pytest.mark.skipif(sys.platform != "linux", reason="only on Linux it is a zombie as soon as its main thread has ended")
def test_process_has_not_ended_before_its_last_thread() -> None:
    """Otherwise a restarted server would find its port used by the killed one."""
    child = subprocess.Popen([sys.executable, "-c", LAST_THREAD_SCRIPT], stdout=subprocess.PIPE)
    assert child.stdout
    try:
        with child.stdout:
            child.stdout.readline()
        wait_until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        start_time = processes.get_start_time(child.pid)
        assert start_time
        processes.end(child.pid, start_time)
        assert not processes.get_start_time(child.pid)
    finally:
        child.kill()
        child.wait()


def test_process_that_ignores_sigterm_is_killed() -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout
    with child.stdout:
        child.stdout.readline()
    processes.end(child.pid, processes.get_start_time(child.pid), grace=0.2)
    assert child.wait(timeout=5) == -signal.SIGKILL


def test_process_with_another_start_time_is_not_ended(sleeper: "subprocess.Popen[bytes]") -> None:
    processes.end(sleeper.pid, "another start time", grace=0.1)
    processes.end(sleeper.pid, "", grace=0.1)
    assert sleeper.poll() is None


def test_processes_and_folders_of_an_ended_owner_are_cleared(
    run_folder: Path, tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    folder = tmp_path / "left"
    folder.mkdir()
    record = {
        "owner": [sleeper.pid, "another start time: the owner has ended"],
        "children": [[sleeper.pid, processes.get_start_time(sleeper.pid)]],
        "folders": [str(folder)],
    }
    (run_folder / "1.json").write_text(json.dumps(record))
    processes.clear_stale()
    assert sleeper.wait(timeout=5) == -signal.SIGTERM
    assert not folder.exists()
    assert not list(run_folder.iterdir())


def test_processes_of_a_running_owner_are_not_ended(
    run_folder: Path, tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    processes.record_children("tests", [sleeper.pid], [str(tmp_path)])
    processes.clear_stale()
    assert sleeper.poll() is None
    assert tmp_path.exists()
    assert [path.name for path in run_folder.iterdir()] == [f"{os.getpid()}-tests.json"]
