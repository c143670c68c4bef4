"""Install XMPP servers without root, and start them with their message archive in our MariaDB."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
from pymysql.constants import CLIENT

from bench.peers.http_clients import connect
from bench.peers.xmpp_clients import OPEN_STREAM, exchange
from devstack.console import CommandError
from devstack.install import debian
from devstack.services import service
from devstack.services.service import Service

START_SECONDS = 60.0


@dataclass(frozen=True)
class Database:
    """A database of its own for one server, in the MariaDB of this run."""

    url: str
    name: str

    def create(self, script: str = "") -> None:
        """Create it empty, and execute a script in it."""
        with self.connect("") as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name}; CREATE DATABASE {self.name}; USE {self.name}")
            cursor.execute(script or "SELECT 1")
            while cursor.nextset():
                pass

    def count(self, query: str) -> int:
        """Return the number that a query returns."""
        with self.connect(self.name) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            [[found]] = cursor.fetchall()
            return int(found)

    def connect(self, name: str) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """Open a connection that accepts several statements at once."""
        parts = urlsplit(self.url)
        return pymysql.connect(
            host=parts.hostname or "",
            port=parts.port or 0,
            user=parts.username,
            password=parts.password or "",
            database=name or None,
            client_flag=CLIENT.MULTI_STATEMENTS,
            autocommit=True,
        )


@dataclass(frozen=True)
class XmppServer:
    """A server program: its Debian packages, how to start it, and the rows of its archive.

    Attributes:
        packages: its own, and the one of its MySQL driver.
        files: patterns below a root of files of these packages.
        prepare: returns the service, not started. Its arguments: the root of the packages, an empty folder, the
            database, the names of the accounts to create.
        count_archived: the query of the number of messages in the archives of the users s… and d…
    """

    name: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    prepare: Callable[[Path, Path, Database, list[str]], Service]
    count_archived: str


def find_root(server: XmppServer, may_download: bool) -> Path:
    """Return the folder below which the packages of a server are: / or one to which they were unpacked.

    Raises:
        CommandError: they are not installed and cannot be downloaded.
    """
    unpacked = debian.PACKAGES_FOLDER / server.packages[0]
    if all(list(Path("/").glob(pattern)) for pattern in server.files):
        return Path("/")
    if (unpacked / "done").exists():
        return unpacked
    if not may_download:
        raise CommandError("not installed")
    if not debian.is_available():
        raise CommandError("not installed, and this machine has no apt-get to download it with")
    return debian.unpack_package(*server.packages)


def start(server: XmppServer, root: Path, folder: Path, database: Database, users: list[str]) -> Service:
    """Start a server with these accounts and wait until it accepts streams; the caller stops it.

    Raises:
        CommandError: it does not start; the text has the end of its log.
    """
    folder.mkdir(parents=True)
    prepared = server.prepare(root, folder, database, users)
    service.start(prepared)
    try:
        service.await_ready(prepared, is_ready, START_SECONDS)
    except CommandError:
        service.stop(prepared)
        raise
    return prepared


def is_ready(started: Service) -> bool:
    """Return whether a server answers the opening of a stream."""
    with connect(started.port) as sock:
        sock.settimeout(2)
        return bool(exchange(sock, OPEN_STREAM, b"</stream:features>"))


def read_version(root: Path, package: str) -> str:
    """Return the version of a package, as the changelog of Debian has it; '?' without one."""
    found = next(root.glob(f"usr/share/doc/{package}/changelog.Debian*"), None)
    if found is None:
        return "?"
    text = gzip.decompress(found.read_bytes()).decode("utf-8", "replace")
    version = re.search(r"\((?:\d+:)?([^)-]+)", text)
    return version[1] if version else "?"
