"""bin/bench --smoke: every benchmark, as small as it goes, and whether it did its work. No time is looked at."""

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

Run = Callable[[list[str]], int]
TIMEOUT_SECONDS = 120  # seconds until one of them hangs
FIGURE = re.compile(r"\d+\.\d+")
FAILURE = re.compile(r"\d refused|WRONGLY|Traceback")
MISSED_TARGET = re.compile(r"^aim: .*MISSED", re.MULTILINE)  # the only failure that is of time alone


@dataclass(frozen=True)
class SmokeRun:
    """`rows` is how many lines of figures there are at least, `says` what else is printed.

    `beside`: it bears others beside it, and they it, so that the whole takes less long.
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
    SmokeRun("helpdesk --chats 30 --samples 2", 8),
    SmokeRun("inbox --old 100 --samples 2", 5),
    SmokeRun("signin --samples 3", 3, parallel=True),
    SmokeRun("notify --up-to 1 --samples 2", 3, parallel=True),
    SmokeRun("coldstart --runs 1", 5, r"compiled \(unchecked-hash\) +[1-9]", parallel=True),
    SmokeRun("chat --grow --up-to 1000 --samples 2", 2),
]
COVERED_BY_TESTS = {
    "soak": "tests/gateway/test_soak.py"
}  # flushes the cache under others, and is the test itself, longer


def main(run: Run) -> int:
    """Return 1 where one did not do its work."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        files = {one: Path(folder, f"{number}") for number, one in enumerate(SMOKE_RUNS)}
        began = {one: _start(one, run, files[one]) for one in SMOKE_RUNS if one.parallel}
        for one in SMOKE_RUNS:
            code = _wait(began.get(one) or _start(one, run, files[one]))
            found = find_problems(one, code, files[one].read_text())
            print_line(f"  {one.arguments:56}{'FAILED' if found else 'ok'}")
            failed += [f"{one.arguments}: {complaint}" for complaint in found]
    print_line("\n".join(failed))
    return int(bool(failed))


def find_problems(small: SmokeRun, code: int | None, output: str) -> list[str]:
    """Say what is wrong with what a benchmark printed, and its exit code (None: it did not end)."""
    figures = [FIGURE.findall(line) for line in output.partition("\n\n")[2].splitlines()]  # after what the machine is
    lines = [one for one in figures if len(one) > 1 and float(one[0]) > 0]
    found = [f"says {wrong}" for wrong in FAILURE.findall(output)]
    if code is None or (code and not MISSED_TARGET.search(output)):
        found.append(f"exit code {code}")
    if len(lines) < small.min_rows:
        found.append(f"{len(lines)} rows of figures, not {small.min_rows}")
    if not re.search(small.expected_output, output):
        found.append(f"does not say {small.expected_output!r}")
    return [*found, output] if found else []


def _start(small: SmokeRun, run: Run, output: Path) -> ForkProcess:
    """In a fork, for this process opens no connection."""
    output.touch()
    process = get_context("fork").Process(target=_run, args=(small, run, output))
    process.start()
    return process


def _run(small: SmokeRun, run: Run, output: Path) -> None:
    machine.OBSERVATION_SECONDS = 0.1
    with output.open("wb") as file:
        console.redirect_to(file.fileno())
        os.dup2(file.fileno(), 2)
    raise SystemExit(run(small.arguments.split()))


def _wait(process: ForkProcess) -> int | None:
    process.join(TIMEOUT_SECONDS)
    code = process.exitcode
    process.kill()
    return code
