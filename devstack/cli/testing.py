"""bin/test, and the other commands that run in the development environment."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from devstack.cli import foreground, workers
from devstack.console import CommandError, print_box, print_line, time_step
from devstack.install import chromium, python_env
from devstack.paths import LOCAL, hold_lock
from devstack.services import mariadb, mysql_server
from devstack.services.service import Service
from devstack.services.supervisor import Stack, run_stack


def run_tests(arguments: list[str]) -> int:
    """bin/test [--mysql | --browser] [PYTEST ARGUMENTS]: run the tests on private services."""
    if "--mysql" in arguments:
        return run_mysql_tests([one for one in arguments if one != "--mysql"])
    if "--browser" in arguments:
        return run_browser_tests([one for one in arguments if one != "--browser"])
    return workers.run_pytest(run_services, arguments)


def run_mysql_tests(arguments: list[str]) -> int:
    """Run the tests marked `store` against MySQL instead of MariaDB; print a warning and pass if there is no MySQL."""
    try:
        with time_step("MySQL server found"), hold_lock(LOCAL / "setup.lock", busy=report_waiting):
            label = mariadb.ensure_template(mysql_server.get_server()).name
    except CommandError as error:
        reason = str(error).splitlines()[0][:100]
        print_box("SKIPPED: the store tests did not run against MySQL.", reason, "Only MariaDB has been tested.")
        return 0
    print_line(f"  store tests on {label}")
    return workers.run_pytest(partial(run_services, mysql_server.prepare), arguments, selection=["-m", "store"])


def run_browser_tests(arguments: list[str]) -> int:
    """Run tests/browser in a headless Chromium; print a warning and pass if there is no Chromium."""
    try:
        with time_step("Chromium found"), hold_lock(LOCAL / "setup.lock", busy=report_waiting):
            browser = chromium.prepare()
    except CommandError as error:
        print_box("SKIPPED: the browser tests did not run.", str(error).splitlines()[0][:100])
        return 0
    with run_services() as env:
        return foreground.run(["-m", "pytest", "tests/browser", *arguments], {**env, **browser})


@contextlib.contextmanager
def run_services(mysql: Callable[..., Service] = mariadb.prepare) -> Iterator[dict[str, str]]:
    """Run services with empty data in a temporary folder, and yield the environment of the tests."""
    (LOCAL / "tests").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=LOCAL / "tests"))
    try:
        with run_stack(Stack("venv-dev", folder, tests=True, mysql_factory=mysql)) as env:
            yield env
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_fuzz(arguments: list[str]) -> int:
    """bin/fuzz: send random requests to every endpoint."""
    with run_services() as env:
        return foreground.run(["-m", "devstack.fuzz.runner", *arguments], env)


def run_benchmarks(arguments: list[str]) -> int:
    """bin/bench NAME or --smoke: run benchmarks on a database that flushes each commit to disk, as in production.

    REDIS_TIMEOUT is that of production, except in the smoke run, which ignores times.
    """
    with run_services(lambda folder, log, database, _: mariadb.prepare(folder, log, database, durable=True)) as env:
        timeout = {} if "--smoke" in arguments else {"REDIS_TIMEOUT": os.environ.get("REDIS_TIMEOUT", "0.3")}
        return foreground.run(["-m", "bench", *arguments], {**env, **timeout})


def write_api_docs(arguments: list[str]) -> int:
    """bin/openapi [--check]: write the generated documents, or check that they are current."""
    return run_without_services(["-m", "apidocs", *arguments])


def build_package(arguments: list[str]) -> int:
    """bin/package: build the deployment package."""
    return run_without_services(["bundle.py", *arguments])


def run_without_services(arguments: list[str]) -> int:
    """Run Python of the development environment and return its exit code."""
    install_tools()
    path = f"{LOCAL / 'venv-dev/bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    return foreground.run(arguments, {**os.environ, "PATH": path})


def install_tools() -> None:
    """Install the development environment if its lock has changed."""
    with hold_lock(LOCAL / "setup.lock", busy=report_waiting):
        python_env.ensure("venv-dev")


def report_waiting() -> None:
    """Print that another command is installing packages."""
    print_line("  waiting for another set-up to finish …")
