"""A conversation of Lin and Doctor Chen, and what goes wrong around it."""

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from chalicelib.adapters import mysql
from chalicelib.settings import settings
from devstack.control import Control, attach
from tests.faults import crew as crews
from tests.faults.crew import Crew, through
from tests.faults.proxy import Proxy
from tests.messaging.conftest import conversation, mysql_reads, redis_is_cut, say

__all__ = ["conversation", "mysql_reads", "redis_is_cut", "say"]


@pytest.fixture(scope="package")
def crew() -> Iterator[Crew]:
    with crews.at_work() as crew:
        yield crew


@pytest.fixture
def control() -> Control:
    return attach()


@pytest.fixture
def line() -> Iterator[Proxy]:
    """What this process's connections to MySQL run over."""
    with Proxy(urlsplit(settings.database_url).port or 3306) as line, pytest.MonkeyPatch.context() as patch:
        patch.setattr(mysql, "settings", replace(settings, database_url=through(settings.database_url, line)))
        patch.setattr(mysql, "_idle_connections", [])
        yield line
        mysql._discard_connections(None)
