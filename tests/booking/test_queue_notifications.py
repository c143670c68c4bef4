"""Patients are notified when few are before them, and when they are called; not of what no longer holds."""

import json
from typing import Any

import pytest

from chalicelib.booking.jobs import site_messages, wechat_messages
from chalicelib.booking.queues import announcements
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.wechat_account import template_messages
from tests.support import notify_client, queue_client
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Person
from tests.support.inbox_client import list_texts
from tests.support.queue_client import QueueClient

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run only when the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def queue(department: BookingDepartment) -> QueueClient:
    return queue_client.create_queue(department)


@pytest.fixture
def visits(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Person, str]]:
    """Check in five patients."""
    booked = [queue_client.book(queue, number, number + 1) for number in range(5)]
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for _, book_id in booked:
        queue.department.register(book_id=book_id)
    return booked


def list_payloads(queue: QueueClient) -> list[dict[str, Any]]:
    """Return the jobs of the queue's own events."""
    rows = list_rows("outbox", queue.department.hospital)
    payloads = [json.loads(row["payload"]) for row in rows if row["job"] == "notify_booking"]
    return [one for one in payloads if one["type"] in (EventType.QUEUE_SOON, EventType.QUEUE_CALLED)]


def announce_moved_up(queue: QueueClient) -> None:
    for row in list_rows("outbox", queue.department.hospital):
        if row["job"] == "announce_queue":
            announcements.announce_moved_up(queue.department.hospital.tenant_id, json.loads(row["payload"]))


def run_jobs(queue: QueueClient) -> None:
    for payload in list_payloads(queue):
        site_messages.notify_holder(queue.department.hospital.tenant_id, payload)


def test_patients_are_notified_by_site_message_and_event(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    called, third, fourth, last = (visits[at][0] for at in (0, 2, 3, 4))
    for person in (called, fourth):
        notify_client.poll_messages(person.token, events=1)  # sets the cursor
    queue.call_next()
    for _ in range(2):  # a repeated job notifies once
        run_jobs(queue)
    day, where = get_iso_date(0), "候诊地点：A 区。"
    assert list_texts(called) == [f"请就诊：患者0，{day} 08:00，呼吸内科 陈医生，1号。{where}"]
    text = "即将叫号：患者{n}，{day} 08:{m}，呼吸内科 陈医生，{s}号。前面等候 {before} 人，请在候诊区等候。{where}"
    assert list_texts(third) == [text.format(n=2, day=day, m="10", s=3, before=1, where=where)]
    assert list_texts(fourth) == [text.format(n=3, day=day, m="15", s=4, before=2, where=where)]
    assert list_texts(last) == []
    for (person, book_id), kind in zip((visits[0], visits[3]), (1131, 1130), strict=True):
        [event, *_], _, _ = notify_client.poll_messages(person.token, events=1)
        assert (event["Type"], event["Content"]) == (kind, f'{{"bookId":"{book_id}"}}')


def test_each_call_is_notified(
    queue: QueueClient, visits: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    person, book_id = visits[0]
    queue.call_next()
    run_jobs(queue)
    freeze_clock(monkeypatch, "07:31")
    queue.call_again(book_id)
    run_jobs(queue)
    assert len(list_texts(person)) == 2


def test_outdated_notifications_are_dropped(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    """The jobs run late: the first patient was seen, the second is called, the third was refunded."""
    queue.call_next()
    queue.call_next(visits[0][1])
    queue.department.refund_visit(visits[2][1])
    run_jobs(queue)
    texts = [[text.partition("：")[0] for text in list_texts(person)] for person, _ in visits[:4]]
    assert texts == [[], ["请就诊"], [], ["即将叫号"]]


def test_refund_notifies_who_moves_up(
    queue: QueueClient, visits: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    last = visits[4][0]
    queue.call_next()
    freeze_clock(monkeypatch, "07:31")
    for _, book_id in visits[2:4]:
        assert queue.department.refund_visit(book_id).status == 200
        for _ in range(2):  # a repeated job notifies once
            announce_moved_up(queue)
        run_jobs(queue)
        assert [text.partition("。")[2] for text in list_texts(last)] == [
            "前面等候 2 人，请在候诊区等候。候诊地点：A 区。"
        ]


def test_refund_before_the_first_call_notifies_no_patient(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    queue.department.refund_visit(visits[0][1])
    announce_moved_up(queue)
    assert list_payloads(queue) == []


def test_refund_in_a_stopped_queue_notifies_no_patient(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    queue.call_next()
    before = len(list_payloads(queue))
    queue.department.refund_visit(visits[2][1])
    queue.department.stop_schedule(queue.schedule_id)
    announce_moved_up(queue)
    assert len(list_payloads(queue)) == before


@pytest.mark.parametrize(("kind", "what"), [(EventType.QUEUE_SOON, "即将叫号"), (EventType.QUEUE_CALLED, "请就诊")])
def test_wechat_message_reports_the_call_while_it_holds(
    queue: QueueClient,
    visits: list[tuple[Person, str]],
    kind: EventType,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(template_messages, "send", lambda *arguments: sent.append(arguments))
    queue.call_next()
    payload = next(one for one in list_payloads(queue) if one["type"] == kind)
    wechat_messages.send_booking_message(queue.department.hospital.tenant_id, payload)
    [(tenant_id, user_id, template, values, *_)] = sent
    assert (tenant_id, user_id) == (queue.department.hospital.tenant_id, payload["user_id"])
    assert (template.name, values["what"]) == ("REVISIT", what)
    queue.call_next(visits[0][1])
    wechat_messages.send_booking_message(queue.department.hospital.tenant_id, payload)
    assert len(sent) == 1, "it no longer holds"
