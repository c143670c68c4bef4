"""A private database server on loopback: MariaDB or MySQL from this machine, or MariaDB from Debian's archive."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from devstack.console import CommandError
from devstack.install import debian
from devstack.paths import LOCAL, write_atomically
from devstack.services import processes
from devstack.services.service import Service, read_version

SQL_MODE = (  # the default of MySQL 8.4
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
ACCOUNT_SQL = """
CREATE DATABASE zhenxun CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
CREATE DATABASE zhenxun_test CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
CREATE USER 'zhenxun'@'%' IDENTIFIED BY 'zhenxun';
GRANT ALL ON *.* TO 'zhenxun'@'%' WITH GRANT OPTION;
"""
SMALL_REDO_LOG_SIZE = "16M"  # small, because it is copied for each run of the tests
SYSTEM_TABLE_SCRIPTS = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
SBIN_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin")


@dataclass(frozen=True)
class Server:
    """A server program: its command, the output of --version, its environment and its folder of messages."""

    argv: tuple[str, ...]
    version: str
    env: dict[str, str]
    share_folder: Path

    @property
    def is_mariadb(self) -> bool:
        """True for MariaDB, False for MySQL."""
        return "MariaDB" in self.version

    @property
    def label(self) -> str:
        """The product and its version."""
        number = re.search(r"Ver (\d+\.\d+\.\d+)", self.version)
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {number[1] if number else '?'}"


def prepare(folder: Path, log: Path, database: str, durable: bool) -> Service:
    """Return a service, not started, with its data in folder/mysql, which is copied from the template if it is new.

    Args:
        durable: flush the log to disk at each commit.
    """
    server, template = get_first_working_server()
    return build_service(server, template, folder, log, database, durable)


def build_service(server: Server, template: Path, folder: Path, log: Path, database: str, durable: bool) -> Service:
    """Return a service of this server, as prepare does."""
    data, port = folder / "mysql", processes.find_free_port()
    if not data.exists():
        copy_atomically(template, data)
    socket_folder = tempfile.mkdtemp(prefix="zx-")  # the path of a socket has at most 107 bytes
    return Service(
        name="mysql",
        label=server.label,
        argv=[*server.argv, *build_options(server, data, socket_folder, port, durable)],
        env=server.env,
        port=port,
        folder=str(data),
        log=str(log),
        scratch_folder=socket_folder,
        url=f"mysql://zhenxun:zhenxun@127.0.0.1:{port}/{database}",
    )


def is_ready(service: Service) -> bool:
    """Return whether the server sends its greeting, instead of an error (such as too many connections)."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=1) as connection:
        return connection.recv(5)[4:5] == b"\x0a"


def build_options(server: Server, data: Path, socket_folder: str, port: int, durable: bool) -> list[str]:
    """Return the command-line options of the service."""
    return [
        "--no-defaults",
        *build_common_options(server, data),
        f"--socket={socket_folder}/s",
        f"--pid-file={socket_folder}/pid",
        f"--tmpdir={socket_folder}",  # a server deletes the temporary tables in it when it starts
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_520_ci",
        "--transaction-isolation=READ-COMMITTED",
        f"--sql-mode={SQL_MODE}",
        "--default-time-zone=+00:00",
        "--max-connections=400",
        "--performance-schema=OFF",
        f"--innodb-flush-log-at-trx-commit={1 if durable else 2}",
        *(build_mariadb_options(durable) if server.is_mariadb else ["--mysqlx=OFF", "--skip-log-bin"]),
    ]


def build_mariadb_options(durable: bool) -> list[str]:
    """Return the options that only MariaDB has."""
    redo_log = "96M" if durable else SMALL_REDO_LOG_SIZE  # resized when the server starts
    return ["--loose-innodb-snapshot-isolation=OFF", f"--innodb-log-file-size={redo_log}"]


def build_common_options(server: Server, data: Path) -> list[str]:
    """Return the options that bootstrap and service have in common."""
    base = [f"--datadir={data}", f"--lc-messages-dir={server.share_folder}"]
    if not server.is_mariadb:
        base += ["--secure-file-priv=NULL"]
    return [*base, "--user=root"] if os.getuid() == 0 else base


