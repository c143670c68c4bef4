"""Quiet hours delay messages that make a sound, but not the cancellation of a visit of the same day."""

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.schedules import rules
from chalicelib.booking.schedules.rule_store import Rules
from devstack.fakes.wechat import WeChat
from tests.support import ladder_client
from tests.support.booking_client import AFTERNOON, BookingDepartment, get_iso_date
from tests.support.factories import Person
from tests.support.inbox_client import list_texts
from tests.support.ladder_client import SentSms, Time, list_states, provider, run_jobs, time
from tests.support.wechat_callback_client import set_up

__all__ = ["provider", "time"]
pytestmark = pytest.mark.store


@pytest.fixture
def quiet(time: Time, department: BookingDepartment, provider: SentSms) -> BookingDepartment:
    """A hospital that sends SMS, notifies nobody from 22:00 to 07:00, and holds no slots; it is 21:50."""
    ladder_client.save_templates(department.hospital)
    set_up(department.hospital)
    department.save_rules(quiet_from=22, quiet_to=7, hold_hours=0)
    time.set(21, 50)
    assert provider.sent == []
    return department


def stop(department: BookingDepartment, *patients: Person, ahead: int = 2, **fields: object) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(ahead), **fields)
    for number, patient in enumerate(patients, 1):
        department.book_slot(patient, schedule_id, number)
    mysql.autocommit.execute("DELETE FROM outbox")
    department.stop_schedule(schedule_id)
    run_jobs()


@pytest.mark.parametrize("hour", [22, 23, 0, 3, 6])
def test_messages_wait_until_the_quiet_hours_end(
    quiet: BookingDepartment, lin: Person, wang: Person, wechat: WeChat, provider: SentSms, time: Time, hour: int
) -> None:
    """Lin has WeChat, Wang only a phone. The hours pass midnight."""
    time.set(hour, 5)
    stop(quiet, lin, wang)
    assert len(list_texts(lin)) == 1, "the site message makes no sound"
    assert (wechat.sent, provider.sent) == ([], [])
    time.set(6, 59)
    run_jobs()
    assert (wechat.sent, provider.sent) == ([], [])
    time.set(7)
    run_jobs()
    assert (len(wechat.sent), [phone for phone, _ in provider.sent]) == (1, [wang.phone])
    time.wait(6)
    run_jobs()
    assert [phone for phone, _ in provider.sent] == [wang.phone, lin.phone], "WeChat has confirmed nothing"
    assert [state for _, state, _ in list_states(quiet)] == ["texted", "texted"]


def test_message_just_before_the_quiet_hours_goes_on_after_them(
    quiet: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms, time: Time
) -> None:
    time.set(21, 58)
    stop(quiet, lin)
    assert len(wechat.sent) == 1
    time.wait(6)
    run_jobs()
    assert provider.sent == []
    time.set(7, 5)
    run_jobs()
    assert len(provider.sent) == 1


def test_visit_of_the_same_day_is_cancelled_at_once(
    quiet: BookingDepartment, lin: Person, wang: Person, wechat: WeChat, provider: SentSms, time: Time
) -> None:
    time.set(1)
    for patient, half in ((lin, {}), (wang, AFTERNOON)):
        stop(quiet, patient, ahead=0, **half)
    assert (len(wechat.sent), [phone for phone, _ in provider.sent]) == (1, [wang.phone])


def test_delayed_message_is_dropped_if_it_is_no_longer_true(
    quiet: BookingDepartment, lin: Person, wechat: WeChat, provider: SentSms, time: Time
) -> None:
    time.set(23)
    schedules = [quiet.create_schedule(date=get_iso_date(ahead)) for ahead in (2, 3, 4)]
    book_id = quiet.book_slot(lin, schedules[0])
    mysql.autocommit.execute("DELETE FROM outbox")
    quiet.reschedule_as_desk(book_id, schedules[1])
    run_jobs()
    assert quiet.reschedule(lin, book_id, schedules[2]).status == 200
    mysql.autocommit.execute("DELETE FROM outbox WHERE job = 'notify_booking'")  # of the patient's own change
    time.set(7, 30)
    run_jobs()
    assert (wechat.sent, provider.sent, list_states(quiet)) == ([], [], [(1108, "outdated", "")])


@pytest.mark.parametrize(
    ("quiet_from", "quiet_to", "hour", "hours_left"),
    [
        (22, 7, 22, 9),
        (22, 7, 6, 1),
        (22, 7, 0, 7),
        (22, 7, 7, None),
        (22, 7, 21, None),
        (12, 14, 12, 2),
        (12, 14, 14, None),
        (0, 6, 0, 6),
        (0, 6, 23, None),
        (22, 0, 23, 1),
        (0, 0, 0, None),
        (7, 7, 7, None),
    ],
)
def test_end_of_the_quiet_hours(
    monkeypatch: pytest.MonkeyPatch, quiet_from: int, quiet_to: int, hour: int, hours_left: int | None
) -> None:
    now = clock.to_instant(clock.today()) + hour * 3600 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: now)
    end = rules.find_quiet_end(Rules(quiet_from=quiet_from, quiet_to=quiet_to))
    assert end == (None if hours_left is None else now + hours_left * 3600 * clock.SECOND)
