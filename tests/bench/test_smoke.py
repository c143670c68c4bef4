"""Tests for the smoke run: a benchmark that does not do its work fails it, a slow one does not."""

import pytest

from bench.__main__ import COMMANDS, main
from bench.smoke import COVERED_BY_TESTS, SMOKE_RUNS, SmokeRun, find_problems

SMALLEST = SmokeRun("chat --processes 1", 2, r"([1-9]\d*) stored of \1 ")
OUTPUT = """AMD EPYC, 2 cores
redis 8.1.0, pydantic 2.14.3

send: R1 M
  1|    345    5.37    9.87
  8|    241    7.37    9.87
12 stored of 12 acknowledged
"""


def test_benchmark_that_did_its_work_passes() -> None:
    assert find_problems(SMALLEST, 0, OUTPUT) == []


def test_benchmark_that_missed_its_target_passes() -> None:
    assert find_problems(SMALLEST, 1, f"{OUTPUT}target: a p50 of at most 50 ms; MISSED: labels") == []


@pytest.mark.parametrize(
    ("code", "output", "problem"),
    [
        (1, OUTPUT, "exit code 1"),
        (None, OUTPUT, "exit code None"),
        (0, OUTPUT.replace("  8|    241    7.37    9.87\n", ""), "1 rows of figures, not 2"),
        (0, OUTPUT.replace("7.37", "0.00"), "1 rows of figures, not 2"),
        (0, OUTPUT.replace("of 12", "of 13"), f"output does not match {SMALLEST.expected_output!r}"),
        (0, OUTPUT.replace("12", "0"), f"output does not match {SMALLEST.expected_output!r}"),
        (0, OUTPUT.replace("9.87\n", "9.87  3 rejected\n"), "output contains 3 rejected"),
    ],
)
def test_failed_benchmark_is_reported_with_its_output(code: int | None, output: str, problem: str) -> None:
    assert {problem, output} <= set(find_problems(SMALLEST, code, output))


def test_every_benchmark_has_a_smoke_run() -> None:
    assert COMMANDS.keys() == {one.arguments.split()[0] for one in SMOKE_RUNS} | COVERED_BY_TESTS.keys()
    assert main(["nothing"]) == 2
