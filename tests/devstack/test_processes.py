"""Nothing we start outlives us, and nothing that is not ours is ended."""

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

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
LAST_THREAD = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
print(1, flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""
AT_ONCE = """
import os
from tests.support import processes
processes.run_in_processes(os.getpid, [()] * processes.PROCESS_COUNT)
print(*processes._get_pool()._processes, flush=True)
os.kill(os.getpid(), 9)
"""
PARENT = """
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
    child = subprocess.Popen(SLEEPER)
    yield child
    child.kill()
    child.wait()


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while processes.get_start_time(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not processes.get_start_time(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_service_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert processes.get_start_time(child)
    parent.kill()
    parent.wait()
    assert gone_within(child, 5)


def test_who_works_for_a_test_at_once_with_others_does_not_outlive_it() -> None:
    done = subprocess.run([sys.executable, "-c", AT_ONCE], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == -signal.SIGKILL
    workers = [int(word) for word in done.stdout.split()]
    assert workers
    wait_until(lambda: not any(processes.get_start_time(pid) for pid in workers))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux calls it a zombie as soon as its main thread has ended")
def test_a_process_is_not_gone_before_its_last_thread() -> None:
    """Else a server that is killed and started again finds its port taken, by itself."""
    child = subprocess.Popen([sys.executable, "-c", LAST_THREAD], stdout=subprocess.PIPE)
    assert child.stdout
    try:
        with child.stdout:
            child.stdout.readline()
        wait_until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        born = processes.get_start_time(child.pid)
        assert born
        processes.end(child.pid, born)
        assert not processes.get_start_time(child.pid)
    finally:
        child.kill()
        child.wait()


def test_a_process_that_ignores_the_polite_signal_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout
    with child.stdout:
        child.stdout.readline()
    processes.end(child.pid, processes.get_start_time(child.pid), grace=0.2)
    assert child.wait(timeout=5) == -signal.SIGKILL


def test_a_number_that_is_anothers_by_now_is_left_alone(sleeper: "subprocess.Popen[bytes]") -> None:
    processes.end(sleeper.pid, "not its birth", grace=0.1)
    processes.end(sleeper.pid, "", grace=0.1)
    assert sleeper.poll() is None


def test_what_a_dead_owner_left_is_cleared(
    run_folder: Path, tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    left = tmp_path / "left"
    left.mkdir()
    note = {
        "owner": [sleeper.pid, "another birth: the owner is dead"],
        "children": [[sleeper.pid, processes.get_start_time(sleeper.pid)]],
        "folders": [str(left)],
    }
    (run_folder / "1.json").write_text(json.dumps(note))
    processes.clear_stale()
    assert sleeper.wait(timeout=5) == -signal.SIGTERM
    assert not left.exists()
    assert not list(run_folder.iterdir())


def test_what_a_living_owner_runs_is_left_alone(
    run_folder: Path, tmp_path: Path, sleeper: "subprocess.Popen[bytes]"
) -> None:
    processes.record_children("tests", [sleeper.pid], [str(tmp_path)])
    processes.clear_stale()
    assert sleeper.poll() is None
    assert tmp_path.exists()
    assert [path.name for path in run_folder.iterdir()] == [f"{os.getpid()}-tests.json"]
