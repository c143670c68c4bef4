"""Real MySQL, Redis and S3 (bin/test brings them), and a hospital of its own for each test."""

import pytest

import app  # noqa: F401  # registers the handlers of outbox jobs
from chalicelib import migrations
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.log_privacy import LogPrivacyCheck


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    migrations.migrate()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LogPrivacyCheck())


@pytest.fixture
def hospital() -> Hospital:
    return factories.create_hospital()


@pytest.fixture
def other_hospital() -> Hospital:
    """Another tenant, with people of the same kinds."""
    return factories.create_hospital("别处医院")


@pytest.fixture
def everyone(hospital: Hospital) -> list[Person]:
    """All six people of the hospital, for a test of what lists or counts them."""
    return hospital.everyone()


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
