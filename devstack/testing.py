"""bin/test, and every other command that wants the development environment."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from devstack import chromium, foreground, mariadb, parts, python_env, real_mysql
from devstack.paths import LOCAL, locked
from devstack.say import Refusal, box, line, step
from devstack.service import Service
from devstack.supervisor import Stack, running


def test(arguments: list[str]) -> int:
    """bin/test [--mysql | --browser] [pytest's own arguments]"""
    if "--mysql" in arguments:
        return test_on_mysql([one for one in arguments if one != "--mysql"])
    if "--browser" in arguments:
        return test_in_a_browser([one for one in arguments if one != "--browser"])
    if parts.wanted(arguments):
        return parts.run(services, arguments)
    with services() as env:
        return foreground.run(["-m", "pytest", *arguments], env)


def test_on_mysql(arguments: list[str]) -> int:
    """The tests that are marked `store`, against MySQL itself. Where there is none, says so loudly and passes."""
    try:
        with step("MySQL at hand"), locked(LOCAL / "setup.lock", busy=waiting):
            label = mariadb.template_of(real_mysql.found()).name
    except Refusal as refusal:
        reason = str(refusal).splitlines()[0][:100]
        box("SKIPPED: the store tests did not run against MySQL itself.", reason, "Only MariaDB has been tested.")
        return 0
    line(f"  store tests on {label}")
    if parts.wanted(arguments):
        return parts.run(partial(services, real_mysql.prepare), ["-m", "store", *arguments])
    with services(real_mysql.prepare) as env:
        return foreground.run(["-m", "pytest", "-m", "store", *arguments], env)


def test_in_a_browser(arguments: list[str]) -> int:
    """The pages of tests/browser, in a headless Chromium. Where there is none, says so loudly and passes."""
    try:
        with step("Chromium at hand"), locked(LOCAL / "setup.lock", busy=waiting):
            browser = chromium.prepare()
    except Refusal as refusal:
        box("SKIPPED: the pages did not run in a browser.", str(refusal).splitlines()[0][:100])
        return 0
    with services() as env:
        return foreground.run(["-m", "pytest", "tests/browser", *arguments], {**env, **browser})


@contextlib.contextmanager
def services(mysql: Callable[..., Service] = mariadb.prepare) -> Iterator[dict[str, str]]:
    """Services with fresh data, in a folder that goes afterwards; their environment."""
    (LOCAL / "tests").mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=LOCAL / "tests"))
    try:
        with running(Stack("venv-dev", folder, tests=True, mysql=mysql)) as env:
            yield env
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fuzz(arguments: list[str]) -> int:
    with services() as env:
        return foreground.run(["-m", "devstack.fuzz", *arguments], env)


def bench(arguments: list[str]) -> int:
    """bin/bench NAME ... or --smoke: on a database that has each commit on disk before it answers, as in production."""
    with services(lambda folder, log, database, _: mariadb.prepare(folder, log, database, durable=True)) as env:
        patience = {} if "--smoke" in arguments else {"REDIS_TIMEOUT": os.environ.get("REDIS_TIMEOUT", "0.3")}
        return foreground.run(["-m", "bench", *arguments], {**env, **patience})


def openapi(arguments: list[str]) -> int:
    return without_services(["-m", "apidocs", *arguments])


def package(arguments: list[str]) -> int:
    return without_services(["bundle.py", *arguments])


def without_services(arguments: list[str]) -> int:
    with locked(LOCAL / "setup.lock", busy=waiting):
        python_env.ensure("venv-dev")
    path = f"{LOCAL / 'venv-dev/bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}"
    return foreground.run(arguments, {**os.environ, "PATH": path})


def waiting() -> None:
    line("  waiting for another set-up to finish …")
