"""Real MySQL, Redis and S3 (bin/test brings them), and a hospital of its own for each test."""

import pytest

from chalicelib import migrations
from tests import people
from tests.people import Hospital, Person


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    migrations.migrate()


@pytest.fixture
def hospital() -> Hospital:
    return people.hospital()


@pytest.fixture
def elsewhere() -> Hospital:
    """Another tenant, with people of the same kinds."""
    return people.hospital("别处医院")


@pytest.fixture
def lin(hospital: Hospital) -> Person:
    return hospital.lin


@pytest.fixture
def wang(hospital: Hospital) -> Person:
    return hospital.wang


@pytest.fixture
def chen(hospital: Hospital) -> Person:
    return hospital.chen


@pytest.fixture
def zhou(hospital: Hospital) -> Person:
    return hospital.zhou
