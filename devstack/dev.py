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

from devstack import appenv, banner, processes, python_env
from devstack.paths import DEV, LOCAL, ROOT, locked
from devstack.say import Refusal, line, step
from devstack.supervisor import Stack, run_module, running

LOCK = DEV / "lock"
DATA = ("mysql", "redis", "s3")


def dev(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/dev", description="Services, demo data and the app until Ctrl-C.")
    parser.add_argument("--port", type=int, choices=range(1, 65536), metavar="PORT", default=8018)
    parser.add_argument("--reset", action="store_true", help="begin with empty databases")
    parser.add_argument("--services", action="store_true", help="the services alone, for `chalice local` beside it")
    options = parser.parse_args(arguments)
    if not options.services and not processes.port_is_free(options.port):
        raise Refusal(f"port {options.port} is in use; stop what holds it, or: bin/dev --port {options.port + 1}")
    begun = time.monotonic()
    with alone():
        if options.reset:
            reset()
        with environment_of_dev(wipe=options.reset) as env:
            base_url = f"http://127.0.0.1:{options.port}"
            if options.services:
                fill(env, base_url)
                line(banner.services(env))
                signal.pause()
            with app(env, options.port) as server:  # it imports while the database is filled
                fill(env, base_url)
                return serve(server, options.port, begun)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    with locked(LOCK, busy=already_running):
        yield


def already_running() -> None:
    raise Refusal("another bin/dev (or bin/migrate, bin/seed) of this checkout is running: stop it first")


def reset() -> None:
    processes.clear_stale()
    for name in DATA:
        shutil.rmtree(DEV / name, ignore_errors=True)
    (LOCAL / "demo.json").unlink(missing_ok=True)


@contextlib.contextmanager
def environment_of_dev(wipe: bool = False) -> Iterator[dict[str, str]]:
    with running(Stack("venv", DEV, tests=False, wipe=wipe, fill=migrated)) as env, wechat(env) as beside:
        env.update(beside)
        appenv.publish(env)
        try:
            yield env
        finally:
            appenv.FILE.unlink(missing_ok=True)


def migrated(env: dict[str, str]) -> None:
    try:
        with step("migrations"):
            run_module("venv", "chalicelib.migrations", env)
    except Refusal as refusal:
        raise Refusal(f"{refusal}\nTo begin with empty databases: bin/dev --reset") from refusal


def fill(env: dict[str, str], base_url: str, *arguments: str) -> None:
    with step("demo data"):
        run_module("venv", "devstack.demo", env, "--base-url", base_url, *arguments)


@contextlib.contextmanager
def wechat(env: dict[str, str]) -> Iterator[dict[str, str]]:
    """A WeChat of ours, and its Pay, that know the demo hospitals; the variables that have the app speak to them."""
    api, pay = processes.free_port(), processes.free_port()
    with (
        running_module("devstack.wechat", "--port", str(api), env=env),
        running_module("devstack.wechat_pay", "--port", str(pay), env=env),
    ):
        urls = dict.fromkeys(("WECHAT_API_URL", "WECHAT_OPEN_URL"), f"http://127.0.0.1:{api}")
        yield {**urls, "WECHAT_PAY_URL": f"http://127.0.0.1:{pay}"}


@contextlib.contextmanager
def app(env: dict[str, str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    env = {**dict.fromkeys(("WS_ENDPOINT_URL", "PUBLIC_URL"), f"http://127.0.0.1:{port}"), **env}
    with running_module("devstack.server", "--port", str(port), env=env) as server:
        yield server


@contextlib.contextmanager
def running_module(module: str, *arguments: str, env: dict[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    command = [*processes.tied(signal.SIGTERM), python_env.python("venv"), "-m", module, *arguments]
    server = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    born = processes.birth(server.pid)
    try:
        yield server
    finally:
        processes.end(server.pid, born)
        server.poll()


def serve(server: "subprocess.Popen[bytes]", port: int, begun: float) -> int:
    with step("app"):
        await_port(server, port)
    line(f"  ready after {time.monotonic() - begun:.1f} s\n\n{banner.text()}")
    code = server.wait()
    line(f"bin/dev: the app ended by itself, with code {code}")
    return 1


def await_port(server: "subprocess.Popen[bytes]", port: int) -> None:
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise Refusal("the app did not start; see what it said above")


def migrate(_arguments: list[str]) -> int:
    with either_environment() as env:
        migrated(env)
    return 0


def seed(arguments: list[str]) -> int:
    with either_environment() as env:
        fill(env, banner.base_url() or "http://127.0.0.1:8018", *arguments)
    return 0


def staff(arguments: list[str]) -> int:
    with either_environment() as env:
        return subprocess.run(
            [python_env.python("venv"), "-m", "devstack.staff", *arguments], cwd=ROOT, env=env
        ).returncode


@contextlib.contextmanager
def either_environment() -> Iterator[dict[str, str]]:
    """That of the bin/dev which is running, else services of its own for as long as it takes."""
    if is_running() and appenv.FILE.exists():
        yield appenv.published()
        return
    with alone(), environment_of_dev() as env:
        yield env


def is_running() -> bool:
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
