"""The three services of a run: prepare them concurrently, start them, and always stop them."""

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
    """A run of the services.

    Attributes:
        venv: the Python environment that uses them.
        folder: of their data and logs.
        tests: True for the tests, which start with empty data.
        wipe: start with empty data in external services, too.
        on_mysql_ready: called with the environment as soon as MySQL is ready, while the cache is still starting.
        external_urls: the URLs of services that are not ours, by variable.
    """

    venv: str
    folder: Path
    tests: bool
    mysql_factory: Callable[..., Service] = mariadb.prepare
    wipe: bool = False
    on_mysql_ready: Callable[[dict[str, str]], None] = lambda _: None
    services: dict[str, Service] = field(default_factory=dict)
    external_urls: dict[str, str] = field(default_factory=dict)

    @property
    def starts_empty(self) -> bool:
        """True if external services are emptied."""
        return self.tests or self.wipe

    @property
    def control_file(self) -> Path:
        """The file with the state of the services; see control.py."""
        return self.folder / "control.json"

    def build_env(self) -> dict[str, str]:
        """Return the environment of programs that use the services."""
        urls = {URL_VARIABLES[name]: one.url for name, one in self.services.items()} | self.external_urls
        return app_environment.build(self.venv, urls, self.tests) | {"DEVSTACK_CONTROL": str(self.control_file)}


@contextlib.contextmanager
def run_stack(stack: Stack) -> Iterator[dict[str, str]]:
    """Set up and start the services, yield the app's environment, and stop the services afterwards."""
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
    """Install programs and create data folders; start nothing."""
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
    """Prepare the database server."""

    def prepare_own() -> Service:
        with time_step("database server found"):
            database = "zhenxun_test" if stack.tests else "zhenxun"
            return stack.mysql_factory(stack.folder, get_log_path(stack, "mysql"), database, not stack.tests)

    prepare_service(stack, "mysql", prepare_own)


def prepare_redis(stack: Stack) -> None:
    """Prepare the cache."""
    prepare_service(
        stack, "redis", lambda: valkey.prepare(stack.venv, stack.folder, get_log_path(stack, "redis"), not stack.tests)
    )


def prepare_s3(stack: Stack) -> None:
    """Prepare the S3 server."""

    def prepare_own() -> Service:
        with time_step("Python packages, requirements-s3.txt"):
            python_env.ensure("venv-s3")
        return s3.prepare(stack.folder, get_log_path(stack, "s3"))

    prepare_service(stack, "s3", prepare_own)


def prepare_service(stack: Stack, name: str, prepare_own: Callable[[], Service]) -> None:
    """Use the external service if there is one, otherwise a private one, otherwise a container.

    Raises:
        CommandError: none of them is available.
    """
    if URL_VARIABLES[name] in stack.external_urls:
        return
    try:
        stack.services[name] = prepare_own()
    except CommandError as error:
        url = compose.start_container(name, stack.tests)
        if not url:
            raise
        print_line(f"  {name}: {error}\n  using localstack-compose.yml instead")
        stack.external_urls[URL_VARIABLES[name]] = url


def start(stack: Stack) -> None:
    """Start the services in this thread (see processes.py), and wait for all of them concurrently."""
    for one in stack.services.values():
        service.start(one)
    record_services(stack)
    with ThreadPoolExecutor() as pool:
        futures = {name: pool.submit(AWAIT_FUNCTIONS[name], stack) for name in URL_VARIABLES}
    for name, future in futures.items():
        if future.exception() and name in stack.services and has_lost_port(stack.services[name]):
            restart_on_new_port(stack, name)
        else:
            future.result()


def has_lost_port(one: Service) -> bool:
    """Return whether a service has ended and another program uses its port."""
    return processes.get_start_time(one.pid) != one.start_time and not processes.is_port_free(one.port)


def restart_on_new_port(stack: Stack, name: str) -> None:
    """Start a service on another port, because a program took its port before it started."""
    service.stop(stack.services[name])
    PREPARE_FUNCTIONS[name](stack)
    service.start(stack.services[name])
    record_services(stack)
    AWAIT_FUNCTIONS[name](stack)


def await_own_service(stack: Stack, name: str) -> None:
    """Wait until a private service is ready."""
    if name in stack.services:
        with time_step(stack.services[name].label):
            service.await_ready(stack.services[name], READINESS_CHECKS[name])


def await_mysql(stack: Stack) -> None:
    """Wait for the database server; create the database if the server is external."""
    await_own_service(stack, "mysql")
    if url := stack.external_urls.get("DATABASE_URL"):
        with time_step("database"):
            wipe = ["--wipe"] if stack.starts_empty else []
            run_module(stack.venv, "devstack.services.reset", stack.build_env(), "database", url, *wipe)
    stack.on_mysql_ready(stack.build_env())


def await_redis(stack: Stack) -> None:
    """Wait for the cache; flush it if it is external and the run starts empty."""
    await_own_service(stack, "redis")
    if stack.starts_empty and (url := stack.external_urls.get("REDIS_URL")):
        run_module(stack.venv, "devstack.services.reset", stack.build_env(), "cache", url)


def await_s3(stack: Stack) -> None:
    """Wait for the S3 server and create the bucket."""
    await_own_service(stack, "s3")
    env = stack.build_env()
    if not s3.has_bucket(env["S3_ENDPOINT_URL"], env["S3_BUCKET"]):
        with time_step("bucket"):
            run_module(stack.venv, "devstack.services.bucket", env)


AWAIT_FUNCTIONS = {"mysql": await_mysql, "redis": await_redis, "s3": await_s3}
PREPARE_FUNCTIONS = {"mysql": prepare_mysql, "redis": prepare_redis, "s3": prepare_s3}


def record_services(stack: Stack) -> None:
    """Record the services for tests that kill them, and for the next start if this process is killed."""
    control.save_services(stack.control_file, stack.services)
    folders = [one.scratch_folder for one in stack.services.values() if one.scratch_folder]
    if stack.tests:
        folders.append(str(stack.folder))
    processes.record_children(stack.folder.name, [one.pid for one in stack.services.values()], folders)


def stop(stack: Stack) -> None:
    """Stop the services, as recorded in the control file: tests may have restarted them."""
    with ignore_signals():
        services = control.load_services(stack.control_file) if stack.control_file.exists() else stack.services
        with ThreadPoolExecutor() as pool:
            list(pool.map(service.stop, services.values()))
        processes.delete_record(stack.folder.name)


@contextlib.contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore signals, so that a second Ctrl-C does not leave services running."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, handlers, strict=True):
            signal.signal(number, handler)


def run_module(venv: str, module: str, env: dict[str, str], *arguments: str) -> None:
    """Run a Python module; raise CommandError with its output if it fails."""
    command = [python_env.get_python(venv), "-m", module, *arguments]
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"{module} failed:\n{result.stdout[-2000:]}{result.stderr[-4000:]}")


def get_log_path(stack: Stack, name: str) -> Path:
    """Return the path of a service's log."""
    return stack.folder / "log" / f"{name}.log"
