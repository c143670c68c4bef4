"""A conversation of Lin and Doctor Chen, and what goes wrong around it."""

from collections.abc import Iterator

import pytest

from devstack.control import Control, attach
from tests.faults import crew as crews
from tests.faults.crew import Crew
from tests.messaging.conftest import conversation, mysql_reads, redis_is_cut, say

__all__ = ["conversation", "mysql_reads", "redis_is_cut", "say"]


@pytest.fixture(scope="package")
def crew() -> Iterator[Crew]:
    with crews.at_work() as crew:
        yield crew


@pytest.fixture
def control() -> Control:
    return attach()
