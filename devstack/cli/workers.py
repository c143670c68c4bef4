"""Run the test suite in several pytest-xdist workers, each on services of its own."""

import json
import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from devstack.cli import foreground
from devstack.services import control
from devstack.services.supervisor import URL_VARIABLES

Services = Callable[[], AbstractContextManager[dict[str, str]]]

ENVIRONMENTS = "DEVSTACK_WORKERS"  # a JSON list: the variables of each worker that differ
MAX_WORKERS = 4
MEMORY_PER_WORKER = 2 << 30  # bytes; a worker and its services use about half of that
WORKERS_OPTION = re.compile(r"(?:-n|--numprocesses=)(\d+)")
REPORTING_OPTION = re.compile(r"-q+|-v+|-r\w+|--(tb|durations|durations-min|color)=\S+")


def is_whole_suite(arguments: list[str]) -> bool:
    """Return whether these pytest arguments only affect reporting and select no tests."""
    return all(REPORTING_OPTION.fullmatch(one) for one in arguments)


def split_off_workers(arguments: list[str]) -> tuple[int | None, list[str]]:
    """Return how many workers pytest's arguments demand (`-n2` or `-n 2`), None if they do not say, and the others."""
    joined = re.sub(r"(^|\0)(-n|--numprocesses)\0", r"\1-n", "\0".join(arguments)).split("\0") if arguments else []
    numbers = [int(found[1]) for one in joined if (found := WORKERS_OPTION.fullmatch(one))]
    others = [one for one in joined if not WORKERS_OPTION.fullmatch(one)]
    return (max(1, numbers[-1]) if numbers else None), others


def count_workers() -> int:
    """Return how many workers this machine has the memory for: one more than processors, as tests often wait."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(processors + 1, round(memory / MEMORY_PER_WORKER), MAX_WORKERS))


def run_pytest(services: Services, arguments: list[str], selection: list[str] | None = None) -> int:
    """Run pytest on the whole suite, or on the selection that makes up a suite of its own; return its exit code.

    A suite runs in several workers, a selection of tests in one, unless the arguments say how many. It is one if
    DATABASE_URL or the like names an external service: workers that share a service would delete one another's data.
    """
    demanded, arguments = split_off_workers(arguments)
    with ExitStack() as stack:
        environments = [stack.enter_context(services())]
        owns_all_services = len(control.load_services(Path(environments[0]["DEVSTACK_CONTROL"]))) == len(URL_VARIABLES)
        number = demanded or (count_workers() if is_whole_suite(arguments) else 1)
        if owns_all_services:
            environments += [stack.enter_context(services()) for _ in range(number - 1)]
        options = [*(selection or []), *build_worker_options(environments), *arguments]
        return foreground.run(["-m", "pytest", *options], build_environment(environments))


def build_worker_options(environments: list[dict[str, str]]) -> list[str]:
    """Return the options that start one worker for each environment.

    A crashed worker is not replaced: the replacement would have another number, and so the services of another worker.
    """
    if len(environments) == 1:
        return []
    number = str(len(environments))
    return ["-p", "devstack.cli.pytest_worker", "-n", number, "--dist", "loadscope", "--max-worker-restart", "0"]


def build_environment(environments: list[dict[str, str]]) -> dict[str, str]:
    """Return the first environment, with the differences of all in ENVIRONMENTS."""
    first = environments[0]
    differences = [{name: value for name, value in one.items() if first.get(name) != value} for one in environments]
    return {**first, ENVIRONMENTS: json.dumps(differences)}
