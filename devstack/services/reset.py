"""Services that are not ours to delete as a folder. Runs in the app's Python.

python -m devstack.services.reset database URL [--wipe]   makes the database where it is missing; or makes it anew
python -m devstack.services.reset cache URL               empties the cache's database
"""

import sys
from urllib.parse import unquote, urlsplit

import pymysql
import redis


def ensure_database(url: str, wipe: bool) -> None:
    parts = urlsplit(url)
    name = parts.path.strip("/")
    connection = pymysql.connect(
        host=parts.hostname or "",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
    with connection, connection.cursor() as cursor:
        if wipe:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
        cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,))
        if not cursor.fetchone():
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")


def flush_cache(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        try:
            client.flushdb()
        except redis.ResponseError as error:
            sys.exit(
                f"{url} cannot be emptied: {error}. (A cluster has no database 1: give tests a server of their own.)"
            )


if __name__ == "__main__":
    what, url, *rest = sys.argv[1:]
    if what == "database":
        ensure_database(url, "--wipe" in rest)
    else:
        flush_cache(url)
