"""A benchmark that no longer does its work fails the smoke run; one that is slow does not."""

import pytest

from bench.__main__ import COMMANDS, main
from bench.smoke import COVERED_BY_TESTS, SMOKE_RUNS, SmokeRun, find_problems

SMALLEST = SmokeRun("chat --processes 1", 2, r"([1-9]\d*) stored of \1 ")
FINE = """AMD EPYC, 2 cores
redis 8.1.0, pydantic 2.14.3

send: R1 M
  1|    345    5.37    9.87
  8|    241    7.37    9.87
12 stored of 12 acknowledged
"""


def test_a_benchmark_that_did_its_work_is_fine() -> None:
    assert find_problems(SMALLEST, 0, FINE) == []


def test_one_that_missed_its_aim_is_fine() -> None:
    assert find_problems(SMALLEST, 1, f"{FINE}aim: a p50 of at most 50 ms; MISSED: labels") == []


@pytest.mark.parametrize(
    ("code", "output", "complaint"),
    [
        (1, FINE, "exit code 1"),
        (None, FINE, "exit code None"),
        (0, FINE.replace("  8|    241    7.37    9.87\n", ""), "1 rows of figures, not 2"),
        (0, FINE.replace("7.37", "0.00"), "1 rows of figures, not 2"),
        (0, FINE.replace("of 12", "of 13"), f"does not say {SMALLEST.expected_output!r}"),
        (0, FINE.replace("12", "0"), f"does not say {SMALLEST.expected_output!r}"),
        (0, FINE.replace("9.87\n", "9.87  3 refused\n"), "says 3 refused"),
    ],
)
def test_one_that_did_not_is_told_of_with_what_it_printed(code: int | None, output: str, complaint: str) -> None:
    assert {complaint, output} <= set(find_problems(SMALLEST, code, output))


def test_each_benchmark_is_among_those_that_are_run() -> None:
    assert COMMANDS.keys() == {one.arguments.split()[0] for one in SMOKE_RUNS} | COVERED_BY_TESTS.keys()
    assert main(["nothing"]) == 2
