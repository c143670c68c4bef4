"""bin/dev, and the commands that use its services: bin/migrate, bin/seed, bin/staff, bin/chalice."""

import argparse
import contextlib
import fcntl
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager

from devstack.cli import banner
from devstack.console import CommandError, print_line, time_step
from devstack.install import python_env
from devstack.paths import DEV, LOCAL, ROOT, hold_lock
from devstack.services import app_environment, processes
from devstack.services.supervisor import Stack, run_module, run_stack

LOCK_FILE = DEV / "lock"
DATA_FOLDERS = ("mysql", "redis", "s3")
CHALICE_PORT = 8000  # the default of `chalice local`


def run_dev(arguments: list[str]) -> int:
    """bin/dev: run the services, load demo data and serve the app until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="bin/dev", description="Run the services, load demo data and serve the app until Ctrl-C."
    )
    parser.add_argument("--port", type=int, choices=range(1, 65536), metavar="PORT", default=8018)
    parser.add_argument("--reset", action="store_true", help="start with empty databases")
    parser.add_argument("--services", action="store_true", help="run only the services, to be used by `chalice local`")
    options = parser.parse_args(arguments)
    if not options.services and not processes.is_port_free(options.port):
        raise CommandError(
            f"port {options.port} is in use; stop the program that uses it, or run: bin/dev --port {options.port + 1}"
        )
    started = time.monotonic()
    with hold_dev_lock():
        if options.reset:
            delete_data()
        with run_dev_services(wipe=options.reset) as env:
            base_url = f"http://127.0.0.1:{options.port}"
            if options.services:
                load_demo_data(env, base_url)
                print_line(banner.format_service_urls(env))
                signal.pause()
            with run_app(env, options.port) as server:  # it starts while the data is loaded
                load_demo_data(env, base_url)
                return wait_for_app(server, options.port, started)


@contextlib.contextmanager
def hold_dev_lock() -> Iterator[None]:
    """Hold the lock of this checkout; raise CommandError if another command holds it."""
    with hold_lock(LOCK_FILE, busy=raise_already_running):
        yield


def raise_already_running() -> None:
    """Raise the CommandError for a lock that another command holds."""
    raise CommandError("another bin/dev (or bin/migrate, bin/seed) of this checkout is running: stop it first")


def delete_data() -> None:
    """Delete the data of the services and the file of demo accounts."""
    processes.clear_stale()
    for name in DATA_FOLDERS:
        shutil.rmtree(DEV / name, ignore_errors=True)
    (LOCAL / "demo.json").unlink(missing_ok=True)


@contextlib.contextmanager
def run_dev_services(wipe: bool = False) -> Iterator[dict[str, str]]:
    """Run the services and the fakes, migrate the database, and yield the app's environment."""
    with (
        run_stack(Stack("venv", DEV, tests=False, wipe=wipe, on_mysql_ready=run_migrations)) as env,
        run_fakes(env) as urls,
    ):
        env.update(urls)
        app_environment.write_env_file(env)
        try:
            yield env
        finally:
            app_environment.ENV_FILE.unlink(missing_ok=True)


def run_migrations(env: dict[str, str]) -> None:
    """Migrate the database."""
    try:
        with time_step("migrations"):
            run_module("venv", "chalicelib.migrations", env)
    except CommandError as error:
        raise CommandError(f"{error}\nTo start with empty databases: bin/dev --reset") from error


def load_demo_data(env: dict[str, str], base_url: str, *arguments: str) -> None:
    """Run devstack.demo.seed."""
    env = {"PUBLIC_URL": base_url, **env}
    with time_step("demo data"):
        run_module("venv", "devstack.demo.seed", env, "--base-url", base_url, *arguments)


