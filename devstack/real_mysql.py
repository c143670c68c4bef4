"""MySQL itself, for bin/test --mysql: from PATH, or from Debian sid, run by its own loader; no root, no Docker."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from devstack import debian, mariadb
from devstack.mariadb import SBIN, Server
from devstack.say import Refusal
from devstack.service import Service

LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "aarch64": "ld-linux-aarch64.so.1"}


def prepare(folder: Path, log: Path, database: str, durable: bool) -> Service:
    server = found()
    return mariadb.over(server, mariadb.template_of(server), folder, log, database, durable)


def found() -> Server:
    """A MySQL server that runs here. Raises Refusal with the reason where there is none."""
    for server in candidates():
        if server.version and not server.is_mariadb:
            return server
    raise Refusal("no MySQL server on PATH, and this machine has no apt-get to fetch Debian's with")


def candidates() -> Iterator[Server]:
    path = os.pathsep.join([os.environ.get("PATH", ""), *SBIN])
    if program := shutil.which("mysqld", path=path):
        yield mariadb.server_at(Path(program), (program,), {})
    if sys.platform == "linux" and debian.available():
        yield from_sid(debian.unpacked_from_sid("mysql-server-core"))


def from_sid(root: Path) -> Server:
    """The machine's C library may be older than this server wants: it brings its own, and is started through it."""
    loader = next((path for path in root.rglob(LOADERS[platform.machine()]) if path.is_file()), None)
    if loader is None:
        raise Refusal(f"no {LOADERS[platform.machine()]} in what was unpacked")
    program = root / "usr/sbin/mysqld"
    argv = (str(loader), "--library-path", debian.libraries(root), str(program))
    return mariadb.server_at(program, argv, {})
