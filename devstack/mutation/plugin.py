"""The part of bin/mutate inside pytest, as a plugin that two environment variables steer.

MUTATION_MEASURE=FOLDER records, in one JSON file for each file of tests, which lines each test ran.
MUTATION_TESTS=FILE runs the tests that the JSON file lists, in that order, and writes the first failure beside it.
"""

import inspect
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from devstack.mutation.coverage import SOURCE, get_record_name

ROOT = Path(__file__).resolve().parents[2]


class Tracer:
    """Collects the lines of the application that run, in all threads; a function that has run wholly is traced no more.

    Classes and modules are left out: their lines run when the first test imports them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = f"{root}{os.sep}{SOURCE}{os.sep}"
        self.known: dict[int, tuple[CodeType, frozenset[int]]] = {}  # the code is kept so that no other has its id
        self.missing: dict[int, set[int]] = {}  # lines that have not run yet, of each code object that has

    def start(self) -> None:
        """Start to record lines in all threads."""
        threading.settrace(self.on_call)
        sys.settrace(self.on_call)

    def on_call(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        """Return the line tracer of a frame with lines that are not recorded yet."""
        missing = self.missing.get(id(frame.f_code))
        if missing is None:
            missing = self.missing[id(frame.f_code)] = set(self.get_lines(frame.f_code))
        return self.on_line if missing else None

    def on_line(self, frame: FrameType, event: str, _arg: Any) -> Any:
        """Record a line; stop tracing a function whose lines are all recorded."""
        if event == "line":
            missing = self.missing.get(id(frame.f_code))
            if missing is None:  # it runs since before the last `take_lines`
                missing = self.missing[id(frame.f_code)] = set(self.get_lines(frame.f_code))
            missing.discard(frame.f_lineno)
        return self.on_line

    def get_lines(self, code: CodeType) -> frozenset[int]:
        """Return the lines of a code object, from a cache."""
        if id(code) not in self.known:
            self.known[id(code)] = (code, self.find_own_lines(code))
        return self.known[id(code)][1]

    def find_own_lines(self, code: CodeType) -> frozenset[int]:
        """Return the lines of a function of the code under test."""
        if not code.co_filename.startswith(self.source) or not code.co_flags & inspect.CO_OPTIMIZED:
            return frozenset()
        lines = {line for _, _, line in code.co_lines() if line}
        return frozenset(lines - {code.co_firstlineno} or lines)

    def stop(self) -> None:
        """Stop to record."""
        threading.settrace(None)
        sys.settrace(None)

    def take_lines(self) -> dict[str, list[int]]:
        """The lines that have run since the last call, by file."""
        ran: dict[str, set[int]] = {}
        taken, self.missing = self.missing, {}  # at once: other threads, and the garbage collector, go on
        for number, missing in taken.items():
            code, lines = self.known[number]
            if lines:
                ran.setdefault(str(Path(code.co_filename).relative_to(self.root)), set()).update(lines - missing)
        return {path: sorted(lines) for path, lines in ran.items() if lines}


class Recorder:
    """Writes for each file of tests: {test: {"seconds": float, "passed": bool, "lines": {file: [line, ...]}}}."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tracer = Tracer(ROOT)
        self.tests: dict[str, dict[str, dict[str, Any]]] = {}  # by file

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Record the lines and seconds of each test."""
        self.tracer.take_lines()
        self.tracer.start()  # a test may have ended it
        entry: dict[str, Any] = {"seconds": 0.0, "passed": True}
        path = item.nodeid.partition("::")[0]
        self.tests.setdefault(path, {})[item.nodeid] = entry
        result = yield
        entry["lines"] = self.tracer.take_lines()
        if nextitem is None or nextitem.nodeid.partition("::")[0] != path:
            self.write(path)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the duration of a phase, and whether it passed."""
        entry = self.tests[report.nodeid.partition("::")[0]][report.nodeid]
        entry["seconds"] += report.duration
        entry["passed"] = entry["passed"] and report.passed

    def pytest_unconfigure(self) -> None:
        """Stop to record at the end of the run."""
        self.tracer.stop()

    def write(self, path: str) -> None:
        """Write the record of a test file."""
        target = self.folder / get_record_name(path)
        target.write_text(json.dumps(self.tests[path]))


class Selector:
    """Runs the listed tests only, and notes the first that fails."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.order = {test: number for number, test in enumerate(json.loads(file.read_text()))}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the selected tests, in their order."""
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in self.order])
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Write the name of the first test that fails."""
        failure = self.file.with_suffix(".failed")
        if report.failed and not failure.exists():
            failure.write_text(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    """Register the recorder or the selector, as the environment says."""
    if folder := os.environ.get("MUTATION_MEASURE"):
        config.pluginmanager.register(Recorder(Path(folder)))
    if file := os.environ.get("MUTATION_TESTS"):
        config.pluginmanager.register(Selector(Path(file)))
        disable_shrinking()


def disable_shrinking() -> None:
    """Have Hypothesis report its first failing example, the same in each run."""
    import hypothesis

    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutation", phases=phases, derandomize=True, database=None)
    hypothesis.settings.load_profile("mutation")
