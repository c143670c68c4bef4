"""The three services together: prepared side by side, started, stopped whatever happens."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from devstack import appenv, compose, control, mariadb, overrides, processes, python_env, s3, service, uv, valkey
from devstack.paths import LOCAL, ROOT, locked
from devstack.readiness import READY
from devstack.say import Refusal, line, step
from devstack.service import Service

VARIABLE = {"mysql": "DATABASE_URL", "redis": "REDIS_URL", "s3": "S3_ENDPOINT_URL"}


@dataclass
class Stack:
    """One run of the services: whose Python, where their data and logs are, and what became of them."""

    venv: str
    folder: Path
    tests: bool
    mysql: Callable[..., Service] = mariadb.prepare
    wipe: bool = False  # empty also what is elsewhere
    fill: Callable[[dict[str, str]], None] = lambda _: (
        None
    )  # done as soon as MySQL answers: the cache takes two seconds
    services: dict[str, Service] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)  # variable -> URL of a service that is not ours

    @property
    def anew(self) -> bool:
        return self.tests or self.wipe

    @property
    def control(self) -> Path:
        return self.folder / "control.json"

    def env(self) -> dict[str, str]:
        urls = {VARIABLE[name]: one.url for name, one in self.services.items()} | self.elsewhere
        return appenv.of(self.venv, urls, self.tests) | {"DEVSTACK_CONTROL": str(self.control)}


@contextlib.contextmanager
def running(stack: Stack) -> Iterator[dict[str, str]]:
    """Everything set up and answering; gives the app's environment. Afterwards all of it is stopped."""
    processes.clear_stale()
    stack.control.unlink(missing_ok=True)
    stack.elsewhere = overrides.read(stack.tests)
    try:
        with locked(LOCAL / "setup.lock", busy=lambda: line("  waiting for another set-up to finish …")):
            prepare(stack)
        start(stack)
        yield stack.env()
    finally:
        stop(stack)


def prepare(stack: Stack) -> None:
    """Programs and data directories; nothing is started yet."""
    with ThreadPoolExecutor() as pool:
        database = pool.submit(prepare_mysql, stack)
        uv.binary()
        storage = pool.submit(prepare_s3, stack)
        with step(f"Python packages, {python_env.LOCKS[stack.venv]}"):
            python_env.ensure(stack.venv)
        prepare_redis(stack)
    database.result()
    storage.result()


def prepare_mysql(stack: Stack) -> None:
    def prepared() -> Service:
        with step("database server at hand"):
            return stack.mysql(
                stack.folder, log(stack, "mysql"), "zhenxun_test" if stack.tests else "zhenxun", not stack.tests
            )

    either(stack, "mysql", prepared)


def prepare_redis(stack: Stack) -> None:
    either(stack, "redis", lambda: valkey.prepare(stack.venv, stack.folder, log(stack, "redis"), not stack.tests))


def prepare_s3(stack: Stack) -> None:
    def prepared() -> Service:
        with step("Python packages, requirements-s3.txt"):
            python_env.ensure("venv-s3")
        return s3.prepare(stack.folder, log(stack, "s3"))

    either(stack, "s3", prepared)


def either(stack: Stack, name: str, prepare_own: Callable[[], Service]) -> None:
    """The developer's own service, else a private one, else a container's."""
    if VARIABLE[name] in stack.elsewhere:
        return
    try:
        stack.services[name] = prepare_own()
    except Refusal as refusal:
        url = compose.up(name, stack.tests)
        if not url:
            raise
        line(f"  {name}: {refusal}\n  using localstack-compose.yml instead")
        stack.elsewhere[VARIABLE[name]] = url


def start(stack: Stack) -> None:
    """Starts them here, in the thread that lives on (see processes), and waits for all at the same time."""
    for one in stack.services.values():
        service.start(one)
    note(stack)
    with ThreadPoolExecutor() as pool:
        waiting = {name: pool.submit(AWAIT[name], stack) for name in VARIABLE}
    for name, waited in waiting.items():
        if waited.exception() and name in stack.services and lost_its_port(stack.services[name]):
            start_elsewhere(stack, name)
        else:
            waited.result()


def lost_its_port(one: Service) -> bool:
    return processes.birth(one.pid) != one.born and not processes.port_is_free(one.port)


def start_elsewhere(stack: Stack, name: str) -> None:
    """Another program took its port between our look and its start."""
    service.stop(stack.services[name])
    PREPARE[name](stack)
    service.start(stack.services[name])
    note(stack)
    AWAIT[name](stack)


def await_own(stack: Stack, name: str) -> None:
    if name in stack.services:
        with step(stack.services[name].label):
            service.await_ready(stack.services[name], READY[name])


def await_mysql(stack: Stack) -> None:
    await_own(stack, "mysql")
    if url := stack.elsewhere.get("DATABASE_URL"):
        with step("database"):
            run_module(stack.venv, "devstack.wipe", stack.env(), "database", url, *(["--wipe"] if stack.anew else []))
    stack.fill(stack.env())


def await_redis(stack: Stack) -> None:
    await_own(stack, "redis")
    if stack.anew and (url := stack.elsewhere.get("REDIS_URL")):
        run_module(stack.venv, "devstack.wipe", stack.env(), "cache", url)


def await_s3(stack: Stack) -> None:
    await_own(stack, "s3")
    env = stack.env()
    if not s3.has_bucket(env["S3_ENDPOINT_URL"], env["S3_BUCKET"]):
        with step("bucket"):
            run_module(stack.venv, "devstack.bucket", env)


AWAIT = {"mysql": await_mysql, "redis": await_redis, "s3": await_s3}
PREPARE = {"mysql": prepare_mysql, "redis": prepare_redis, "s3": prepare_s3}


def note(stack: Stack) -> None:
    """For tests that kill services, and for the next start should we die without a word."""
    control.save(stack.control, stack.services)
    folders = [one.scratch for one in stack.services.values() if one.scratch]
    if stack.tests:
        folders.append(str(stack.folder))
    processes.record(stack.folder.name, [one.pid for one in stack.services.values()], folders)


def stop(stack: Stack) -> None:
    with undisturbed():
        services = control.load(stack.control) if stack.control.exists() else stack.services
        with ThreadPoolExecutor() as pool:
            list(pool.map(service.stop, services.values()))
        processes.forget(stack.folder.name)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it running."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def run_module(venv: str, module: str, env: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [python_env.python(venv), "-m", module, *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise Refusal(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def log(stack: Stack, name: str) -> Path:
    return stack.folder / "log" / f"{name}.log"
