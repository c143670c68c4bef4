"""Events of a booking are reported to its holder once by site message, and at /notify."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.booking.jobs import scheduled, site_messages
from chalicelib.messaging import feed
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from tests.support import notify_client
from tests.support.booking_client import BookingDepartment, create_patient, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Person
from tests.support.faults.final_state import wait_until
from tests.support.inbox_client import get_unread_count, list_messages, list_texts

pytestmark = pytest.mark.store

WHAT = f"林小雨，{get_iso_date(1)} 09:00，呼吸内科 陈医生"


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them: workers that other tests have woken must end first."""
    wait_until(lambda: not any(worker._running for worker in outbox._workers.values()))
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def list_payloads(department: BookingDepartment) -> list[dict[str, Any]]:
    return [
        json.loads(row["payload"]) for row in list_rows("outbox", department.hospital) if row["job"] == "notify_booking"
    ]


def run_jobs(department: BookingDepartment) -> None:
    for payload in list_payloads(department):
        site_messages.notify_holder(department.hospital.tenant_id, payload)


def test_booking_is_reported_by_site_message_and_event(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    notify_client.poll_messages(lin.token, events=1)  # sets the cursor
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    assert list_texts(lin) == [], "the request itself inserts none"
    run_jobs(department)
    assert list_texts(lin) == [f"预约成功：{WHAT}。候诊地点：A 区。请按时就诊。"]
    assert list_texts(wang) == []
    [event], _, _ = notify_client.poll_messages(lin.token, events=1)
    assert (event["Type"], event["Content"]) == (EventType.BOOKING_MADE, f'{{"bookId":"{book_id}"}}')


def test_outbox_worker_runs_the_job(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule())
    while not list_texts(lin):
        assert outbox.run_due_jobs(), "jobs of other tests run first"


def test_repeated_job_inserts_one_site_message(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule())
    for _ in range(3):
        run_jobs(department)
    assert get_unread_count(lin) == 1


def test_text_without_doctor_and_waiting_area(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule(doctor_id="", area=""), 2)
    run_jobs(department)
    assert list_texts(lin) == [f"预约成功：林小雨，{get_iso_date(1)} 09:00，呼吸内科。请按时就诊。"]


def cancel(department: BookingDepartment, lin: Person, book_id: str, _: pytest.MonkeyPatch) -> None:
    department.cancel(lin, book_id)


def register(department: BookingDepartment, _: Person, book_id: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "08:00", ahead=1)
        department.register(book_id=book_id)


def miss(_: BookingDepartment, __: Person, ___: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "00:01", ahead=2)
        scheduled.mark_missed()


def remind(_: BookingDepartment, __: Person, ___: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "18:00")
        scheduled.send_reminders()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (cancel, f"您已取消预约：{WHAT}。"),
        (register, f"挂号成功：{WHAT}，2号。候诊地点：A 区。"),
        (miss, f"您未按时就诊，已记为失约：{WHAT}。"),
        (remind, f"就诊提醒：{WHAT}。候诊地点：A 区。请按时就诊。"),
    ],
)
def test_changes_of_a_booking_are_reported(
    department: BookingDepartment, lin: Person, change: Callable[..., None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    change(department, lin, book_id, monkeypatch)
    run_jobs(department)
    newest, _ = list_texts(lin)
    assert newest == text


def test_stopped_schedule_is_reported_to_each_holder(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    for person, serial_no in ((lin, 2), (wang, 3)):
        department.book_slot(person, schedule_id, serial_no)
    department.stop_schedule(schedule_id)
    while len(list_payloads(department)) < 4:
        assert outbox.run_due_jobs()
    run_jobs(department)
    stopped = "因停诊，您的预约已取消：{}。给您带来不便，敬请谅解。"
    assert list_texts(lin)[0] == stopped.format(WHAT)
    assert list_texts(wang)[0] == stopped.format(f"王强，{get_iso_date(1)} 10:00，呼吸内科 陈医生")


def test_every_event_type_has_a_text() -> None:
    event_types = [
        one for one in EventType if one.name.startswith(("BOOKING_", "SCHEDULE_", "DOCTOR_", "ALTERNATIVE_", "QUEUE_"))
    ]
    assert sorted(site_messages.MESSAGE_TEXTS) == sorted(event_types)


def test_event_is_published_once_redis_is_back(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.book_slot(lin, department.create_schedule())
    with monkeypatch.context() as outage:
        outage.setattr(redis, "_call_driver", fail)
        with pytest.raises(redis.RedisUnavailableError):
            run_jobs(department)
    assert len(list_messages(lin)) == 1
    run_jobs(department)
    _, stream, _ = feed.build_keys(lin.tenant_id, lin.principal)
    assert len(redis.get_client().xrange(stream)) == len(list_messages(lin)) == 1


def fail(*_: Any) -> Any:
    raise redis.RedisUnavailableError("cut")


def test_bookings_of_another_tenant_are_not_reported(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    other_patient = create_patient(other_department, 1)
    other_department.book_slot(other_patient, other_department.create_schedule())
    run_jobs(department)
    assert list_texts(other_patient) == []
    run_jobs(other_department)
    assert get_unread_count(other_patient) == 1
