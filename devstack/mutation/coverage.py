"""Which tests run which line, and from that the tests that cover a mutant, the most promising first.

Each file of tests has a record of its own below .local, named after what it was made from: when a file of tests
changes, only that file is measured again; when anything else changes, all are.
"""

import hashlib
import json
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from devstack.mutation.mutants import Mutant
from devstack.mutation.references import References
from devstack.paths import LOCAL, ROOT

SOURCE = "chalicelib"
WATCHED = (SOURCE, "tests", "devstack")  # what the tests' course depends on, beside the files of the root
MOST_TESTS = 60  # of one mutant
MOST_SECONDS = 30.0  # that these take on unchanged code


def record_of(path: str, root: Path = ROOT) -> str:
    """The name of the record of a file of tests."""
    digest = hashlib.sha256((root / path).read_bytes()).hexdigest()[:12]
    return f"{path.replace('/', '+')}.{digest}.json"


def records() -> Path:
    """The folder of the records that hold for the code as it is."""
    digest = hashlib.sha256()
    files = [*ROOT.glob("*.py"), *ROOT.glob("requirements*.txt")]
    files += [path for name in WATCHED for path in (ROOT / name).rglob("*") if path.suffix in (".py", ".sql", ".lua")]
    for path in sorted(files):
        if not path.name.startswith("test_") and "mutation" not in path.parts:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return LOCAL / "mutation" / "coverage" / digest.hexdigest()[:12]


def test_files() -> list[str]:
    """All files of tests but those that pyproject.toml leaves out, the largest first."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8")).get("tool", {}).get("mutate", {})
    ignored = [ROOT / name for name in options.get("ignore", [])]
    paths = [path for path in ROOT.glob("tests/**/test_*.py") if not any(path.is_relative_to(one) for one in ignored)]
    return [str(path.relative_to(ROOT)) for path in sorted(paths, key=lambda path: (-path.stat().st_size, path))]


def unmeasured() -> list[str]:
    folder = records()
    return [path for path in test_files() if not (folder / record_of(path)).exists()]


def package_of(path: str) -> str:
    """The part of chalicelib that a file belongs to; its top-level modules are one part."""
    parts = Path(path).parts
    return parts[1] if len(parts) > 2 else parts[0]


@dataclass(frozen=True)
class CoveringTest:
    name: str
    seconds: float
    share: dict[str, float] = field(compare=False)  # package -> share of the lines that it runs


class Coverage:
    """The records of all files of tests, by line."""

    def __init__(self) -> None:
        self.tests: list[CoveringTest] = []
        self.failed: list[str] = []
        self.by_line: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.references = References(ROOT, SOURCE)
        folder = records()
        for path in test_files():
            for name, entry in json.loads((folder / record_of(path)).read_text()).items():
                if not entry["passed"]:
                    self.failed.append(name)
                elif entry["lines"]:
                    self.add(name, entry["seconds"], entry["lines"])

    def add(self, name: str, seconds: float, lines: dict[str, list[int]]) -> None:
        counts: Counter[str] = Counter()
        for path, numbers in lines.items():
            counts[package_of(path)] += len(numbers)
            for number in numbers:
                self.by_line[path][number].append(len(self.tests))
        share = {package: count / counts.total() for package, count in counts.items()}
        self.tests.append(CoveringTest(name, seconds, share))

    def covering(self, path: str, span: tuple[int, int]) -> set[int]:
        """The tests that run any of the lines."""
        lines = self.by_line.get(path, {})
        return {test for line in range(span[0], span[1] + 1) for test in lines.get(line, ())}

    def candidates(self, mutant: Mutant) -> set[int]:
        """The tests that run the mutant's statement.

        What runs at import is covered by the tests of the functions that refer to its name, directly or through
        other names; failing that, by those of the file.
        """
        if mutant.body:
            return self.covering(mutant.path, mutant.lines) or self.covering(mutant.path, mutant.body)
        found: set[int] = set()
        if name := mutant.owner.partition(".")[0]:
            for path, span in self.references.users(name):
                found |= self.covering(path, span)
        return found or {test for tests in self.by_line.get(mutant.path, {}).values() for test in tests}

    def tests_of(self, mutant: Mutant) -> list[CoveringTest]:
        """The covering tests, best first, as many as the limits admit.

        A test comes earlier if more of what it runs is in the mutant's package, and if it is short; of the cases of
        a parametrized test the first one comes before the second case of any.
        """
        package = package_of(mutant.path)
        found = [self.tests[number] for number in sorted(self.candidates(mutant))]
        return limited(
            turn_about(sorted(found, key=lambda test: (-round(test.share.get(package, 0), 1), test.seconds)))
        )


def turn_about(tests: Iterable[CoveringTest]) -> list[CoveringTest]:
    """The same tests in the same order, but each function's first case before any second case."""
    cases: Counter[str] = Counter()
    ranked = []
    for test in tests:
        function = test.name.partition("[")[0]
        ranked.append((cases[function], test))
        cases[function] += 1
    return [test for _, test in sorted(ranked, key=lambda pair: pair[0])]


def limited(tests: list[CoveringTest]) -> list[CoveringTest]:
    chosen: list[CoveringTest] = []
    seconds = 0.0
    for test in tests[:MOST_TESTS]:
        seconds += test.seconds
        if chosen and seconds > MOST_SECONDS:
            break
        chosen.append(test)
    return chosen
