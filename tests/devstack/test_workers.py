"""The suite in several pytest-xdist workers: services, groups and exit codes, and no process left behind."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from devstack.cli import workers
from devstack.cli.pytest_worker import LONGEST, group_of, set_environment, start_order
from devstack.paths import ROOT
from devstack.services import processes
from tests.support.faults.final_state import wait_until

WRITES_ITS_SERVICES = """
import os
from pathlib import Path

def test_services():
    Path(__file__).with_suffix(".url").write_text(os.environ["DATABASE_URL"] + os.environ["REDIS_URL"])
"""
ENDLESS = """
import os, threading
from pathlib import Path

def test_endless():
    Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
    threading.Event().wait()
"""


def environments() -> list[dict[str, str]]:
    """Return those of two workers, as bin/test gives them; nobody connects to these services."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LOG_VIOLATIONS"))}
    same = {**plain, "REDIS_URL": "redis://", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # no pyproject.toml here
    return [{**same, "DATABASE_URL": f"mysql://{number}/"} for number in (1, 2)]


def script(folder: Path, text: str) -> str:
    """Write two files of tests, and return a program that runs them in two workers."""
    (folder / "pytest.ini").write_text("[pytest]")
    for name in "ab":
        (folder / f"test_{name}.py").write_text(text)
    environment = workers.with_workers(environments())
    options = ["-m", "pytest", "-q", "-p", "xdist", *workers.worker_options(environments()), str(folder)]
    return f"""
import signal, sys
from devstack import __main__ as main\nfrom devstack.cli import foreground
signal.signal(signal.SIGTERM, main.exit_on_signal)
sys.exit(foreground.run({options!r}, {environment!r}))
"""


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-vv", "--tb=short", "-rA", "--durations=20"]])
def test_reporting_options_leave_the_suite_whole(arguments: list[str]) -> None:
    assert workers.is_whole_suite(arguments)


@pytest.mark.parametrize("arguments", [["tests/consult"], ["-k", "resend"], ["-q", "--lf"], ["-x"], ["-s"], ["--pdb"]])
def test_other_arguments_run_in_one_process(arguments: list[str]) -> None:
    assert not workers.is_whole_suite(arguments)


def test_one_environment_needs_no_workers() -> None:
    assert workers.worker_options(environments()[:1]) == []


def test_a_worker_takes_what_differs_in_its_environment() -> None:
    environment = {**workers.with_workers(environments()), "PYTEST_XDIST_WORKER": "gw1"}
    set_environment(environment)
    assert (environment["DATABASE_URL"], environment["REDIS_URL"]) == ("mysql://2/", "redis://")


@pytest.mark.parametrize("environment", [{}, {"PYTEST_XDIST_WORKER": "gw1"}, {"DEVSTACK_WORKERS": json.dumps([{}])}])
def test_without_workers_or_environments_nothing_is_changed(environment: dict[str, str]) -> None:
    before = dict(environment)
    set_environment(environment)
    assert environment == before


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/test_web.py::test_one[a::b]", "tests/test_web.py"),
        ("tests/faults/test_killed.py::test_one", "tests/faults/"),
        ("tests/bundle/test_alarms.py::test_one", "tests/bundle/"),
    ],
)
def test_a_file_stays_in_one_worker_and_so_does_a_folder_with_a_shared_fixture(nodeid: str, group: str) -> None:
    assert group_of(nodeid) == group


def test_the_longest_groups_exist_and_start_first() -> None:
    assert [group for group in LONGEST if not (ROOT / group).exists()] == []
    assert sorted(["tests/test_web.py", *reversed(LONGEST)], key=start_order) == [*LONGEST, "tests/test_web.py"]


def test_each_worker_has_services_of_its_own(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", script(tmp_path, WRITES_ITS_SERVICES)], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, done.stdout
    assert {(tmp_path / f"test_{name}.url").read_text() for name in "ab"} == {
        "mysql://1/redis://",
        "mysql://2/redis://",
    }


def test_a_failure_in_one_worker_fails_the_run_and_is_run_again_by_lf(tmp_path: Path) -> None:
    program = script(tmp_path, "def test_fine(): pass")
    (tmp_path / "test_b.py").write_text("def test_wrong():\n    assert 'Lin' == 'Chen'")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "'Lin' == 'Chen'" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    assert json.loads((tmp_path / ".pytest_cache/v/cache/lastfailed").read_text()) == {"test_b.py::test_wrong": True}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_worker_outlives_a_ctrl_c_or_the_process_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    """A Ctrl-C is for all that run in the terminal; other signals are for the one process."""
    command = [sys.executable, "-c", script(tmp_path, ENDLESS)]
    whole = subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        began = [tmp_path / f"test_{name}.pid" for name in "ab"]
        wait_until(lambda: all(one.exists() and one.read_text() for one in began))
        born = {int(one.read_text()): processes.get_start_time(int(one.read_text())) for one in began}
        (os.killpg if number == signal.SIGINT else os.kill)(whole.pid, number)
        assert whole.wait(timeout=60) != 0
        wait_until(lambda: not any(processes.get_start_time(pid) == then for pid, then in born.items()))
    finally:
        with suppress(ProcessLookupError):
            os.killpg(whole.pid, signal.SIGKILL)
        whole.wait()
