"""MySQL for bin/test --mysql: from PATH, or from Debian sid and run by its own loader, without root or Docker."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from devstack.console import CommandError
from devstack.install import debian
from devstack.services import mariadb
from devstack.services.mariadb import SBIN_FOLDERS, Server
from devstack.services.service import Service

LOADER_NAMES = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def prepare(folder: Path, log: Path, database: str, durable: bool) -> Service:
    """Return a MySQL service; see mariadb.prepare."""
    server = get_server()
    return mariadb.build_service(server, mariadb.ensure_template(server), folder, log, database, durable)


def get_server() -> Server:
    """Return a MySQL server that runs here; raise CommandError if there is none."""
    for server in list_candidates():
        if server.version and not server.is_mariadb:
            return server
    raise CommandError("no MySQL server on PATH, and no apt-get to download Debian's")


def list_candidates() -> Iterator[Server]:
    """Yield the server on PATH, then the one of Debian sid."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SBIN_FOLDERS])
    if program := shutil.which("mysqld", path=path):
        yield mariadb.build_server(Path(program), (program,), {})
    if sys.platform == "linux" and debian.is_available():
        yield build_sid_server(debian.unpack_from_sid("mysql-server-core"))


def build_sid_server(root: Path) -> Server:
    """Return the unpacked server, started by the loader of its own C library: the machine's may be too old for it."""
    loader = next((path for path in root.rglob(LOADER_NAMES[platform.machine()]) if path.is_file()), None)
    if loader is None:
        raise CommandError(f"no {LOADER_NAMES[platform.machine()]} in the unpacked packages")
    program = root / "usr/sbin/mysqld"
    argv = (str(loader), "--library-path", debian.build_library_path(root), str(program))
    return mariadb.build_server(program, argv, {})
