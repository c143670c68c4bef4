"""Fixtures of fault tests: worker processes, control of services, a proxy to MySQL."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

import pymysql
import pytest

from chalicelib.adapters import mysql
from chalicelib.settings import settings
from devstack.services.control import Control, attach
from tests.support.conversation_log import conversation, cut_redis, mysql_reads, send_message
from tests.support.faults import worker_pool as worker_pools
from tests.support.faults.tcp_proxy import Proxy
from tests.support.faults.worker_pool import WorkerPool, route_through

__all__ = ["conversation", "cut_redis", "mysql_reads", "send_message"]


@pytest.fixture(scope="package")
def worker_pool() -> Iterator[WorkerPool]:
    with worker_pools.run_workers() as pool:
        yield pool


@pytest.fixture
def control() -> Control:
    return attach()


@pytest.fixture
def mysql_proxy() -> Iterator[Proxy]:
    """Route this process's connections to MySQL through a proxy, which sees what they send: without TLS."""
    with Proxy(urlsplit(settings.database_url).port or 3306) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql, "settings", replace(settings, database_url=route_through(settings.database_url, proxy)))
        patch.setattr(mysql, "_idle_connections", [])
        patch.setattr(pymysql, "connect", partial(pymysql.connect, ssl_disabled=True))
        yield proxy
        mysql._discard_connections(None)
