"""The whole suite in parts: every file once, one report, one exit code, and nothing left running."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from devstack import parts
from devstack.paths import ROOT
from devstack.services import processes
from tests.support.faults.final_state import wait_until

ENDLESS = """
import os, threading
from pathlib import Path

def test_endless():
    Path(__file__).with_suffix(".pid").write_text(str(os.getpid()))
    threading.Event().wait()
"""


def environments(folder: Path, number: int = 2) -> list[dict[str, str]]:
    folders = [folder / f"run-{n}" for n in range(number)]
    for one in folders:
        one.mkdir()
    plain = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # here is no pyproject.toml that leaves some out
    return [{**plain, "DEVSTACK_CONTROL": str(one / "control.json")} for one in folders]


def written(file: Path, text: str) -> list[str]:
    file.write_text(text)
    return [str(file)]


def files_of(path: Path) -> list[Path]:
    return list(path.glob("**/test_*.py")) if path.is_dir() else [path]


def test_every_file_is_in_one_part_and_the_privacy_of_logs_in_each() -> None:
    shares = parts.split_into_shards(parts.estimate_seconds(), 2)
    assert [share[-1] for share in shares] == [parts.IN_EVERY_SHARD] * 2
    files = [path for share in shares for name in share[:-1] for path in files_of(ROOT / name)]
    assert sorted(files) == sorted(set(ROOT.glob("tests/**/test_*.py")) - {ROOT / parts.IN_EVERY_SHARD})
    assert shares == parts.split_into_shards(parts.estimate_seconds(), 2)


def test_what_is_named_there_is_and_what_stays_together_has_its_seconds() -> None:
    assert [name for name in (*parts.SECONDS_BY_PATH, parts.IN_EVERY_SHARD) if not (ROOT / name).exists()] == []
    assert parts.SECONDS_BY_PATH.keys() >= set(parts.KEPT_TOGETHER)


def test_the_longest_are_shared_out() -> None:
    shares = parts.split_into_shards({"a": 5, "b": 3, "c": 3, "d": 1}, 2)
    assert [share[:-1] for share in shares] == [["a", "d"], ["b", "c"]]


@pytest.mark.parametrize("arguments", [[], ["-q"], ["-vv", "--tb=short", "-rA", "--durations=20"]])
def test_how_to_report_leaves_it_the_whole_suite(arguments: list[str]) -> None:
    assert parts.is_whole_suite(arguments)


@pytest.mark.parametrize("arguments", [["tests/consult"], ["-k", "resend"], ["-q", "--lf"], ["-x"], ["-s"], ["--pdb"]])
def test_what_to_run_is_for_one_pytest(arguments: list[str]) -> None:
    assert not parts.is_whole_suite(arguments)


def test_a_failure_in_any_part_is_shown_counted_and_run_again_by_lf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]")  # names begin here, wherever this checkout is
    shares = [
        written(tmp_path / "test_fine.py", "def test_fine(): pass"),
        written(tmp_path / "test_wrong.py", "def test_wrong():\n    assert 'Lin' == 'Chen'"),
    ]
    assert parts.run_shards(environments(tmp_path), shares, ["-q"]) == 1
    out, err = capfd.readouterr()
    assert out.index("1 passed") < out.index("'Lin' == 'Chen'") < out.index("1 failed")
    assert err.endswith("  part 1 of 2  ok\n  part 2 of 2  FAILED\n    test_wrong.py::test_wrong\n")
    assert json.loads((tmp_path / ".pytest_cache" / parts.LAST_FAILED_FILE).read_text()) == {
        "test_wrong.py::test_wrong": True
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_part_outlives_a_ctrl_c_or_the_one_that_started_it(tmp_path: Path, number: signal.Signals) -> None:
    """A Ctrl-C is for all that run in the terminal; other signals are for the one process."""
    shares = [written(tmp_path / f"test_{name}.py", ENDLESS) for name in "ab"]
    script = f"""
import signal, sys
from devstack import __main__ as main, parts
signal.signal(signal.SIGTERM, main.leave)
sys.exit(parts.run_on({environments(tmp_path)!r}, {shares!r}, ["-q"]))
"""
    command = [sys.executable, "-c", script]
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
