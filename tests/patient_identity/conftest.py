"""Fixtures: jobs run only when a test runs them, so that no member is verified in between."""

from collections.abc import Callable

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from tests.support import booking_client
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital
from tests.support.id_numbers import build_unused_id_number


@pytest.fixture(autouse=True)
def run_jobs(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that runs all due jobs."""
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)

    def run() -> None:
        for queue in (Queue.INTERNAL, Queue.EXTERNAL, Queue.INTERNAL):
            outbox.run_due_jobs(queue)

    return run


@pytest.fixture
def number() -> str:
    """A number that no other test uses."""
    return build_unused_id_number()


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    """A department in which Doctor Chen sees patients."""
    return booking_client.create_department(hospital)
