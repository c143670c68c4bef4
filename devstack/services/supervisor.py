"""The three services together: prepared side by side, started, stopped whatever happens."""

import contextlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from devstack.console import CommandError, print_line, time_step
from devstack.install import python_env, uv
from devstack.paths import LOCAL, ROOT, hold_lock
from devstack.services import app_environment, compose, control, mariadb, overrides, processes, s3, service, valkey
from devstack.services.readiness import READINESS_CHECKS
from devstack.services.service import Service

URL_VARIABLES = {"mysql": "DATABASE_URL", "redis": "REDIS_URL", "s3": "S3_ENDPOINT_URL"}


@dataclass
class Stack:
    """One run of the services: whose Python, where their data and logs are, and what became of them."""

    venv: str
    folder: Path
    tests: bool
    mysql_factory: Callable[..., Service] = mariadb.prepare
    wipe: bool = False  # empty also what is elsewhere
    on_mysql_ready: Callable[[dict[str, str]], None] = lambda _: (
        None
    )  # done as soon as MySQL answers: the cache takes two seconds
    services: dict[str, Service] = field(default_factory=dict)
    external_urls: dict[str, str] = field(default_factory=dict)  # variable -> URL of a service that is not ours

    @property
    def starts_empty(self) -> bool:
        return self.tests or self.wipe

    @property
    def control_file(self) -> Path:
        return self.folder / "control.json"

    def build_env(self) -> dict[str, str]:
        urls = {URL_VARIABLES[name]: one.url for name, one in self.services.items()} | self.external_urls
        return app_environment.build(self.venv, urls, self.tests) | {"DEVSTACK_CONTROL": str(self.control_file)}


@contextlib.contextmanager
def run_stack(stack: Stack) -> Iterator[dict[str, str]]:
    """Everything set up and answering; gives the app's environment. Afterwards all of it is stopped."""
    processes.clear_stale()
    stack.control_file.unlink(missing_ok=True)
    stack.external_urls = overrides.read_urls(stack.tests)
    try:
        with hold_lock(LOCAL / "setup.lock", busy=lambda: print_line("  waiting for another set-up to finish …")):
            prepare(stack)
        start(stack)
        yield stack.build_env()
    finally:
        stop(stack)


def prepare(stack: Stack) -> None:
    """Programs and data directories; nothing is started yet."""
    with ThreadPoolExecutor() as pool:
        database = pool.submit(prepare_mysql, stack)
        uv.get_binary()
        storage = pool.submit(prepare_s3, stack)
        with time_step(f"Python packages, {python_env.LOCK_FILES[stack.venv]}"):
            python_env.ensure(stack.venv)
        prepare_redis(stack)
    database.result()
    storage.result()


def prepare_mysql(stack: Stack) -> None:
    def prepared() -> Service:
        with time_step("database server at hand"):
            return stack.mysql_factory(
                stack.folder,
                get_log_path(stack, "mysql"),
                "zhenxun_test" if stack.tests else "zhenxun",
                not stack.tests,
            )

    prepare_service(stack, "mysql", prepared)


def prepare_redis(stack: Stack) -> None:
    prepare_service(
        stack, "redis", lambda: valkey.prepare(stack.venv, stack.folder, get_log_path(stack, "redis"), not stack.tests)
    )


def prepare_s3(stack: Stack) -> None:
    def prepared() -> Service:
        with time_step("Python packages, requirements-s3.txt"):
            python_env.ensure("venv-s3")
        return s3.prepare(stack.folder, get_log_path(stack, "s3"))

    prepare_service(stack, "s3", prepared)


def prepare_service(stack: Stack, name: str, prepare_own: Callable[[], Service]) -> None:
    """The developer's own service, else a private one, else a container's."""
    if URL_VARIABLES[name] in stack.external_urls:
        return
    try:
        stack.services[name] = prepare_own()
    except CommandError as refusal:
        url = compose.start_container(name, stack.tests)
        if not url:
            raise
        print_line(f"  {name}: {refusal}\n  using localstack-compose.yml instead")
        stack.external_urls[URL_VARIABLES[name]] = url


def start(stack: Stack) -> None:
    """Starts them here, in the thread that lives on (see processes), and waits for all at the same time."""
    for one in stack.services.values():
        service.start(one)
    record_services(stack)
    with ThreadPoolExecutor() as pool:
        waiting = {name: pool.submit(AWAIT_FUNCTIONS[name], stack) for name in URL_VARIABLES}
    for name, waited in waiting.items():
        if waited.exception() and name in stack.services and has_lost_port(stack.services[name]):
            restart_on_new_port(stack, name)
        else:
            waited.result()


def has_lost_port(one: Service) -> bool:
    return processes.get_start_time(one.pid) != one.start_time and not processes.is_port_free(one.port)


def restart_on_new_port(stack: Stack, name: str) -> None:
    """Another program took its port between our look and its start."""
    service.stop(stack.services[name])
    PREPARE_FUNCTIONS[name](stack)
    service.start(stack.services[name])
    record_services(stack)
    AWAIT_FUNCTIONS[name](stack)


def await_own_service(stack: Stack, name: str) -> None:
    if name in stack.services:
        with time_step(stack.services[name].label):
            service.await_ready(stack.services[name], READINESS_CHECKS[name])


def await_mysql(stack: Stack) -> None:
    await_own_service(stack, "mysql")
    if url := stack.external_urls.get("DATABASE_URL"):
        with time_step("database"):
            run_module(
                stack.venv,
                "devstack.services.reset",
                stack.build_env(),
                "database",
                url,
                *(["--wipe"] if stack.starts_empty else []),
            )
    stack.on_mysql_ready(stack.build_env())


def await_redis(stack: Stack) -> None:
    await_own_service(stack, "redis")
    if stack.starts_empty and (url := stack.external_urls.get("REDIS_URL")):
        run_module(stack.venv, "devstack.services.reset", stack.build_env(), "cache", url)


def await_s3(stack: Stack) -> None:
    await_own_service(stack, "s3")
    env = stack.build_env()
    if not s3.has_bucket(env["S3_ENDPOINT_URL"], env["S3_BUCKET"]):
        with time_step("bucket"):
            run_module(stack.venv, "devstack.services.bucket", env)


AWAIT_FUNCTIONS = {"mysql": await_mysql, "redis": await_redis, "s3": await_s3}
PREPARE_FUNCTIONS = {"mysql": prepare_mysql, "redis": prepare_redis, "s3": prepare_s3}


def record_services(stack: Stack) -> None:
    """For tests that kill services, and for the next start should we die without a word."""
    control.save_services(stack.control_file, stack.services)
    folders = [one.scratch_folder for one in stack.services.values() if one.scratch_folder]
    if stack.tests:
        folders.append(str(stack.folder))
    processes.record_children(stack.folder.name, [one.pid for one in stack.services.values()], folders)


def stop(stack: Stack) -> None:
    with ignore_signals():
        services = control.load_services(stack.control_file) if stack.control_file.exists() else stack.services
        with ThreadPoolExecutor() as pool:
            list(pool.map(service.stop, services.values()))
        processes.delete_record(stack.folder.name)


@contextlib.contextmanager
def ignore_signals() -> Iterator[None]:
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
        [python_env.get_python(venv), "-m", module, *arguments], cwd=ROOT, env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise CommandError(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def get_log_path(stack: Stack, name: str) -> Path:
    return stack.folder / "log" / f"{name}.log"
