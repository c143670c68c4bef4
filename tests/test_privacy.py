"""Nobody's phone, name, ID number, code, password or token stands in a log line. Runs last: see tests/conftest.py."""

import pytest

from tests.identity.cheap import cheap_hashes
from tests.overheard import LISTENER, TELLING
from tests.patients.cards import card
from tests.people import PASSWORD, Hospital
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
    ],
)
def test_what_tells_something_is_noticed(text: str) -> None:
    assert TELLING.search(f'{{"event": "{text}"}}')


@pytest.mark.parametrize(
    "text", ["2026-01-05T09:30:00.123+08:00", "87ba7679-b682-47e7-8499-0385dda22b66", "1795742387926280", "user:13"]
)
def test_what_tells_nothing_is_not(text: str) -> None:
    assert not TELLING.search(f'{{"event": "{text}"}}')


@pytest.mark.usefixtures("cheap_hashes")
def test_no_line_of_this_run_tells_anything(hospital: Hospital) -> None:
    where = {"tenantId": str(hospital.tenant_id)}
    post("/pati_service/patient_service/login", headers=where, phone=hospital.lin.phone, password=PASSWORD)
    assert LISTENER.heard > 0
    assert LISTENER.telling == []