def get_first_working_server() -> tuple[Server, Path]:
    """Return the first server that works, and its template: one of this machine, otherwise Debian's package.

    Raises:
        CommandError: none works; the text gives the reasons and what to install.
    """
    reasons = []
    for server in list_candidates():
        try:
            return server, ensure_template(server)
        except CommandError as error:
            reasons.append(f"{server.label}: {error}")
    raise CommandError(
        "\n".join(
            [
                "No MySQL or MariaDB server is available. Do one of these:",
                "  Debian/Ubuntu: apt-get must reach its archive, or: apt install mariadb-server-core",
                "  macOS: brew install mariadb      any: DATABASE_URL=mysql://user:password@host:3306/database",
                *reasons,
            ]
        )
    )


def list_candidates() -> Iterator[Server]:
    """Yield the servers on PATH and in the usual folders, then Debian's package."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *SBIN_FOLDERS])
    for name in ("mariadbd", "mysqld"):
        if program := shutil.which(name, path=path):
            yield build_server(Path(program), (program,), {})
    if sys.platform == "linux" and debian.is_available():
        root = debian.unpack_package("mariadb-server-core")
        unpacked = root / "usr/sbin/mariadbd"
        yield build_server(unpacked, (str(unpacked),), {"LD_LIBRARY_PATH": debian.build_library_path(root)})


def build_server(program: Path, argv: tuple[str, ...], env: dict[str, str]) -> Server:
    """Find the version and the folder of messages of a server program."""
    prefix = program.resolve().parent.parent
    shares = [prefix / "share" / name for name in ("mysql", "mariadb")] + [prefix / "share"]
    share = next((folder for folder in shares if (folder / "english").exists()), shares[0])
    return Server(argv, read_version([*argv, "--no-defaults"], env), env, share)


def ensure_template(server: Server) -> Path:
    """Return a data directory with the system tables and our account, created once per server version and account."""
    settings_hash = hashlib.sha256(f"{ACCOUNT_SQL}{SMALL_REDO_LOG_SIZE}".encode()).hexdigest()[:8]
    template = LOCAL / "templates" / re.sub(r"\W+", "-", f"{server.label} {settings_hash}")
    if not (template / "done").exists():
        shutil.rmtree(template, ignore_errors=True)
        template.mkdir(parents=True)
        (bootstrap_mariadb if server.is_mariadb else bootstrap_mysql)(server, template)
        write_atomically(template / "done", "")
    return template


def bootstrap_mariadb(server: Server, data: Path) -> None:
    """Create the system tables from MariaDB's own scripts, and our account."""
    sources = [server.share_folder / name for name in SYSTEM_TABLE_SCRIPTS]
    if not all(source.exists() for source in sources):
        raise CommandError(f"its {SYSTEM_TABLE_SCRIPTS[0]} is not in {server.share_folder}")
    begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    tables = "\n".join(source.read_text() for source in sources)
    script = f"{begin}{tables}\nFLUSH PRIVILEGES;\n{ACCOUNT_SQL}"
    options = ["--enforce-storage-engine=", f"--innodb-log-file-size={SMALL_REDO_LOG_SIZE}"]
    run_bootstrap(server, ["--no-defaults", "--bootstrap", *build_common_options(server, data), *options], script)


def bootstrap_mysql(server: Server, data: Path) -> None:
    """Create the system tables and our account with MySQL's --initialize-insecure."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as account:
        account.write(ACCOUNT_SQL)
        account.flush()
        options = ["--no-defaults", "--initialize-insecure", f"--init-file={account.name}"]
        run_bootstrap(server, [*options, *build_common_options(server, data)], "")


def run_bootstrap(server: Server, arguments: list[str], script: str) -> None:
    """Run the server once with a script on standard input; raise CommandError if it fails."""
    result = subprocess.run([*server.argv, *arguments], env=server.env, input=script, capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"bootstrap failed: {result.stderr.strip()[-800:]}")


def copy_atomically(template: Path, data: Path) -> None:
    """Copy the template so that an interruption leaves no incomplete data directory."""
    temporary = data.with_name("mysql.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(template, temporary, ignore=shutil.ignore_patterns("done"))
    temporary.rename(data)
