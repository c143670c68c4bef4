"""What becomes of a booking is a site message of who booked, once, and an event where they listen."""

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
from tests.support.inbox_client import get_unread_count, list_messages, list_texts

pytestmark = pytest.mark.store

WHAT = f"林小雨，{get_iso_date(1)} 09:00，呼吸内科 陈医生"


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is promised waits for the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def promised(department: BookingDepartment) -> list[dict[str, Any]]:
    return [
        json.loads(row["payload"]) for row in list_rows("outbox", department.hospital) if row["job"] == "notify_booking"
    ]


def announce(department: BookingDepartment) -> None:
    for payload in promised(department):
        site_messages.notify_holder(department.hospital.tenant_id, payload)


def test_lin_finds_her_booking_in_her_inbox(department: BookingDepartment, lin: Person, wang: Person) -> None:
    notify_client.poll_messages(lin.token, events=1)  # from here on
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    assert list_texts(lin) == [], "the request itself writes none"
    announce(department)
    assert list_texts(lin) == [f"预约成功：{WHAT}。候诊地点：A 区。请按时就诊。"]
    assert list_texts(wang) == []
    [event], _, _ = notify_client.poll_messages(lin.token, events=1)
    assert (event["Type"], event["Content"]) == (EventType.BOOKING_MADE, f'{{"bookId":"{book_id}"}}')


def test_the_outbox_does_it(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule())
    while not list_texts(lin):
        assert outbox.run_due_jobs(), "whatever other tests have promised is done before"


def test_done_again_it_is_one_site_message(department: BookingDepartment, lin: Person) -> None:
    department.book_slot(lin, department.create_schedule())
    for _ in range(3):
        announce(department)
    assert get_unread_count(lin) == 1


def test_a_general_clinic_has_no_doctor_and_may_have_no_place_to_wait(
    department: BookingDepartment, lin: Person
) -> None:
    department.book_slot(lin, department.create_schedule(doctor_id="", area=""), 2)
    announce(department)
    assert list_texts(lin) == [f"预约成功：林小雨，{get_iso_date(1)} 09:00，呼吸内科。请按时就诊。"]


def cancel(department: BookingDepartment, lin: Person, book_id: str, _: pytest.MonkeyPatch) -> None:
    department.cancel(lin, book_id)


def come(department: BookingDepartment, _: Person, book_id: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "08:00", ahead=1)
        department.register(book_id=book_id)


def do_not_come(_: BookingDepartment, __: Person, ___: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "00:01", ahead=2)
        scheduled.mark_missed()


def be_reminded(_: BookingDepartment, __: Person, ___: str, patch: pytest.MonkeyPatch) -> None:
    with patch.context() as later:
        freeze_clock(later, "18:00")
        scheduled.send_reminders()


@pytest.mark.parametrize(
    ("happens", "text"),
    [
        (cancel, f"您已取消预约：{WHAT}。"),
        (come, f"挂号成功：{WHAT}，2号。候诊地点：A 区。"),
        (do_not_come, f"您未按时就诊，已记为失约：{WHAT}。"),
        (be_reminded, f"就诊提醒：{WHAT}。候诊地点：A 区。请按时就诊。"),
    ],
)
def test_what_happens_to_it_is_said(
    department: BookingDepartment, lin: Person, happens: Callable[..., None], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    happens(department, lin, book_id, monkeypatch)
    announce(department)
    newest, _ = list_texts(lin)
    assert newest == text


def test_each_whose_half_day_is_stopped_is_told_of_their_own(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule()
    for who, serial_no in ((lin, 2), (wang, 3)):
        department.book_slot(who, schedule_id, serial_no)
    department.stop_schedule(schedule_id)
    while len(promised(department)) < 4:
        assert outbox.run_due_jobs()
    announce(department)
    stopped = "因停诊，您的预约已取消：{}。给您带来不便，敬请谅解。"
    assert list_texts(lin)[0] == stopped.format(WHAT)
    assert list_texts(wang)[0] == stopped.format(f"王强，{get_iso_date(1)} 10:00，呼吸内科 陈医生")


def test_every_kind_of_event_has_its_words() -> None:
    kinds = [one for one in EventType if one.name.startswith(("BOOKING_", "SCHEDULE_"))]
    assert sorted(site_messages.MESSAGE_TEXTS) == sorted(kinds)


def test_while_redis_is_away_the_inbox_has_it_and_the_event_comes_when_it_is_back(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    department.book_slot(lin, department.create_schedule())
    with monkeypatch.context() as cut:
        cut.setattr(redis, "_call_driver", away)
        with pytest.raises(redis.RedisUnavailableError):
            announce(department)
    assert len(list_messages(lin)) == 1
    announce(department)
    _, stream, _ = feed.build_keys(lin.tenant_id, lin.principal)
    assert len(redis.get_client().xrange(stream)) == len(list_messages(lin)) == 1


def away(*_: Any) -> Any:
    raise redis.RedisUnavailableError("cut")


def test_another_hospitals_bookings_stay_there(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    theirs = create_patient(other_department, 1)
    other_department.book_slot(theirs, other_department.create_schedule())
    announce(department)
    assert list_texts(theirs) == []
    announce(other_department)
    assert get_unread_count(theirs) == 1
