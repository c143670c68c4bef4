"""Services can be killed and started again, for tests of failures."""

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
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A database and a cache in addition to those that the other tests share."""
    folder = tmp_path_factory.mktemp("stack")
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


def run_sql(stack: Control, sql: str) -> object:
    url = urlsplit(stack.mysql.service.url)
    connection = pymysql.connect(
        host="127.0.0.1", port=url.port or 0, user="zhenxun", password="zhenxun", database="zhenxun_test"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(sql)
        connection.commit()
        return cursor.fetchall()


def test_restarted_database_has_all_committed_rows(stack: Control) -> None:
    run_sql(stack, "CREATE TABLE numbers (n INT)")
    run_sql(stack, "INSERT INTO numbers VALUES (7)")
    stack.mysql.kill()
    with pytest.raises(pymysql.err.OperationalError):
        run_sql(stack, "SELECT 1")
    stack.mysql.start()
    assert run_sql(stack, "SELECT n FROM numbers") == ((7,),)


def test_restarted_cache_has_its_data_unless_emptied(stack: Control) -> None:
    cache = redis.Redis.from_url(stack.redis.service.url)
    cache.set("a", "1")
    run_id = cache.info("server")["run_id"]
    stack.redis.kill()
    stack.redis.start()
    assert cache.get("a") == b"1"
    assert cache.info("server")["run_id"] != run_id
    stack.redis.kill()
    stack.redis.start(empty=True)
    assert cache.get("a") is None
    cache.close()


def test_running_service_is_not_started_again(stack: Control) -> None:
    with pytest.raises(CommandError, match="kill it first"):
        stack.redis.start()
