"""Runs tests on mutants, in a copy of the repository with services of its own for each job."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.console import CommandError
from devstack.install import python_env
from devstack.mutation import coverage
from devstack.mutation.coverage import CoveringTest
from devstack.mutation.mutants import Mutant
from devstack.paths import LOCAL, ROOT
from devstack.services import control, processes, service, supervisor
from devstack.services.readiness import READINESS_CHECKS

NOT_COPIED = shutil.ignore_patterns(".git", ".local", "__pycache__", ".*_cache", ".hypothesis", "build")
START = 90.0  # seconds that pytest may take beside its tests; a busy machine needs many
FACTOR = 8  # a mutant's tests may take this many times the seconds that they take on unchanged code
FIRST = 12  # tests that are tried before the others
TRIES = 3  # to tell a killed mutant from a test that fails by chance
FAILED, PASSED = 1, (0, 5)  # pytest's exit codes: a test failed or could not be loaded; all passed, or there is none
OUTSIDE, TIME_LIMIT = "error outside a test", "time limit"  # what else kills a mutant
NO_TEST = (OUTSIDE, TIME_LIMIT)


@dataclass(frozen=True)
class Result:
    """The outcome for a mutant; one that no test covers survives."""

    mutant: Mutant
    tests: int  # that were to run
    killed_by: str = ""  # the test that failed, or one of NO_TEST; "" for a survivor


class Job:
    """A copy of the repository and the environment of its services."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        self.tree = folder / "tree"
        self.env = env
        self.child: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self.changes = 0
        self.records = coverage.get_records_folder()
        self.services = control.load_services(Path(env["DEVSTACK_CONTROL"]))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT, self.tree, ignore=NOT_COPIED)
        (self.tree / ".local").symlink_to(LOCAL)

    def measure(self, files: list[str]) -> None:
        """Record which lines the tests of these files run. Those that fail here are not used later."""
        self.records.mkdir(parents=True, exist_ok=True)
        code = self.run_pytest(["-q", *files], {"MUTATION_MEASURE": str(self.records)}, "measure.log", None)
        if code not in (FAILED, *PASSED):
            said = (self.folder / "measure.log").read_text("utf-8", "replace")
            raise CommandError(f"pytest ended with {code} on {' '.join(files)}:\n{said[-4000:]}")
        for path in files:
            record = self.records / coverage.get_record_name(path, self.tree)
            if not record.exists():  # it has no tests
                record.write_text("{}")

    def judge(self, mutants: list[tuple[Mutant, list[CoveringTest]]]) -> list[Result]:
        """Run each mutant's tests. A failure counts only if the same test passes on unchanged code afterwards."""
        results = [Result(mutant, len(tests), self.find_killer(tests, mutant)) for mutant, tests in mutants]
        killers = {one.killed_by for one in results} - {"", *NO_TEST}
        untrusted = set(NO_TEST)
        tests = [test for _, some in mutants for test in some]
        while killers and (failed := self.run_tests([test for test in tests if test.name in killers])):
            untrusted.add(failed)
            killers -= {failed}
            if failed in NO_TEST:
                untrusted |= killers
                break
        return [
            self.judge_again(*pair) if one.killed_by in untrusted else one
            for pair, one in zip(mutants, results, strict=True)
        ]

    def judge_again(self, mutant: Mutant, tests: list[CoveringTest]) -> Result:
        """Run a mutant's tests on empty services, and the one that fails also on unchanged code."""
        left = tests
        for _ in range(TRIES):
            self.empty_stores()
            killer = self.find_killer(left, mutant)
            if not killer:
                break
            self.empty_stores()
            suspects = left if killer in NO_TEST else [test for test in left if test.name == killer]
            if not self.run_tests(suspects):
                return Result(mutant, len(tests), killer)
            left = [test for test in left if test not in suspects]
        return Result(mutant, len(tests))

    def find_killer(self, tests: list[CoveringTest], mutant: Mutant) -> str:
        """Return what kills the mutant, or "".

        Most are killed by one of the first tests, so that the files of the other tests need not be loaded.
        """
        return self.run_tests(tests[:FIRST], mutant) or self.run_tests(tests[FIRST:], mutant)

    def run_tests(self, tests: list[CoveringTest], mutant: Mutant | None = None) -> str:
        """Run the tests until one fails; return its name, one of NO_TEST, or "" if all pass."""
        tests = list(dict.fromkeys(tests))
        if not tests or self.stopped:
            return ""
        listed, failed = self.folder / "tests.json", self.folder / "tests.failed"
        listed.write_text(json.dumps([test.name for test in tests]))
        failed.unlink(missing_ok=True)
        files = sorted({test.name.partition("::")[0] for test in tests})
        limit = START + FACTOR * sum(test.seconds for test in tests)
        with self.apply_mutant(mutant):
            code = self.run_pytest(["-q", "-x", *files], {"MUTATION_TESTS": str(listed)}, "run.log", limit)
        if code is None:
            self.empty_stores()
            return TIME_LIMIT
        if failed.exists():
            return failed.read_text()
        return "" if code in PASSED else OUTSIDE

    @contextlib.contextmanager
    def apply_mutant(self, mutant: Mutant | None) -> Iterator[None]:
        """Write the mutant into the copy. Its modification time is unique, so that no stale bytecode is loaded."""
        if not mutant:
            yield
            return
        path = self.tree / mutant.path
        text, stat = path.read_text("utf-8"), path.stat()
        self.changes += 1
        path.write_text(mutant.apply(text), "utf-8")
        os.utime(path, (stat.st_atime, stat.st_mtime + self.changes))
        try:
            yield
        finally:
            path.write_text(text, "utf-8")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def run_pytest(self, arguments: list[str], env: dict[str, str], log: str, limit: float | None) -> int | None:
        """Run pytest in the copy; return its exit code, or None if it took longer than the limit."""
        self.restart_services()
        python = [*processes.build_parent_death_prefix(), python_env.get_python("venv-dev")]
        plugins = ["-p", "devstack.mutation.plugin", "-p", "no:cacheprovider", "-n0"]
        command = [*python, "-m", "pytest", *plugins, *arguments]
        with (self.folder / log).open("wb") as out:
            child = subprocess.Popen(
                command, cwd=self.tree, env=self.env | env, stdout=out, stderr=out, start_new_session=True
            )
        self.child = child
        try:
            return child.wait(limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.end_child()

    def end_child(self) -> None:
        """End pytest and all that it has started."""
        if self.child:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def stop(self) -> None:
        """Stop before the next mutant."""
        self.stopped = True
        self.end_child()

    def restart_services(self) -> None:
        """Start the services that a test has killed or restarted: one that pytest has started dies with pytest."""
        file = Path(self.env["DEVSTACK_CONTROL"])
        services = control.load_services(file)
        for name, one in services.items():
            if one.pid != self.services[name].pid:
                processes.end(one.pid, one.start_time)
            if processes.get_start_time(one.pid) != one.start_time:
                service.start(one)
                control.save_services(file, services)
                service.await_ready(one, READINESS_CHECKS[name])
        self.services = services

    def empty_stores(self) -> None:
        """Empty the database and the cache: a failed test may have left what disturbs others."""
        if not self.stopped:
            self.restart_services()
            supervisor.run_module(
                "venv-dev", "devstack.services.reset", self.env, "database", self.env["DATABASE_URL"], "--wipe"
            )
            supervisor.run_module("venv-dev", "devstack.services.reset", self.env, "cache", self.env["REDIS_URL"])
