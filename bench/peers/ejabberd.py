"""ejabberd as a peer."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers.xmpp_clients import ADDRESS, DOMAIN, PASSWORD
from bench.peers.xmpp_servers import Database, XmppServer, read_version
from devstack.install import debian
from devstack.services import processes
from devstack.services.service import Service

# Those of the package's configuration, apart from offline storage, which the archive replaces, and from those that need
# a port, a certificate or an administrator. Three have options: see prepare.
MODULES = (
    *("adhoc", "avatar", "blocking", "caps", "carboncopy", "client_state", "disco", "last", "ping", "privacy"),
    *("private", "push", "push_keepalive", "roster", "shared_roster", "vcard", "vcard_xupdate", "version"),
)


def prepare(root: Path, folder: Path, database: Database, users: list[str]) -> Service:
    """Return the service, with the schema and the flags of the virtual machine that its package has."""
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
  mod_mam: {{db_type: sql, default: always, assume_mam_usage: true}}
  mod_pubsub: {{plugins: [flat, pep]}}
  mod_stream_mgmt: {{resend_on_timeout: if_offline}}
{"".join(f"  mod_{name}: {{}}{chr(10)}" for name in MODULES)}""")
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


EJABBERD = XmppServer(
    name="ejabberd",
    packages=("ejabberd", "erlang-p1-mysql"),
    files=("usr/share/ejabberd/sql/mysql.sql", "usr/lib/erlang/lib/p1_mysql-*", "usr/lib/erlang/erts-*"),
    prepare=prepare,
    count_archived="SELECT COUNT(*) FROM archive WHERE username LIKE 's%' OR username LIKE 'd%'",
)
