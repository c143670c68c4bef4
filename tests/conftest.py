"""Real MySQL, Redis and S3 (bin/test brings them), and a hospital of its own for each test."""

from collections.abc import Iterator
from functools import cache

import pytest
from cryptography.hazmat.primitives import serialization

import app  # noqa: F401  # registers the handlers of outbox jobs
from chalicelib import clock, migrations
from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.log_privacy import LogPrivacyCheck
from tests.support.own_log_lines import is_own_line
from tests.support.tenant_check import check_tenant_conditions

UNCHECKED = ("adapters", "bench", "browser", "bundle", "devstack", "faults", "test_migrations.py")


@pytest.fixture(scope="session", autouse=True)
def schema() -> None:
    migrations.migrate()


@pytest.fixture(scope="session", autouse=True)
def parse_private_keys_once() -> Iterator[None]:
    """OpenSSL takes 60 ms to check a private RSA key that is loaded, and tests load the same few again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serialization, "load_pem_private_key", cache(serialization.load_pem_private_key))
        yield


@pytest.fixture(autouse=True)
def tenant_conditions(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check the statements of each test, but where the statements themselves are counted or fail on purpose."""
    folder = request.path.relative_to(request.config.rootpath).parts[1]
    if folder in UNCHECKED or "round_trips" in request.path.name:
        yield
        return
    with check_tenant_conditions() as wrong:
        yield
    assert wrong == []


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(LogPrivacyCheck())


@pytest.fixture(name="caplog")
def own_caplog(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Capture no lines of background work that an earlier test has caused; its format of lines ends with the test."""
    formatter = caplog.handler.formatter
    caplog.handler.addFilter(is_own_line)
    yield caplog
    caplog.handler.removeFilter(is_own_line)
    caplog.handler.setFormatter(formatter)


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass during the test."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)


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
