"""prosody as a peer."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers.xmpp_clients import ADDRESS, DOMAIN, PASSWORD
from bench.peers.xmpp_servers import Database, XmppServer, read_version
from devstack.install import debian
from devstack.services import processes
from devstack.services.service import Service

# Those of the package's configuration, apart from offline storage, which the archive replaces, from limits, and from
# those that need a port, a certificate or an administrator; and the archive.
MODULES = (
    *("disco", "roster", "saslauth", "blocklist", "bookmarks", "carbons", "pep", "private", "smacks", "vcard4"),
    *("vcard_legacy", "csi_simple", "ping", "time", "uptime", "version", "mam"),
)


def prepare(root: Path, folder: Path, database: Database, users: list[str]) -> Service:
    """Return the service. Nagle's algorithm is off, with which it delivers 20 pages a second to a client."""
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
modules_enabled = {{ {", ".join(f'"{name}"' for name in MODULES)} }}
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


PROSODY = XmppServer(
    name="prosody",
    packages=("prosody", "lua-dbi-mysql"),
    files=("usr/bin/prosody", "usr/lib/*/lua/5.*/dbd/mysql.so"),
    prepare=prepare,
    count_archived="SELECT COUNT(*) FROM prosodyarchive WHERE `user` LIKE 's%' OR `user` LIKE 'd%'",
)
