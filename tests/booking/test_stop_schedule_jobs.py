"""What the job of a stopped schedule starts afterwards."""

from typing import Any

import pytest

from chalicelib.booking.closures import stopped_schedules
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Person


def test_both_queues_are_woken(department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id)
    woken: list[Any] = []
    monkeypatch.setattr(outbox, "wake_worker", lambda queue=Queue.INTERNAL: woken.append(queue))
    payload = {"schedule_id": int(schedule_id), "by": department.hospital.desk.user_id}
    stopped_schedules.cancel_bookings(department.hospital.tenant_id, payload)
    assert woken == [Queue.INTERNAL, Queue.EXTERNAL]
