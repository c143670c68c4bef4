"""Nobody's phone, name, ID number, code, password or token stands in a log line. Runs last: see tests/conftest.py."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import overheard
from tests.gateway.soak import gateway
from tests.identity.cheap import cheap_hashes
from tests.overheard import LISTENER, TELLING, telling
from tests.patients.cards import card
from tests.people import PASSWORD, Hospital
from tests.processes import at_once
from tests.wire import post

__all__ = ["cheap_hashes"]


@pytest.mark.parametrize(
    "text",
    [
        "电话 13800000001",
        card(),
        f'{{"password":"{PASSWORD}"}}',
        "林小雨",
        "tD6Dr3MrkIFOSLbrVoBbNnHWG9Y6wfP7PMzzzslcqVM",
        *(
            "code 042917",
            "SMS to somebody 042917",
            "verCode=042917",
            '", "code": "042917',
            '\\"verCode\\":\\"042917\\"',
        ),
    ],
)
def test_what_tells_something_is_noticed(text: str) -> None:
    assert TELLING.search(f'{{"event": "{text}"}}')


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-05T09:30:00.123+08:00", "87ba7679-b682-47e7-8499-0385dda22b66", "1795742387926280", "user:13"),
        *('", "outbox_id": 123456, "ms": 123456.7, "job": "code', "user:123456", "log.py:123456 run", "v1.123456"),
    ],
)
def test_what_tells_nothing_is_not(text: str) -> None:
    assert not TELLING.search(f'{{"event": "{text}"}}')


@pytest.mark.usefixtures("cheap_hashes")
def test_no_line_of_this_run_tells_anything(hospital: Hospital) -> None:
    where = {"tenantId": str(hospital.tenant_id)}
    post("/pati_service/patient_service/login", headers=where, phone=hospital.lin.phone, password=PASSWORD)
    assert LISTENER.heard > 0
    assert telling() == []


@pytest.fixture
def found() -> Iterator[None]:
    """What is told on purpose is forgotten again."""
    before = overheard.FOUND.read_bytes() if overheard.FOUND.exists() else b""
    yield
    overheard.FOUND.write_bytes(before)


def blurt(text: str) -> int:
    logging.getLogger(__name__).warning(text)
    return os.getpid()


@pytest.mark.usefixtures("found")
def test_a_process_of_a_test_is_heard_too() -> None:
    assert at_once(blurt, [("电话 13800000001",)]) != [os.getpid()]
    assert "电话 13800000001" in telling()[-1]


@pytest.mark.usefixtures("found")
def test_a_server_that_a_test_starts_is_heard_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with gateway.serving(log):
        log.write_text("SMS 042917\n")
    assert telling()[-1] == "SMS 042917"
