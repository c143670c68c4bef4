"""bin/mutate: the mutants of a source text, the sample of them, and the tests that run on each."""

import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest

from devstack.mutation import command, coverage, mutants, report, sql
from devstack.mutation.coverage import CoveringTest
from devstack.mutation.plugin import Tracer
from devstack.mutation.references import References
from devstack.mutation.run import Result
from devstack.paths import ROOT


def changed(text: str) -> list[str]:
    return [one.apply(text) for one in mutants.find_in_source("chalicelib/some.py", text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a is not b", ["x = a is b"]),
        ("x = a not in 李 == b", ["x = a in 李 == b", "x = a not in 李 != b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = not a", ["x = (a)"]),
        ("x = b - a", ["x = b + a"]),
        ("x = b if a else c", ["x = b if (not (a)) else c"]),
        ("x = [b for b in c if b.d()]", ["x = [b for b in c if (not (b.d()))]"]),
        ("x = (7, True, '7')", ["x = (8, True, '7')", "x = (7, False, '7')"]),
        ("check(a)", ["pass"]),
        ("log.info(a)", []),
        ("def f():\n    '''7 < 8'''\n    return a", ["def f():\n    '''7 < 8'''\n    return None"]),
        ("def f():\n    return None", []),
        ("@dataclass(frozen=True)\nclass A:\n    a: int = Field(1, examples=[2])", 1),
        ("if TYPE_CHECKING:\n    a = 1", 1),
    ],
)
def test_mutants_of_python(text: str, expected: list[str] | int) -> None:
    assert (len(changed(text)) if isinstance(expected, int) else changed(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '"SELECT a FROM b WHERE c = %(c)s AND d < 2 ORDER BY e DESC"',
            [
                '"SELECT a FROM b WHERE TRUE AND d < 2 ORDER BY e DESC"',
                '"SELECT a FROM b WHERE c = %(c)s AND TRUE ORDER BY e DESC"',
                '"SELECT a FROM b WHERE c = %(c)s AND d <= 2 ORDER BY e DESC"',
                '"SELECT a FROM b WHERE c = %(c)s AND d < 2 ORDER BY e"',
            ],
        ),
        (
            'f"UPDATE b SET n = n + 1 WHERE d IN ({x}) OR (e = 1 OR f = 2)"',
            [
                'f"UPDATE b SET n = n + 0 WHERE d IN ({x}) OR (e = 1 OR f = 2)"',
                'f"UPDATE b SET n = n + 1 WHERE TRUE OR (e = 1 OR f = 2)"',
                'f"UPDATE b SET n = n + 1 WHERE d NOT IN ({x}) OR (e = 1 OR f = 2)"',
                'f"UPDATE b SET n = n + 1 WHERE d IN ({x}) OR FALSE"',
                'f"UPDATE b SET n = n + 1 WHERE d IN ({x}) OR (e = 1 OR FALSE)"',
            ],
        ),
        ('"DELETE FROM b WHERE c BETWEEN 1 AND 2"', ['"DELETE FROM b WHERE TRUE"']),
        ('"... JOIN b ON b.c = a.c " "WHERE d IS NULL"', 3),
        ('"INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE b = 2"', []),
        ('"no more than one < two"', []),
    ],
)
def test_mutants_of_sql(text: str, expected: list[str] | int) -> None:
    found = [
        text[:start] + new + text[end:]
        for _, start, end, new in sorted(sql.generate_changes(text), key=lambda one: one[1:])
    ]
    assert (len(found) if isinstance(expected, int) else found) == expected


def test_mutant_has_its_function_and_statement() -> None:
    text = "X = 1\nclass A:\n  def f(self, n=2):\n    if n:\n      g(\n        n == 3\n      )\n"
    found = {one.after: (one.owner, one.lines, one.body) for one in mutants.find_in_source("chalicelib/some.py", text)}
    assert found["X = 2"] == ("X", (1, 1), None)
    assert found["def f(self, n=3):"] == ("A.f", (3, 3), (4, 7))
    assert found["if (not (n)):"] == ("A.f", (4, 4), (4, 7))
    assert found["n != 3"] == ("A.f", (5, 7), (4, 7))


def test_key_does_not_depend_on_line_numbers() -> None:
    first, second = "def f(a):\n    return a", "\n\n\ndef f(a):\n    return a"
    keys = [[one.key for one in mutants.find_in_source("chalicelib/some.py", text)] for text in (first, second)]
    assert keys[0] == keys[1] == ["chalicelib/some.py:f: return a -> return None"]


