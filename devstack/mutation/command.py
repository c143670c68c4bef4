"""bin/mutate [--count N] [--seed N] [--only PACKAGE] [--jobs N] [--again]"""

import argparse
import hashlib
import queue
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from typing import TypeVar

from devstack.cli import testing
from devstack.console import CommandError, print_line, time_step
from devstack.mutation import coverage, mutants, report
from devstack.mutation.coverage import SOURCE, Coverage, get_package
from devstack.mutation.mutants import Mutant
from devstack.mutation.run import Job, Result
from devstack.paths import LOCAL, ROOT, write_atomically

LEAST = 80  # per cent of the mutants that must be killed
EACH = 4  # mutants of each package, before the rest is shared out by size
BATCH = 10  # mutants that a job takes at a time
FILES = 6  # files of tests that a job measures at a time

T = TypeVar("T")
R = TypeVar("R")


def mutate(arguments: list[str]) -> int:
    """Test a sample of mutants; 1 if fewer than LEAST per cent are killed."""
    options = parse_arguments(arguments)
    every = find_all_mutants()
    chosen = (
        find_last_survivors(every) if options.again else choose_sample(every, options.count, options.seed, options.only)
    )
    if not chosen:
        raise CommandError("there is no such mutant")
    with ExitStack() as stack:
        jobs = [
            Job(LOCAL / "mutation" / f"job-{number}", stack.enter_context(testing.run_services()))
            for number in range(options.jobs)
        ]
        measure(jobs)
        results = judge(jobs, chosen)
    results.sort(key=lambda one: (one.mutant.path, one.mutant.start))
    write_atomically(report.SURVIVED, report.format_toml(results))
    text = report.format_report(results, every, options.seed)
    write_atomically(LOCAL / "mutation" / "report.md", text)
    print_line(f"\n{text}\n(also in .local/mutation/report.md)")
    return int(report.get_kill_rate(results) < LEAST)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        "bin/mutate", description="Tests the tests: a sample of small changes to the code."
    )
    parser.add_argument("--count", type=int, default=200, help="how many mutants (200)")
    parser.add_argument("--seed", type=int, default=10, help="another seed is another sample (10)")
    parser.add_argument("--only", default="", help=f"one package of {SOURCE}")
    parser.add_argument("--jobs", type=int, default=2, help="how many run side by side (2)")
    parser.add_argument("--again", action="store_true", help="those that survived the last run, and no others")
    return parser.parse_args(arguments)


def find_all_mutants() -> list[Mutant]:
    """Return all mutants of the code under test, file by file."""
    return [one for path in sorted((ROOT / SOURCE).rglob("*.py")) for one in mutants.find_in_file(ROOT, path)]


def find_last_survivors(every: list[Mutant]) -> list[Mutant]:
    """Return those of `every` that survived the last run and still exist."""
    keys = report.read_reasons(report.SURVIVED)
    return [one for one in every if one.key in keys]


def choose_sample(every: list[Mutant], count: int, seed: int, only: str) -> list[Mutant]:
    """Mutants of all packages: EACH of every one, the rest in proportion to their sizes. Operators are equally likely.

    A changed line changes little of the sample: each mutant has a rank of its own.
    """
    packages: dict[str, list[Mutant]] = defaultdict(list)
    for one in every:
        packages[get_package(one.path)].append(one)
    if only:
        packages = {only: packages.get(only, [])}
    chosen = []
    for name, number in allocate({name: len(some) for name, some in packages.items()}, count).items():
        chosen += choose_mutants(packages[name], number, seed)
    return chosen


def allocate(sizes: dict[str, int], count: int) -> dict[str, int]:
    """How many of each package; together `count` where there are so many."""
    found = {name: min(EACH, size) for name, size in sizes.items()}
    total = sum(sizes.values())
    while sum(found.values()) < min(count, total):
        behind = [name for name in sizes if found[name] < sizes[name]]
        found[max(behind, key=lambda name: (sizes[name] / total - found[name] / count, name))] += 1
    return found


def choose_mutants(some: list[Mutant], number: int, seed: int) -> list[Mutant]:
    """By turns one of each operator, the operators and their mutants by rank."""
    operators: dict[str, list[Mutant]] = defaultdict(list)
    for one in sorted(some, key=lambda one: compute_rank(one.key, seed), reverse=True):
        operators[one.operator].append(one)
    turns = sorted(operators, key=lambda name: compute_rank(name, seed))
    chosen: list[Mutant] = []
    while len(chosen) < number and any(operators.values()):
        for name in turns:
            if operators[name] and len(chosen) < number:
                one = operators[name].pop()
                chosen += [one] if mutants.is_valid(one.apply((ROOT / one.path).read_text("utf-8"))) else []
    return chosen


def compute_rank(text: str, seed: int) -> str:
    """Return the rank of a text in the sample of a seed: the lowest ranks are chosen."""
    return hashlib.sha256(f"{seed} {text}".encode()).hexdigest()


def measure(jobs: list[Job]) -> None:
    """Measure the files of tests that have no record yet, and those that failed once more: perhaps by chance."""
    if files := coverage.list_unmeasured_files():
        with time_step(f"coverage of {len(files)} files of tests"):
            measure_all(jobs, files, FILES)
            measure_all(jobs, coverage.list_failing_files(), 1)


def measure_all(jobs: list[Job], files: list[str], at_once: int) -> None:
    """Record the coverage of these test files, `at_once` jobs at a time."""
    number = len(files) // at_once + 1
    groups = [files[start::number] for start in range(min(number, len(files)))]
    for _ in run_on_jobs(jobs, groups, Job.measure):
        pass


def judge(jobs: list[Job], chosen: list[Mutant]) -> list[Result]:
    """Choose the covering tests of each mutant, and run them in the jobs."""
    with time_step("coverage by line"):
        covered = Coverage()
    if covered.failed:
        print_line("  not used, as they fail on unchanged code:\n    " + "\n    ".join(covered.failed))
    pairs = [(one, covered.choose_tests(one)) for one in chosen]
    batches = [pairs[number : number + BATCH] for number in range(0, len(pairs), BATCH)]
    results: list[Result] = []
    counts: Counter[bool] = Counter()
    for some in run_on_jobs(jobs, batches, Job.judge):
        results += some
        counts.update(bool(one.killed_by) for one in some)
        for one in some:
            if not one.killed_by:
                print_line(f"\n{report.describe(one)}")
        print_line(f"\n  {len(results)} of {len(chosen)} mutants, {counts[False]} survive")
    return results


def run_on_jobs(jobs: list[Job], tasks: list[list[T]], work: Callable[[Job, list[T]], R]) -> Iterator[R]:
    """Do each task on whichever job is free; the results come as they are ready."""
    free: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        free.put(job)

    def run(task: list[T]) -> R:
        job = free.get()
        try:
            return work(job, task)
        finally:
            free.put(job)

    with ThreadPoolExecutor(len(jobs)) as pool:
        try:
            for done in as_completed([pool.submit(run, task) for task in tasks]):
                yield done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for job in jobs:
                job.stop()
            raise
