"""Real MySQL, Redis and S3 (bin/test brings them), and a hospital of its own for each test."""

import logging
from collections.abc import Iterator

import pytest

import app  # noqa: F401  # registers the handlers of outbox jobs
from chalicelib import migrations
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.log_privacy import HANDLER, VIOLATIONS_FILE, install_handler


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    migrations.migrate()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What all of them have logged is looked at last."""
    items.sort(key=lambda item: item.path.name == "test_privacy.py")


@pytest.fixture(scope="session", autouse=True)
def log_privacy() -> Iterator[None]:
    VIOLATIONS_FILE.unlink(missing_ok=True)
    install_handler()
    yield
    logging.root.removeHandler(HANDLER)
    VIOLATIONS_FILE.unlink(missing_ok=True)


@pytest.fixture
def hospital() -> Hospital:
    return factories.create_hospital()


@pytest.fixture
def other_hospital() -> Hospital:
    """Another tenant, with people of the same kinds."""
    return factories.create_hospital("别处医院")


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
