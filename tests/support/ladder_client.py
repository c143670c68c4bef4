"""The way of a notification from WeChat to SMS to the call list, for tests."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.sms import SmsMessage
from chalicelib.identity import tokens
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.settings import settings
from tests.support.booking_client import STAFF_PATH, BookingDepartment, list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.outbox_jobs import wait_for_workers

MUST_ARRIVE = (1102, 1108, 1110, 1120, 1121, 1122)
VARIABLES = ["patient", "time", "dept", "doctor", "before", "until", "reason"]


@dataclass
class SentSms:
    """What the SMS provider was given. `error` is raised by each sending."""

    sent: list[tuple[str, SmsMessage]] = field(default_factory=list)
    error: Exception | None = None

    def send(self, phone: str, message: SmsMessage) -> None:
        self.sent.append((phone, message))
        if self.error:
            raise self.error


class Time:
    """The test's own time, which stands still but for `wait`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: self.now)
        monkeypatch.setattr(tokens, "settings", replace(settings, staff_idle_minutes=0))

    def wait(self, minutes: float) -> None:
        self.now += int(minutes * 60 * clock.SECOND)

    def set(self, hour: int, minute: int = 0) -> None:
        """Go to the next time of day (Shanghai)."""
        midnight = clock.to_instant(clock.today())
        wanted = midnight + (hour * 60 + minute) * 60 * clock.SECOND
        self.now = wanted if wanted > self.now else wanted + clock.DAY


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> SentSms:
    """The SMS provider, which accepts everything."""
    recorder = SentSms()
    monkeypatch.setattr(sms, "send_message", recorder.send)
    return recorder


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    """Time that the test moves; jobs run only when the test runs them."""
    wait_for_workers()
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    yield Time(monkeypatch)
    mysql.autocommit.execute("DELETE FROM outbox")
    mysql.autocommit.execute("DELETE FROM quotas")  # of a time to come


def run_jobs() -> None:
    """Run all jobs that are due, of both queues."""
    while outbox.run_due_jobs() + outbox.run_due_jobs(Queue.EXTERNAL):
        pass


def save_template(hospital: Hospital, event_type: Any = 1102, **fields: Any) -> ApiResponse:
    values = {"type": event_type, "sign_name": "仁和医院", "template_id": f"SMS_{event_type}", "variables": VARIABLES}
    return post(f"{STAFF_PATH}/sms_template", hospital.admin.token, **{**values, **fields})


def save_templates(hospital: Hospital) -> None:
    for event_type in MUST_ARRIVE:
        assert save_template(hospital, event_type).status == 200


def list_states(department: BookingDepartment) -> list[tuple[int, str, str]]:
    """Return event type, state and failure of the hospital's notifications."""
    rows = list_rows("booking_notifications", department.hospital)
    return [(row["event_type"], row["state"], row["failure"]) for row in rows]


def get_call_list(person: Person, **query: Any) -> list[dict[str, Any]]:
    response = get(f"{STAFF_PATH}/call_list", person.token, **query)
    assert response.status == 200, response.body
    return list(response.data["list"])


def mark_called(person: Person, notification_id: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/mark_called", person.token, notification_id=notification_id)
