"""The suite in several pytest-xdist workers: services, groups, exit codes, and the end of all processes."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from devstack.cli import workers
from devstack.cli.pytest_worker import LONGEST, get_group, get_start_order, set_environment
from devstack.paths import ROOT
from devstack.services import processes
from tests.support.faults.final_state import wait_until

SERVICES_TEST = """
import os
from pathlib import Path

def test_services():
    Path(__file__).with_suffix(".url").write_text(os.environ["DATABASE_URL"] + os.environ["REDIS_URL"])
"""
ENDLESS_TEST = """
import os, threading
from pathlib import Path

def test_endless():
    Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
    threading.Event().wait()
"""


def build_environments() -> list[dict[str, str]]:
    """Return the environments of two workers; their services do not exist."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LOG_VIOLATIONS"))
    }
    common = {**inherited, "REDIS_URL": "redis://", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # no pyproject.toml here
    return [{**common, "DATABASE_URL": f"mysql://{number}/"} for number in (1, 2)]


def create_test_run(folder: Path, text: str) -> str:
    """Write two files of tests, and return a script that runs them in two workers."""
    (folder / "pytest.ini").write_text("[pytest]")
    for name in "ab":
        (folder / f"test_{name}.py").write_text(text)
    environment = workers.build_environment(build_environments())
    options = ["-m", "pytest", "-q", "-p", "xdist", *workers.build_worker_options(build_environments()), str(folder)]
    return f"""
import signal, sys
from devstack import __main__ as main
from devstack.cli import foreground
signal.signal(signal.SIGTERM, main.exit_on_signal)
sys.exit(foreground.run({options!r}, {environment!r}))
"""


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-vv", "--tb=short", "-rA", "--durations=20"]])
def test_reporting_options_select_no_tests(arguments: list[str]) -> None:
    assert workers.is_whole_suite(arguments)


@pytest.mark.parametrize("arguments", [["tests/consult"], ["-k", "resend"], ["-q", "--lf"], ["-x"], ["-s"], ["--pdb"]])
def test_other_arguments_run_in_one_process(arguments: list[str]) -> None:
    assert not workers.is_whole_suite(arguments)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], (None, [])),
        (["-q", "tests/booking"], (None, ["-q", "tests/booking"])),
        (["-n0", "-q"], (1, ["-q"])),
        (["tests/booking", "-n", "3"], (3, ["tests/booking"])),
        (["--numprocesses=2", "-k", "not slow"], (2, ["-k", "not slow"])),
    ],
)
def test_workers_that_arguments_demand(arguments: list[str], expected: tuple[int | None, list[str]]) -> None:
    """pytest-xdist must not start workers of its own: they would share one database."""
    assert workers.split_off_workers(arguments) == expected


def test_one_environment_needs_no_workers() -> None:
    assert workers.build_worker_options(build_environments()[:1]) == []


def test_worker_gets_the_variables_that_differ() -> None:
    environment = {**workers.build_environment(build_environments()), "PYTEST_XDIST_WORKER": "gw1"}
    set_environment(environment)
    assert (environment["DATABASE_URL"], environment["REDIS_URL"]) == ("mysql://2/", "redis://")


@pytest.mark.parametrize("environment", [{}, {"PYTEST_XDIST_WORKER": "gw1"}, {"DEVSTACK_WORKERS": json.dumps([{}])}])
def test_environment_is_unchanged_without_workers(environment: dict[str, str]) -> None:
    original = dict(environment)
    set_environment(environment)
    assert environment == original


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/test_web.py::test_one[a::b]", "tests/test_web.py"),
        ("tests/faults/test_killed.py::test_one", "tests/faults/"),
        ("tests/bundle/test_alarms.py::test_one", "tests/bundle/"),
    ],
)
def test_files_and_folders_with_a_shared_fixture_run_in_one_worker(nodeid: str, group: str) -> None:
    assert get_group(nodeid) == group


def test_longest_groups_exist_and_start_first() -> None:
    assert [group for group in LONGEST if not (ROOT / group).exists()] == []
    assert sorted(["tests/test_web.py", *reversed(LONGEST)], key=get_start_order) == [*LONGEST, "tests/test_web.py"]


def test_each_worker_has_its_own_services(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", create_test_run(tmp_path, SERVICES_TEST)], cwd=ROOT, capture_output=True
    )
    assert result.returncode == 0, result.stdout
    assert {(tmp_path / f"test_{name}.url").read_text() for name in "ab"} == {
        "mysql://1/redis://",
        "mysql://2/redis://",
    }


def test_failure_in_one_worker_fails_the_run_and_is_selected_by_lf(tmp_path: Path) -> None:
    program = create_test_run(tmp_path, "def test_fine(): pass")
    (tmp_path / "test_b.py").write_text("def test_wrong():\n    assert 'Lin' == 'Chen'")
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert "'Lin' == 'Chen'" in result.stdout
    assert "1 failed, 1 passed" in result.stdout
    assert json.loads((tmp_path / ".pytest_cache/v/cache/lastfailed").read_text()) == {"test_b.py::test_wrong": True}


def restore_ctrl_c() -> None:
    """Accept SIGINT, also if these tests run in the background of a shell, which ignores it there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_ctrl_c_and_with_their_parent(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C is sent to all processes of the terminal, other signals only to the parent."""
    command = [sys.executable, "-c", create_test_run(tmp_path, ENDLESS_TEST)]
    run = subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL, preexec_fn=restore_ctrl_c
    )
    try:
        pid_files = [tmp_path / f"test_{name}.pid" for name in "ab"]
        wait_until(lambda: all(one.exists() and one.read_text() for one in pid_files))
        start_times = {int(one.read_text()): processes.get_start_time(int(one.read_text())) for one in pid_files}
        (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
        assert run.wait(timeout=60) != 0
        wait_until(
            lambda: not any(processes.get_start_time(pid) == start_time for pid, start_time in start_times.items())
        )
    finally:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
