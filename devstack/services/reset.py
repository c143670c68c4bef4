"""Prepare external services, whose data folders are not ours. Runs in the app's Python environment.

python -m devstack.services.reset database URL [--wipe]   create the database; --wipe drops it before
python -m devstack.services.reset cache URL               flush the Redis database
"""

import sys
from urllib.parse import unquote, urlsplit

import pymysql
import redis


def ensure_database(url: str, wipe: bool) -> None:
    """Create the database of a URL if it does not exist; `wipe` drops it before."""
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
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")


def flush_cache(url: str) -> None:
    """Flush the Redis database of a URL; exit with an error if the server rejects that."""
    with redis.Redis.from_url(url) as client:
        try:
            client.flushdb()
        except redis.ResponseError as error:
            sys.exit(f"{url} cannot be flushed: {error}. (A cluster has no database 1: tests need their own server.)")


if __name__ == "__main__":
    service, url, *options = sys.argv[1:]
    if service == "database":
        ensure_database(url, "--wipe" in options)
    else:
        flush_cache(url)
