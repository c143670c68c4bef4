"""Services of our own, killed and started again: what bin/test offers to tests of failure."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pymysql
import pytest
import redis

from devstack.console import CommandError
from devstack.services import control, mariadb, service, valkey
from devstack.services.control import Control, ServiceHandle
from devstack.services.readiness import READINESS_CHECKS


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A database and a cache beside those that the other tests share."""
    folder = tmp_path_factory.mktemp("ours")
    services = {
        "mysql": mariadb.prepare(folder, folder / "mysql.log", "zhenxun_test", False),
        "redis": valkey.prepare("venv-dev", folder, folder / "redis.log", False),
    }
    file = folder / "control.json"
    try:
        for name, one in services.items():
            service.start(one)
            service.await_ready(one, READINESS_CHECKS[name])
        control.save_services(file, services)
        yield Control(*(ServiceHandle(file, name) for name in ("mysql", "redis", "s3")))
    finally:
        for one in (control.load_services(file) if file.exists() else services).values():
            service.stop(one)


def ask(ours: Control, sql: str) -> object:
    url = urlsplit(ours.mysql.service.url)
    connection = pymysql.connect(
        host="127.0.0.1", port=url.port or 0, user="zhenxun", password="zhenxun", database="zhenxun_test"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        connection.commit()
        return cursor.fetchall()


def test_a_killed_database_comes_back_with_what_it_acknowledged(ours: Control) -> None:
    ask(ours, "CREATE TABLE kept (n INT)")
    ask(ours, "INSERT INTO kept VALUES (7)")
    ours.mysql.kill()
    with pytest.raises(pymysql.err.OperationalError):
        ask(ours, "SELECT 1")
    ours.mysql.start()
    assert ask(ours, "SELECT n FROM kept") == ((7,),)


def test_a_killed_cache_comes_back_with_its_data_or_empty(ours: Control) -> None:
    cache = redis.Redis.from_url(ours.redis.service.url)
    cache.set("a", "1")
    run_id = cache.info("server")["run_id"]
    ours.redis.kill()
    ours.redis.start()
    assert cache.get("a") == b"1"
    assert cache.info("server")["run_id"] != run_id
    ours.redis.kill()
    ours.redis.start(empty=True)
    assert cache.get("a") is None
    cache.close()


def test_a_service_that_runs_is_not_started_twice(ours: Control) -> None:
    with pytest.raises(CommandError, match="kill it first"):
        ours.redis.start()
