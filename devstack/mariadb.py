"""A private MySQL-speaking server on loopback: MariaDB from this machine or from Debian's archive, or MySQL itself."""

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

from devstack import debian, processes
from devstack.paths import LOCAL, write_whole
from devstack.say import Refusal
from devstack.service import Service, version_of

SQL_MODE = (  # of MySQL 8.4
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)
ACCOUNT = """
CREATE DATABASE zhenxun CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE DATABASE zhenxun_test CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER 'zhenxun'@'%' IDENTIFIED BY 'zhenxun';
GRANT ALL ON *.* TO 'zhenxun'@'%' WITH GRANT OPTION;
"""
SMALL_LOG = "16M"  # copied for each run of the tests
SYSTEM_TABLES = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
SBIN = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin")


@dataclass(frozen=True)
class Server:
    """A server program that runs here: how it is called, what it says it is, and its own files."""

    argv: tuple[str, ...]
    version: str
    env: dict[str, str]
    share: Path

    @property
    def is_mariadb(self) -> bool:
        return "MariaDB" in self.version

    @property
    def label(self) -> str:
        number = re.search(r"Ver (\d+\.\d+\.\d+)", self.version)
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {number[1] if number else '?'}"


def prepare(folder: Path, log: Path, database: str, durable: bool) -> Service:
    """A server over folder/mysql, made from the template where it is new; not started yet."""
    server, template = first_that_works()
    return over(server, template, folder, log, database, durable)


def over(server: Server, template: Path, folder: Path, log: Path, database: str, durable: bool) -> Service:
    data, port = folder / "mysql", processes.free_port()
    if not data.exists():
        copy_whole(template, data)
    socket_folder = tempfile.mkdtemp(prefix="zx-")  # a socket's path may have 107 bytes at most
    return Service(
        name="mysql",
        label=server.label,
        argv=[*server.argv, *options(server, data, socket_folder, port, durable)],
        env=server.env,
        port=port,
        folder=str(data),
        log=str(log),
        scratch=socket_folder,
        url=f"mysql://zhenxun:zhenxun@127.0.0.1:{port}/{database}",
    )


def ready(service: Service) -> bool:
    """True when the server greets; a server that refuses (starting, too many connections) greets with an error."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=1) as line:
        return line.recv(5)[4:5] == b"\x0a"


def options(server: Server, data: Path, socket_folder: str, port: int, durable: bool) -> list[str]:
    return [
        "--no-defaults",
        *basics(server, data),
        f"--socket={socket_folder}/s",
        f"--pid-file={socket_folder}/pid",
        f"--tmpdir={socket_folder}",  # a server that starts deletes all temporary tables that it finds in its own
        f"--port={port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_ci",
        "--transaction-isolation=READ-COMMITTED",
        f"--sql-mode={SQL_MODE}",
        "--default-time-zone=+00:00",
        "--max-connections=400",
        "--performance-schema=OFF",
        f"--innodb-flush-log-at-trx-commit={1 if durable else 2}",
        *(for_mariadb(durable) if server.is_mariadb else ["--mysqlx=OFF", "--skip-log-bin"]),
    ]


def for_mariadb(durable: bool) -> list[str]:
    redo_log = "96M" if durable else SMALL_LOG  # the server resizes it as it starts
    return ["--loose-innodb-snapshot-isolation=OFF", f"--innodb-log-file-size={redo_log}"]


def basics(server: Server, data: Path) -> list[str]:
    """What bootstrap and service must agree on, and what lets either run here."""
    base = [f"--datadir={data}", f"--lc-messages-dir={server.share}"]
    if not server.is_mariadb:
        base += ["--secure-file-priv=NULL"]
    return [*base, "--user=root"] if os.getuid() == 0 else base


def first_that_works() -> tuple[Server, Path]:
    """A server and its bootstrapped template: what is on this machine first, then Debian's package."""
    reasons = []
    for server in candidates():
        try:
            return server, template_of(server)
        except Refusal as refusal:
            reasons.append(f"{server.label}: {refusal}")
    raise Refusal(
        "\n".join(
            [
                "No MySQL or MariaDB server is to be had here. One of these helps:",
                "  Debian/Ubuntu: apt-get must reach its archive, or: apt install mariadb-server-core",
                "  macOS: brew install mariadb      any: DATABASE_URL=mysql://user:password@host:3306/database",
                *reasons,
            ]
        )
    )


def candidates() -> Iterator[Server]:
    path = os.pathsep.join([os.environ.get("PATH", ""), *SBIN])
    for name in ("mariadbd", "mysqld"):
        if found := shutil.which(name, path=path):
            yield server_at(Path(found), (found,), {})
    if sys.platform == "linux" and debian.available():
        root = debian.unpacked("mariadb-server-core")
        program = root / "usr/sbin/mariadbd"
        yield server_at(program, (str(program),), {"LD_LIBRARY_PATH": debian.libraries(root)})


def server_at(program: Path, argv: tuple[str, ...], env: dict[str, str]) -> Server:
    prefix = program.resolve().parent.parent
    shares = [prefix / "share" / name for name in ("mysql", "mariadb")] + [prefix / "share"]
    share = next((folder for folder in shares if (folder / "english").exists()), shares[0])
    return Server(argv, version_of([*argv, "--no-defaults"], env), env, share)


def template_of(server: Server) -> Path:
    """A data directory with the system tables and our account, made once per server version and account."""
    made_with = hashlib.sha256(f"{ACCOUNT}{SMALL_LOG}".encode()).hexdigest()[:8]
    template = LOCAL / "templates" / re.sub(r"\W+", "-", f"{server.label} {made_with}")
    if not (template / "done").exists():
        shutil.rmtree(template, ignore_errors=True)
        template.mkdir(parents=True)
        (bootstrap_mariadb if server.is_mariadb else bootstrap_mysql)(server, template)
        write_whole(template / "done", "")
    return template


def bootstrap_mariadb(server: Server, data: Path) -> None:
    sources = [server.share / name for name in SYSTEM_TABLES]
    if not all(source.exists() for source in sources):
        raise Refusal(f"its {SYSTEM_TABLES[0]} is not in {server.share}")
    begin = "CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n"
    tables = "\n".join(source.read_text() for source in sources)
    script = f"{begin}{tables}\nFLUSH PRIVILEGES;\n{ACCOUNT}"
    small = f"--innodb-log-file-size={SMALL_LOG}"
    run(server, ["--no-defaults", "--bootstrap", *basics(server, data), "--enforce-storage-engine=", small], script)


def bootstrap_mysql(server: Server, data: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as account:
        account.write(ACCOUNT)
        account.flush()
        run(
            server, ["--no-defaults", "--initialize-insecure", f"--init-file={account.name}", *basics(server, data)], ""
        )


def run(server: Server, arguments: list[str], script: str) -> None:
    done = subprocess.run([*server.argv, *arguments], env=server.env, input=script, capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"bootstrap failed: {done.stderr.strip()[-800:]}")


def copy_whole(template: Path, data: Path) -> None:
    """A copy that is there wholly or not at all."""
    draft = data.with_name("mysql.draft")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(template, draft, ignore=shutil.ignore_patterns("done"))
    draft.rename(data)
