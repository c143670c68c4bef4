"""bin/dev and what works beside it: bin/migrate, bin/seed."""

import argparse
import contextlib
import fcntl
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

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
    parser = argparse.ArgumentParser(prog="bin/dev", description="Services, demo data and the app until Ctrl-C.")
    parser.add_argument("--port", type=int, choices=range(1, 65536), metavar="PORT", default=8018)
    parser.add_argument("--reset", action="store_true", help="begin with empty databases")
    parser.add_argument("--services", action="store_true", help="the services alone, for `chalice local` beside it")
    options = parser.parse_args(arguments)
    if not options.services and not processes.is_port_free(options.port):
        raise CommandError(f"port {options.port} is in use; stop what holds it, or: bin/dev --port {options.port + 1}")
    begun = time.monotonic()
    with hold_dev_lock():
        if options.reset:
            delete_data()
        with run_dev_services(wipe=options.reset) as env:
            base_url = f"http://127.0.0.1:{options.port}"
            if options.services:
                load_demo_data(env, base_url)
                print_line(banner.format_service_urls(env))
                signal.pause()
            with run_app(env, options.port) as server:  # it imports while the database is filled
                load_demo_data(env, base_url)
                return wait_for_app(server, options.port, begun)


@contextlib.contextmanager
def hold_dev_lock() -> Iterator[None]:
    with hold_lock(LOCK_FILE, busy=raise_already_running):
        yield


def raise_already_running() -> None:
    raise CommandError("another bin/dev (or bin/migrate, bin/seed) of this checkout is running: stop it first")


def delete_data() -> None:
    processes.clear_stale()
    for name in DATA_FOLDERS:
        shutil.rmtree(DEV / name, ignore_errors=True)
    (LOCAL / "demo.json").unlink(missing_ok=True)


@contextlib.contextmanager
def run_dev_services(wipe: bool = False) -> Iterator[dict[str, str]]:
    with (
        run_stack(Stack("venv", DEV, tests=False, wipe=wipe, on_mysql_ready=run_migrations)) as env,
        run_wechat_fakes(env) as beside,
    ):
        env.update(beside)
        app_environment.write_env_file(env)
        try:
            yield env
        finally:
            app_environment.ENV_FILE.unlink(missing_ok=True)


def run_migrations(env: dict[str, str]) -> None:
    try:
        with time_step("migrations"):
            run_module("venv", "chalicelib.migrations", env)
    except CommandError as refusal:
        raise CommandError(f"{refusal}\nTo begin with empty databases: bin/dev --reset") from refusal


def load_demo_data(env: dict[str, str], base_url: str, *arguments: str) -> None:
    with time_step("demo data"):
        run_module("venv", "devstack.demo.seed", env, "--base-url", base_url, *arguments)


@contextlib.contextmanager
def run_wechat_fakes(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """A WeChat of ours, and its Pay, that know the demo hospitals; the variables that have the app speak to them."""
    api, pay = processes.find_free_port(), processes.find_free_port()
    with (
        run_module_in_background("devstack.fakes.wechat", "--port", str(api), env=env),
        run_module_in_background("devstack.fakes.wechat_pay", "--port", str(pay), env=env),
    ):
        urls = dict.fromkeys(("WECHAT_API_URL", "WECHAT_OPEN_URL"), f"http://127.0.0.1:{api}")
        yield {**urls, "WECHAT_PAY_URL": f"http://127.0.0.1:{pay}"}


@contextlib.contextmanager
def run_app(env: dict[str, str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    env = {**dict.fromkeys(("WS_ENDPOINT_URL", "PUBLIC_URL"), f"http://127.0.0.1:{port}"), **env}
    with run_module_in_background("devstack.apigateway.server", "--port", str(port), env=env) as server:
        yield server


@contextlib.contextmanager
def run_module_in_background(module: str, *arguments: str, env: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    command = [
        *processes.build_parent_death_prefix(signal.SIGTERM),
        python_env.get_python("venv"),
        "-m",
        module,
        *arguments,
    ]
    server = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    born = processes.get_start_time(server.pid)
    try:
        yield server
    finally:
        processes.end(server.pid, born)
        server.poll()


def wait_for_app(server: "subprocess.Popen[bytes]", port: int, begun: float) -> int:
    with time_step("app"):
        await_port(server, port)
    print_line(f"  ready after {time.monotonic() - begun:.1f} s\n\n{banner.format_banner()}")
    code = server.wait()
    print_line(f"bin/dev: the app ended by itself, with code {code}")
    return 1


def await_port(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise CommandError("the app did not start; see what it said above")


def migrate(_arguments: list[str]) -> int:
    with open_environment() as env:
        run_migrations(env)
    return 0


def seed(arguments: list[str]) -> int:
    with open_environment() as env:
        load_demo_data(env, banner.find_base_url() or "http://127.0.0.1:8018", *arguments)
    return 0


def create_staff(arguments: list[str]) -> int:
    with open_environment() as env:
        return subprocess.run(
            [python_env.get_python("venv"), "-m", "devstack.cli.staff", *arguments], cwd=ROOT, env=env
        ).returncode


def run_chalice(arguments: list[str]) -> int:
    """bin/chalice ARGUMENTS: Chalice's own command on the services of bin/dev; `local` serves WebSockets too."""
    _, _, port = " ".join(arguments).partition("--port ")
    url = f"http://127.0.0.1:{port.split()[0] if port else CHALICE_PORT}"
    with open_environment() as env:
        command = [python_env.get_python("venv"), "-m", "devstack.apigateway.chalice_command", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env={**env, **dict.fromkeys(("WS_ENDPOINT_URL", "PUBLIC_URL"), url)}
        ).returncode


@contextlib.contextmanager
def open_environment() -> Iterator[dict[str, str]]:
    """That of the bin/dev which is running, else services of its own for as long as it takes."""
    if is_running() and app_environment.ENV_FILE.exists():
        yield app_environment.read_env_file()
        return
    with hold_dev_lock(), run_dev_services() as env:
        yield env


def is_running() -> bool:
    LOCK_FILE.parent.mkdir(parents=True, exist_ok=True)
    with LOCK_FILE.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
