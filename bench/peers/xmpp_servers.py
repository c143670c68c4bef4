"""Install ejabberd and prosody without root, and start them with their message archive in our MariaDB."""

import gzip
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
from pymysql.constants import CLIENT

from bench.peers.http_clients import connect
from bench.peers.xmpp_clients import ADDRESS, DOMAIN, OPEN_STREAM, PASSWORD, exchange
from devstack.console import CommandError
from devstack.install import debian
from devstack.services import processes, service
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


def prepare_ejabberd(root: Path, folder: Path, database: Database, users: list[str]) -> Service:
    """Prepare ejabberd with the schema, the virtual machine's flags and the pool of connections of its package."""
    database.create((root / "usr/share/ejabberd/sql/mysql.sql").read_text())
    with database.connect(database.name) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO users (username, password) VALUES (%s, %s)", [(user, PASSWORD) for user in users]
        )
    port, parts = processes.find_free_port(), urlsplit(database.url)
    (folder / "ejabberd.yml").write_text(f"""\
hosts: [{DOMAIN}]
loglevel: error
listen: [{{port: {port}, ip: "{ADDRESS}", module: ejabberd_c2s, access: all, shaper: none}}]
auth_method: [sql]
auth_password_format: plain
sql_type: mysql
sql_server: "{parts.hostname}"
sql_port: {parts.port}
sql_database: {database.name}
sql_username: {parts.username}
sql_password: {parts.password}
acme: {{auto: false}}
modules:
  mod_mam: {{db_type: sql, default: always}}
  mod_stream_mgmt: {{}}
""")
    erlang = next(one for one in (root / "usr/lib/erlang", Path("/usr/lib/erlang")) if list(one.glob("erts-*")))
    programs = max(erlang.glob("erts-*/bin"))
    libraries = [*root.glob("usr/lib/*-linux-gnu*"), root / "usr/lib/erlang/lib", Path("/usr/lib/erlang/lib")]
    return Service(
        name="ejabberd",
        label=f"ejabberd {read_version(root, 'ejabberd')}",
        argv=[
            str(programs / "erlexec"),
            *("-noinput", "+K", "true", "+P", "250000"),
            *("-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"),
        ],
        env={
            "ROOTDIR": str(erlang),
            "BINDIR": str(programs),
            "EMU": "beam",
            "PROGNAME": "erl",
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "ERL_LIBS": ":".join(str(one) for one in libraries),
            "LD_LIBRARY_PATH": debian.build_library_path(root) if root != Path("/") else "",
            "ERL_CRASH_DUMP": str(folder / "crash.dump"),
            "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
        },
        port=port,
        folder=str(folder),
        log=str(folder / "output.log"),
        url="",
    )


def prepare_prosody(root: Path, folder: Path, database: Database, users: list[str]) -> Service:
    """Prepare prosody; Nagle's algorithm is off, with which it delivers 20 pages a second to a client."""
    database.create()
    accounts = folder / "data" / DOMAIN / "accounts"
    accounts.mkdir(parents=True)
    for user in users:
        (accounts / f"{user}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
    port, parts = processes.find_free_port(), urlsplit(database.url)
    (folder / "prosody.cfg.lua").write_text(f"""\
run_as_root = true
daemonize = false
data_path = "{folder}/data"
log = {{ error = "*console" }}
interfaces = {{ "{ADDRESS}" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "saslauth", "smacks", "mam" }}
modules_disabled = {{ "offline", "s2s", "tls" }}
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
network_settings = {{ nagle = false }}
storage = {{ archive = "sql" }}
sql = {{ driver = "MySQL", database = "{database.name}", host = "{parts.hostname}", port = {parts.port},
  username = "{parts.username}", password = "{parts.password}" }}
default_archive_policy = true
archive_expires_after = "never"
VirtualHost "{DOMAIN}"
""")
    program = (root / "usr/bin/prosody").read_text()
    (folder / "prosody").write_text(re.sub(r"'(/usr/lib/prosody)", rf"'{str(root).rstrip('/')}\1", program))
    return Service(
        name="prosody",
        label=f"prosody {read_version(root, 'prosody')}",
        argv=[find_lua(root), str(folder / "prosody"), "--config", str(folder / "prosody.cfg.lua")],
        env=build_lua_environment(root),
        port=port,
        folder=str(folder),
        log=str(folder / "output.log"),
        url="",
    )


def find_lua(root: Path) -> str:
    """Return the interpreter that prosody's package uses."""
    first = (root / "usr/bin/prosody").read_text().split("\n", 1)[0]
    name = first.rpartition("/")[2].split()[-1]
    return str(next(one for one in (root / "usr/bin" / name, Path("/usr/bin") / name) if one.exists()))


def build_lua_environment(root: Path) -> dict[str, str]:
    """Return the environment in which Lua finds the modules that were unpacked."""
    if root == Path("/"):
        return {"PATH": os.environ["PATH"]}
    version = find_lua(root).rpartition("lua")[2]
    modules = root / "usr/share/lua" / version
    libraries = [f"{folder}/lua/{version}/?.so" for folder in root.glob("usr/lib/*-linux-gnu*")]
    return {
        "PATH": os.environ["PATH"],
        "LUA_PATH": f"{modules}/?.lua;{modules}/?/init.lua;;",
        "LUA_CPATH": ";".join([*libraries, ";"]),
        "LD_LIBRARY_PATH": debian.build_library_path(root),
    }


def read_version(root: Path, package: str) -> str:
    """Return the version of a package, as the changelog of Debian has it; '?' without one."""
    found = next(root.glob(f"usr/share/doc/{package}/changelog.Debian*"), None)
    if found is None:
        return "?"
    text = gzip.decompress(found.read_bytes()).decode("utf-8", "replace")
    version = re.search(r"\((?:\d+:)?([^)-]+)", text)
    return version[1] if version else "?"


EJABBERD = XmppServer(
    name="ejabberd",
    packages=("ejabberd", "erlang-p1-mysql"),
    files=("usr/share/ejabberd/sql/mysql.sql", "usr/lib/erlang/lib/p1_mysql-*", "usr/lib/erlang/erts-*"),
    prepare=prepare_ejabberd,
    count_archived="SELECT COUNT(*) FROM archive WHERE username LIKE 's%' OR username LIKE 'd%'",
)
PROSODY = XmppServer(
    name="prosody",
    packages=("prosody", "lua-dbi-mysql"),
    files=("usr/bin/prosody", "usr/lib/*/lua/5.*/dbd/mysql.so"),
    prepare=prepare_prosody,
    count_archived="SELECT COUNT(*) FROM prosodyarchive WHERE `user` LIKE 's%' OR `user` LIKE 'd%'",
)
