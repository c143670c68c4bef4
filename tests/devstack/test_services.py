"""The services of the tests are as strict as those of production."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest
import redis

from devstack.services import mariadb


def test_database_is_strict_and_reads_committed_rows() -> None:
    url = urlsplit(os.environ["DATABASE_URL"])
    assert url.path.endswith("_test")
    connection = pymysql.connect(
        host=url.hostname or "", port=url.port or 0, user=url.username or "", password=url.password or ""
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@sql_mode")
        modes = {mode for row in cursor.fetchall() for mode in row[0].split(",")}
        cursor.execute("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')")
        levels = {row[1] for row in cursor.fetchall()}
    assert {"STRICT_TRANS_TABLES", "ONLY_FULL_GROUP_BY", "NO_ZERO_DATE"} <= modes
    assert levels == {"READ-COMMITTED"}


def test_every_database_has_its_own_folder_of_temporary_tables(tmp_path: Path) -> None:
    """Another server that starts with the same folder deletes them, and a query that sorts fails."""
    server = mariadb.Server((), "MariaDB", {}, tmp_path)
    for folder in ("/tmp/zx-1", "/tmp/zx-2"):
        assert f"--tmpdir={folder}" in mariadb.build_options(server, tmp_path, folder, 3306, durable=False)


def test_script_with_keys_of_two_slots_is_rejected() -> None:
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as cache, pytest.raises(redis.ResponseError, match="slot"):
        cache.eval("return redis.call('SET', KEYS[1], KEYS[2])", 2, "a", "b")
