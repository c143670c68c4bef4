"""Fixtures: departments of two tenants, and nine in the morning."""

import pytest

from chalicelib.outbox import outbox
from tests.support import booking_client, outbox_jobs
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital


@pytest.fixture(autouse=True)
def idle_workers() -> None:
    """Worker threads that earlier tests have woken would run this test's jobs."""
    outbox_jobs.wait_for_workers()


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    """A department of the tenant."""
    return booking_client.create_department(hospital)


@pytest.fixture
def other_department(other_hospital: Hospital) -> BookingDepartment:
    """A department of another tenant."""
    return booking_client.create_department(other_hospital)


@pytest.fixture
def nine_o_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is nine in the morning; jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    booking_client.freeze_clock(monkeypatch, "09:00")
