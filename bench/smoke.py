"""bin/bench --smoke: run every benchmark at its smallest and check that it does its work; times are ignored."""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

from bench import booking, chat_cases, console, labels, machine
from bench.console import print_line
from bench.peers import measurement as peers

Run = Callable[[list[str]], int]
TIMEOUT_SECONDS = 120  # after which a benchmark counts as hanging
FIGURE = re.compile(r"\d+\.\d+")
FAILURE = re.compile(r"\d rejected|WRONG NUMBER|Traceback")
MISSED_TARGET = re.compile(r"^target: .*MISSED", re.MULTILINE)  # the only failure that depends on times


@dataclass(frozen=True)
class SmokeRun:
    """A benchmark at its smallest.

    Attributes:
        min_rows: how many lines of figures it prints at least.
        expected_output: a regular expression that its output matches.
        parallel: it can run while others run, and does so to save time.
    """

    arguments: str
    min_rows: int
    expected_output: str = ""
    parallel: bool = False


SMOKE_RUNS = [
    SmokeRun(
        "chat --processes 2 --seconds 0.02 --sessions 3", len(chat_cases.build_cases(3)), r"([1-9]\d*) .* stored of \1 "
    ),
    SmokeRun("booking --processes 2 --buyers 10", len(booking.CASES)),
    SmokeRun("labels --patients 600 --doctors 5000 --samples 2", len(labels.QUERIES)),
    SmokeRun("payment --samples 2", 3),
    SmokeRun("helpdesk --samples 2", 4),
    SmokeRun("lists --chats 50 60 --samples 2", 10),
    SmokeRun("inbox --old 100 --samples 2", 5),
    SmokeRun("admin --bookings 200 --exported 100 --samples 2", 5, r"export of 100 rows"),
    SmokeRun("signin --samples 3", 4, parallel=True),
    SmokeRun(
        "abuse --connections 10 --requests 60 --seconds 0.5 --rounds 1", 4, r"attack, app: accepted \d", parallel=True
    ),
    SmokeRun("notify --up-to 1 --samples 2", 3, parallel=True),
    SmokeRun("coldstart --runs 1 --only consult run_outbox", 12, r"run_outbox +[1-9]", parallel=True),
    SmokeRun(
        "peers --clients 2 --seconds 0.1 --rounds 1 --no-download",
        len(peers.CASES),
        r"ours: ([1-9]\d*) messages are stored of \1 acknowledged",
        parallel=True,
    ),
    SmokeRun("chat --grow --small 500 --large 2000 --samples 40 --no-restart", 5),
]
# These flush the cache that others use, or kill services, and are longer runs of tests.
COVERED_BY_TESTS = {"soak": "tests/gateway/test_soak.py", "storm": "tests/faults/test_storm.py"}


def main(run: Run) -> int:
    """Run them all; return 1 if one did not do its work."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        files = {one: Path(folder, f"{number}") for number, one in enumerate(SMOKE_RUNS)}
        started = {one: _start(one, run, files[one]) for one in SMOKE_RUNS if one.parallel}
        for one in SMOKE_RUNS:
            code = _wait(started.get(one) or _start(one, run, files[one]))
            found = find_problems(one, code, files[one].read_text())
            print_line(f"  {one.arguments:64}{'FAILED' if found else 'ok'}")
            failed += [f"{one.arguments}: {problem}" for problem in found]
    print_line("\n".join(failed))
    return int(bool(failed))


def find_problems(smoke_run: SmokeRun, code: int | None, output: str) -> list[str]:
    """Return the problems of a run and, if there are any, its output.

    Args:
        code: its exit code; None if it did not end.
    """
    _machine, _, table = output.partition("\n\n")
    figures = [FIGURE.findall(line) for line in table.splitlines()]
    lines = [one for one in figures if len(one) > 1 and float(one[0]) > 0]
    found = [f"output contains {failure}" for failure in FAILURE.findall(output)]
    if code is None or (code and not MISSED_TARGET.search(output)):
        found.append(f"exit code {code}")
    if len(lines) < smoke_run.min_rows:
        found.append(f"{len(lines)} rows of figures, not {smoke_run.min_rows}")
    if not re.search(smoke_run.expected_output, output):
        found.append(f"output does not match {smoke_run.expected_output!r}")
    return [*found, output] if found else []


def _start(smoke_run: SmokeRun, run: Run, output: Path) -> ForkProcess:
    """Start a benchmark in a fork, because this process opens no connections."""
    output.touch()
    process = get_context("fork").Process(target=_run, args=(smoke_run, run, output))
    process.start()
    return process


def _run(smoke_run: SmokeRun, run: Run, output: Path) -> None:
    machine.OBSERVATION_SECONDS = 0.1
    with output.open("wb") as file:
        console.redirect_to(file.fileno())
        os.dup2(file.fileno(), 2)
    raise SystemExit(run(smoke_run.arguments.split()))


def _wait(process: ForkProcess) -> int | None:
    process.join(TIMEOUT_SECONDS)
    code = process.exitcode
    process.kill()
    return code
