"""bin/bench --smoke: every benchmark, as small as it goes, and whether it did its work. No time is looked at."""

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path

from bench import booking, console, labels, machine, rows
from bench.console import say

Run = Callable[[list[str]], int]
PATIENCE = 120  # seconds until one of them hangs
FIGURE = re.compile(r"\d+\.\d+")
WRONG = re.compile(r"\d refused|WRONGLY|Traceback")
MISSED = re.compile(r"^aim: .*MISSED", re.MULTILINE)  # the only failure that is of time alone


@dataclass(frozen=True)
class Small:
    """`rows` is how many lines of figures there are at least, `says` what else is printed.

    `beside`: it bears others beside it, and they it, so that the whole takes less long.
    """

    arguments: str
    rows: int
    says: str = ""
    beside: bool = False


SMALL = [
    Small("chat --processes 2 --seconds 0.02 --sessions 3", len(rows.rows(3)), r"([1-9]\d*) .* stored of \1 "),
    Small("booking --processes 2 --buyers 10", len(booking.ROWS)),
    Small("labels --patients 600 --doctors 5000 --samples 2", len(labels.ASKED)),
    Small("payment --samples 2", 3),
    Small("helpdesk --chats 30 --samples 2", 8),
    Small("inbox --old 100 --samples 2", 5),
    Small("signin --samples 3", 3, beside=True),
    Small("notify --up-to 1 --samples 2", 3, beside=True),
    Small("coldstart --runs 1", 5, r"compiled \(unchecked-hash\) +[1-9]", beside=True),
    Small("chat --grow --up-to 1000 --samples 2", 2),
]
BY_A_TEST = {"soak": "tests/gateway/test_soak.py"}  # flushes the cache under others, and is the test itself, longer


def main(run: Run) -> int:
    """Return 1 where one did not do its work."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        files = {one: Path(folder, f"{number}") for number, one in enumerate(SMALL)}
        began = {one: _began(one, run, files[one]) for one in SMALL if one.beside}
        for one in SMALL:
            code = _ended(began.get(one) or _began(one, run, files[one]))
            found = complaints(one, code, files[one].read_text())
            say(f"  {one.arguments:56}{'FAILED' if found else 'ok'}")
            failed += [f"{one.arguments}: {complaint}" for complaint in found]
    say("\n".join(failed))
    return int(bool(failed))


def complaints(small: Small, code: int | None, output: str) -> list[str]:
    """Say what is wrong with what a benchmark printed, and its exit code (None: it did not end)."""
    figures = [FIGURE.findall(line) for line in output.partition("\n\n")[2].splitlines()]  # after what the machine is
    lines = [one for one in figures if len(one) > 1 and float(one[0]) > 0]
    found = [f"says {wrong}" for wrong in WRONG.findall(output)]
    if code is None or (code and not MISSED.search(output)):
        found.append(f"exit code {code}")
    if len(lines) < small.rows:
        found.append(f"{len(lines)} rows of figures, not {small.rows}")
    if not re.search(small.says, output):
        found.append(f"does not say {small.says!r}")
    return [*found, output] if found else []


def _began(small: Small, run: Run, output: Path) -> ForkProcess:
    """In a fork, for this process opens no connection."""
    output.touch()
    process = get_context("fork").Process(target=_run, args=(small, run, output))
    process.start()
    return process


def _run(small: Small, run: Run, output: Path) -> None:
    machine.LOOK = 0.1
    with output.open("wb") as file:
        console.into(file.fileno())
        os.dup2(file.fileno(), 2)
    raise SystemExit(run(small.arguments.split()))


def _ended(process: ForkProcess) -> int | None:
    process.join(PATIENCE)
    code = process.exitcode
    process.kill()
    return code