@contextlib.contextmanager
def run_fakes(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """Run fakes of WeChat and WeChat Pay, which know the demo hospitals, and of captchas; yield their URLs."""
    api, pay, captcha = (processes.find_free_port() for _ in range(3))
    with (
        run_module_in_background("devstack.fakes.wechat", "--port", str(api), env=env),
        run_module_in_background("devstack.fakes.wechat_pay", "--port", str(pay), env=env),
        run_module_in_background("devstack.fakes.tencent_captcha", "--port", str(captcha), env=env),
    ):
        urls = dict.fromkeys(("WECHAT_API_URL", "WECHAT_OPEN_URL"), f"http://127.0.0.1:{api}")
        urls["WECHAT_PAY_URL"] = f"http://127.0.0.1:{pay}"
        yield {**urls, "CAPTCHA_ENDPOINT_URL": f"http://127.0.0.1:{captcha}"}


def run_app(env: dict[str, str], port: int) -> AbstractContextManager["subprocess.Popen[bytes]"]:
    """Run the app's server in the background."""
    env = {**dict.fromkeys(("WS_ENDPOINT_URL", "PUBLIC_URL"), f"http://127.0.0.1:{port}"), **env}
    return run_module_in_background("devstack.apigateway.server", "--port", str(port), env=env)


@contextlib.contextmanager
def run_module_in_background(module: str, *arguments: str, env: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a Python module in the background and end it afterwards."""
    prefix = processes.build_parent_death_prefix(signal.SIGTERM)
    command = [*prefix, python_env.get_python("venv"), "-m", module, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    start_time = processes.get_start_time(process.pid)
    try:
        yield process
    finally:
        processes.end(process.pid, start_time)
        process.poll()


def wait_for_app(server: "subprocess.Popen[bytes]", port: int, started: float) -> int:
    """Wait until the app serves, print the banner, and wait for its end; return the exit code of bin/dev."""
    with time_step("app"):
        await_port(server, port)
    print_line(f"  ready after {time.monotonic() - started:.1f} s\n\n{banner.format_banner()}")
    code = server.wait()
    print_line(f"bin/dev: the app ended unexpectedly with exit code {code}")
    return 1


def await_port(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the server accepts connections; raise CommandError if it ends before."""
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise CommandError("the app did not start; see its output above")


def migrate(_arguments: list[str]) -> int:
    """bin/migrate: migrate the database of bin/dev."""
    with open_environment() as env:
        run_migrations(env)
    return 0


def seed(arguments: list[str]) -> int:
    """bin/seed: load demo data into the database of bin/dev."""
    with open_environment() as env:
        load_demo_data(env, banner.find_base_url() or "http://127.0.0.1:8018", *arguments)
    return 0


def create_staff(arguments: list[str]) -> int:
    """bin/staff: create a member of staff in the database of bin/dev."""
    with open_environment() as env:
        command = [python_env.get_python("venv"), "-m", "devstack.cli.staff", *arguments]
        return subprocess.run(command, cwd=ROOT, env=env).returncode


def run_chalice(arguments: list[str]) -> int:
    """bin/chalice: run Chalice's command on the services of bin/dev; its `local` serves WebSockets too."""
    url = f"http://127.0.0.1:{find_port(arguments)}"
    with open_environment() as env:
        command = [python_env.get_python("venv"), "-m", "devstack.apigateway.chalice_command", *arguments]
        env = {**env, **dict.fromkeys(("WS_ENDPOINT_URL", "PUBLIC_URL"), url)}
        return subprocess.run(command, cwd=ROOT, env=env).returncode


def find_port(arguments: list[str]) -> int:
    """Return the port at which `chalice local` serves with these arguments."""
    parser = argparse.ArgumentParser(prog="bin/chalice", add_help=False, allow_abbrev=False)
    parser.add_argument("--port", type=int, default=CHALICE_PORT)
    return int(parser.parse_known_args(arguments)[0].port)


@contextlib.contextmanager
def open_environment() -> Iterator[dict[str, str]]:
    """Yield the environment of the running bin/dev, or run the services meanwhile if there is none."""
    if is_running() and app_environment.ENV_FILE.exists():
        yield app_environment.read_env_file()
        return
    with hold_dev_lock(), run_dev_services() as env:
        yield env


def is_running() -> bool:
    """Return whether another process holds the lock of bin/dev."""
    LOCK_FILE.parent.mkdir(parents=True, exist_ok=True)
    with LOCK_FILE.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
