"""Which tests run which line, and from that the tests that cover a mutant, the most promising first.

Each file of tests has a record of its own below .local, named after what it was made from: when a file of tests
changes, only that file is measured again; when anything else changes, all are.
"""

import ast
import hashlib
import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from devstack.mutation.mutants import Mutant
from devstack.mutation.references import References
from devstack.paths import LOCAL, ROOT

SOURCE = "chalicelib"
WATCHED = (SOURCE, "tests", "devstack")  # what the tests' course depends on, beside the files of the root
MOST_TESTS = 120  # of one mutant
MOST_SECONDS = 40.0  # that these take on unchanged code


def get_record_name(path: str, root: Path = ROOT) -> str:
    """The name of the record of a file of tests."""
    digest = hashlib.sha256((root / path).read_bytes()).hexdigest()[:12]
    return f"{path.replace('/', '+')}.{digest}.json"


def get_records_folder() -> Path:
    """The folder of the records that hold for the code as it is."""
    digest = hashlib.sha256()
    files = [*ROOT.glob("*.py"), *ROOT.glob("requirements*.txt")]
    files += [path for name in WATCHED for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".sql", ".lua")]
    for path in sorted(files):
        if not path.name.startswith("test_") and "mutation" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return LOCAL / "mutation" / "coverage" / digest.hexdigest()[:12]


def read_options() -> dict[str, list[str]]:
    """Return the table [tool.mutate] of pyproject.toml."""
    options: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mutate"]
    return options


def list_test_files() -> list[str]:
    """All files of tests but those that pyproject.toml leaves out, the largest first."""
    ignored = [ROOT / name for name in read_options().get("ignore", [])]
    paths = [path for path in ROOT.glob("tests/**/test_*.py") if not any(path.is_relative_to(one) for one in ignored)]
    return [str(path.relative_to(ROOT)) for path in sorted(paths, key=lambda path: (-path.stat().st_size, path))]


def list_unmeasured_files() -> list[str]:
    """Return the test files whose coverage is not recorded for the present code."""
    folder = get_records_folder()
    return [path for path in list_test_files() if not (folder / get_record_name(path)).exists()]


def list_failing_files() -> list[str]:
    """The files of tests in whose records a test failed."""
    records = read_records()
    return [path for path, tests in records.items() if not all(one["passed"] for one in tests.values())]


def read_records() -> dict[str, dict[str, Any]]:
    """Return the tests of each file; a file that was changed after it was measured has none."""
    folder = get_records_folder()
    records = {path: folder / get_record_name(path) for path in list_test_files()}
    return {path: json.loads(record.read_text()) for path, record in records.items() if record.exists()}


def get_package(path: str) -> str:
    """The part of chalicelib that a file belongs to; its top-level modules are one part."""
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 else parts[0]


@dataclass(frozen=True)
class CoveringTest:
    """A test that runs a mutant's lines."""

    name: str
    seconds: float
    share: dict[str, float] = field(compare=False)  # package -> share of the lines that it runs

    @property
    def file(self) -> str:
        """Return the file of the test."""
        return self.name.partition("::")[0]


class Coverage:
    """The records of all files of tests, by line."""

    def __init__(self) -> None:
        self.tests: list[CoveringTest] = []
        self.failed: list[str] = []
        self.by_line: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.references = References(ROOT, SOURCE)
        for tests in read_records().values():
            for name, entry in tests.items():
                if not entry["passed"]:
                    self.failed.append(name)
                else:
                    self.add(name, entry["seconds"], entry["lines"])
        listed = read_options().get("at_import", [])
        self.at_import = {number for number, test in enumerate(self.tests) if test.name in listed}

    def add(self, name: str, seconds: float, lines: dict[str, list[int]]) -> None:
        """Add a test's record."""
        counts: Counter[str] = Counter()
        for path, numbers in lines.items():
            counts[get_package(path)] += len(numbers)
            for number in numbers:
                self.by_line[path][number].append(len(self.tests))
        share = {package: count / counts.total() for package, count in counts.items()}
        self.tests.append(CoveringTest(name, seconds, share))

    def find_covering(self, path: str, span: tuple[int, int]) -> set[int]:
        """The tests that run any of the lines."""
        lines = self.by_line.get(path, {})
        return {test for line in range(span[0], span[1] + 1) for test in lines.get(line, ())}

    def find_candidates(self, mutant: Mutant) -> set[int]:
        """The tests that run the mutant's statement.

        What runs at import is covered by the tests of the functions that refer to its name, directly or through
        other names; failing that, by those of the file. The `at_import` tests of pyproject.toml cover it, too.
        """
        if mutant.body:
            return self.find_covering(mutant.path, mutant.lines) or self.find_covering(mutant.path, mutant.body)
        found: set[int] = set()
        if name := mutant.owner.partition(".")[0]:
            for path, span in self.references.find_users(name):
                found |= self.find_covering(path, span)
        found = found or {test for tests in self.by_line.get(mutant.path, {}).values() for test in tests}
        found |= {number for number, test in enumerate(self.tests) if rank_nearness(test.file, mutant.path) == 0}
        return found | self.at_import

    def choose_tests(self, mutant: Mutant) -> list[CoveringTest]:
        """The covering tests, best first, as many as the limits admit.

        First come the tests of files that import the mutant's module, then those of the package's folder; among them
        those that run more of the package, and the short ones. Of the cases of a parametrized test the first one comes
        before the second case of any.
        """
        package = get_package(mutant.path)
        found = [self.tests[number] for number in sorted(self.find_candidates(mutant))]
        found.sort(key=lambda test: (-round(test.share.get(package, 0), 1), test.seconds))
        ordered = sorted(number_cases(found), key=lambda pair: (rank_nearness(pair[1].file, mutant.path), pair[0]))
        chosen = limit_tests([test for _, test in ordered])
        listed = [self.tests[number] for number in sorted(self.at_import)]
        if not mutant.body:
            return list(dict.fromkeys([*listed, *chosen]))
        return [*chosen, *listed]  # a function, too, may run at import


@cache
def rank_nearness(test_file: str, path: str) -> int:
    """0 if the file of tests imports the module, 1 if it is in the folder of its package, else 2."""
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if module in list_imports(test_file):
        return 0
    return 1 if get_package(path) in Path(test_file).parts else 2


@cache
def list_imports(path: str) -> frozenset[str]:
    """The modules and names that a file imports, each with the names of its packages."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{one.name}" for one in node.names} | {node.module or ""}
    return frozenset(found)


def number_cases(tests: Iterable[CoveringTest]) -> list[tuple[int, CoveringTest]]:
    """The tests, each with the number of its case: 0 for the first one of a function."""
    cases: Counter[str] = Counter()
    numbered = []
    for test in tests:
        function = test.name.partition("[")[0]
        numbered.append((cases[function], test))
        cases[function] += 1
    return numbered


def limit_tests(tests: list[CoveringTest]) -> list[CoveringTest]:
    """The first tests, without those that exceed the time that is left."""
    chosen: list[CoveringTest] = []
    seconds = 0.0
    for test in tests:
        if len(chosen) < MOST_TESTS and (not chosen or seconds + test.seconds <= MOST_SECONDS):
            chosen.append(test)
            seconds += test.seconds
    return chosen