def test_sample_contains_mutants_of_every_package() -> None:
    shares = command.allocate({"large": 1000, "small": 5, "tiny": 2}, 50)
    assert shares == {"large": 44, "small": 4, "tiny": 2}
    assert sum(command.allocate({"one": 3, "two": 4}, 100).values()) == 7


def test_sample_is_the_same_for_the_same_seed() -> None:
    every = command.find_all_mutants()
    samples = [[one.key for one in command.choose_sample(every, 60, seed, "")] for seed in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2]
    assert len(samples[0]) == max(60, command.EACH * len({coverage.get_package(one.path) for one in every}))
    assert {coverage.get_package(one.path) for one in command.choose_sample(every, 5, 1, "people")} == {"people"}


def test_cases_of_a_parametrized_test_are_numbered() -> None:
    tests = [CoveringTest(name, 1, {}) for name in ("a[1]", "a[2]", "b", "c[1]", "a[3]")]
    assert [number for number, _ in coverage.number_cases(tests)] == [0, 1, 0, 0, 2]


def test_time_limit_excludes_tests_that_do_not_fit() -> None:
    tests = [CoveringTest("slow", coverage.MOST_SECONDS, {}), CoveringTest("quick", 0.1, {})]
    assert coverage.limit_tests(tests) == tests[:1]
    assert coverage.limit_tests([tests[1], tests[0], tests[1]]) == [tests[1], tests[1]]
    assert len(coverage.limit_tests([tests[1]] * 1000)) == coverage.MOST_TESTS


def test_tracer_returns_the_lines_that_ran(tmp_path: Path) -> None:
    text = "def f(a):\n    if a:\n        return 1\n    return [b for b in (1, 2)]\n\n\ndef g(a):\n    return f(a)\n"
    module: dict[str, Any] = {}
    exec(compile(text, tmp_path / "chalicelib/some.py", "exec"), module)
    tracer, before = Tracer(tmp_path), sys.gettrace()
    tracer.start()
    try:
        module["g"](0)
        first = tracer.take_lines()
        module["f"](1)
        second = tracer.take_lines()
    finally:
        sys.settrace(before)
        threading.settrace(before)
    assert (first, second) == ({"chalicelib/some.py": [2, 4, 8]}, {"chalicelib/some.py": [2, 3]})


def test_users_of_a_constant_include_indirect_ones(tmp_path: Path) -> None:
    (tmp_path / "chalicelib").mkdir()
    (tmp_path / "chalicelib/some.py").write_text(
        "A = 1\nB = A + 1\n\n\nclass C:\n    n = B\n    def f(self):\n        pass\n"
    )
    (tmp_path / "chalicelib/other.py").write_text("def g(x: C):\n    pass\n\n\ndef h():\n    return B\n")
    functions = {
        "C.f": ("chalicelib/some.py", (8, 8)),
        "g": ("chalicelib/other.py", (2, 2)),
        "h": ("chalicelib/other.py", (6, 6)),
    }
    references = References(tmp_path, "chalicelib")
    assert references.find_users("A") == set(functions.values())
    assert references.find_users("C") == {functions["C.f"], functions["g"]}


def test_report_distinguishes_accepted_survivors(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mutants.find_in_source("chalicelib/some.py", "def f(a):\n    if a:\n        return a < 1\n")
    results = [Result(one, 3, "" if number else "a test") for number, one in enumerate(found)]
    assert report.get_kill_rate(results) == pytest.approx(100 / len(found))
    accepted = tomllib.loads(report.format_toml(results))["survivor"]
    assert [one["mutant"] for one in accepted] == [one.mutant.key for one in results[1:]]
    monkeypatch.setattr(report, "read_reasons", lambda _: {accepted[0]["mutant"]: "No caller sees it."})
    text = report.format_report(results, found, 1)
    assert f"{len(found) - 1} survive, 1 of them accepted" in text
    assert f"{report.describe(results[1])}\nNo caller sees it." in text


def test_files_and_tests_named_in_the_configuration_exist() -> None:
    options = coverage.read_options()
    assert [name for name in options["ignore"] if not (ROOT / name).exists()] == []
    for path, _, function in (name.partition("::") for name in options["at_import"]):
        assert f"def {function}(" in (ROOT / path).read_text("utf-8")
