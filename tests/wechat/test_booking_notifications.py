"""Template messages about bookings: each is sent once to the WeChat of the user who booked."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import notified_bookings, wechat_messages
from chalicelib.booking.reservations import notifications
from chalicelib.identity import tokens
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.wechat_account.templates import TemplateKind
from devstack.demo import wechat_account
from devstack.fakes.wechat import WeChat
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date
from tests.support.factories import Person
from tests.support.wechat_client import APP_ID, SITE_URL
from tests.support.wechat_notifications import (
    LIN_OPENID,
    SEND_PATH,
    WANG_OPENID,
    bind_openid,
    get_field_values,
    list_jobs,
    run_notification_jobs,
    run_wechat_jobs,
    save_template_id,
)

pytestmark = pytest.mark.store


def format_chinese_date(iso_date: str) -> str:
    year, month, day = iso_date.split("-")
    return f"{year}年{int(month)}月{int(day)}日"


def test_booking_sends_a_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    assert wechat.sent == [], "the request itself calls WeChat"
    run_wechat_jobs(department)
    [message] = wechat.sent
    code = department.get_booking(lin, book_id).data["bookCode"]
    assert (message["touser"], message["template_id"]) == (LIN_OPENID, wechat_account.TEMPLATE_IDS[TemplateKind.BOOKED])
    assert (message["url"], message["app_id"]) == (f"{SITE_URL}/personal", APP_ID)
    assert get_field_values(message) == {
        "thing1": "林小雨",
        "thing2": "呼吸内科",
        "thing3": "陈医生",
        "time4": f"{format_chinese_date(get_iso_date(1))} 09:00",
        "character_string5": code,
    }


@pytest.mark.parametrize(("label", "expected"), [("预约状态", "预约成功"), ("就诊科室", "")])
def test_unapproved_constant_is_cleared_and_the_message_still_sent(
    department: BookingDepartment, lin: Person, wechat: WeChat, label: str, expected: str
) -> None:
    wechat.templates[wechat_account.TEMPLATE_IDS[TemplateKind.BOOKED]] = (
        f"就诊人：{{{{thing1.DATA}}}}\n{label}：{{{{const2.DATA}}}}"
    )
    department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    assert [get_field_values(one) for one in wechat.sent] == [{"thing1": "林小雨", "const2": expected}]


def test_cancellation_sends_a_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    department.cancel(lin, book_id)
    run_wechat_jobs(department)
    assert [one["template_id"] for one in wechat.sent] == [
        wechat_account.TEMPLATE_IDS[TemplateKind.BOOKED],
        wechat_account.TEMPLATE_IDS[TemplateKind.CANCELLED],
    ]
    assert get_field_values(wechat.sent[1])["thing4"] == "患者取消"


def test_stopped_schedule_sends_a_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id)
    department.stop_schedule(schedule_id)
    mysql.autocommit.execute("DELETE FROM outbox WHERE job NOT IN ('cancel_stopped_schedule', 'notify_booking')")
    outbox.run_due_jobs()
    for payload in list_jobs(department, "wechat_booking"):
        wechat_messages.send_booking_message(department.hospital.tenant_id, payload)
    assert [get_field_values(one)["thing4"] for one in wechat.sent] == ["停诊"], (
        "the outdated message about the booking is skipped"
    )


def test_registration_sends_a_message(
    department: BookingDepartment, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 3)
    freeze_clock(monkeypatch, "08:00", ahead=1)
    department.register(book_id=book_id)
    run_wechat_jobs(department)
    [message] = wechat.sent
    assert get_field_values(message) == {
        "keyword1": "林小雨",
        "keyword2": "呼吸内科",
        "keyword3": "3",
        "keyword4": "A 区",
    }


def test_reminder_sends_a_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    book_id = int(department.book_slot(lin, department.create_schedule()))
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=lin.tenant_id)
    mysql.run_transaction(
        lambda tx: notifications.enqueue(tx, lin.tenant_id, lin.user_id, book_id, EventType.BOOKING_REMINDER)
    )
    run_wechat_jobs(department)
    [message] = wechat.sent
    assert get_field_values(message) == {
        "name1": "林小雨",
        "name2": "陈医生",
        "date3": f"{format_chinese_date(get_iso_date(1))} 08:00",
    }


@pytest.mark.parametrize("event_type", [EventType.BOOKING_MADE, EventType.BOOKING_REMINDER])
def test_message_is_not_sent_after_the_visit_has_begun(
    department: BookingDepartment, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch, event_type: int
) -> None:
    """The job may be late, for example after an outage of WeChat."""
    payload = {
        "book_id": int(department.book_slot(lin, department.create_schedule())),
        "user_id": lin.user_id,
        "type": event_type,
    }
    freeze_clock(monkeypatch, "08:00", ahead=1)
    wechat_messages.send_booking_message(lin.tenant_id, payload)
    assert wechat.sent == []
    freeze_clock(monkeypatch, "07:59")
    wechat_messages.send_booking_message(lin.tenant_id, payload)
    assert len(wechat.sent) == 1


def test_missed_visit_sends_no_message(department: BookingDepartment, lin: Person) -> None:
    book_id = int(department.book_slot(lin, department.create_schedule()))
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=lin.tenant_id)
    mysql.run_transaction(
        lambda tx: notifications.enqueue(tx, lin.tenant_id, lin.user_id, book_id, EventType.BOOKING_MISSED)
    )
    assert run_notification_jobs(department) == []


def test_repeated_job_sends_one_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    for _ in range(3):
        run_wechat_jobs(department)
    assert len(list_jobs(department, "wechat_booking")) == 1
    assert (wechat.calls[SEND_PATH], len(wechat.sent)) == (3, 1)


def test_two_bookings_send_two_messages(
    department: BookingDepartment, lin: Person, wang: Person, wechat: WeChat
) -> None:
    bind_openid(wang, WANG_OPENID)
    schedule_id = department.create_schedule()
    for number, person in enumerate((lin, wang), 1):
        department.book_slot(person, schedule_id, number)
    run_wechat_jobs(department)
    assert sorted(one["touser"] for one in wechat.sent) == sorted([LIN_OPENID, WANG_OPENID])
    assert len({one["client_msg_id"] for one in wechat.sent}) == 2


def test_user_without_openid_gets_no_message(department: BookingDepartment, wang: Person, wechat: WeChat) -> None:
    department.book_slot(wang, department.create_schedule())
    run_wechat_jobs(department)
    assert wechat.calls.total() == 0


def test_signed_out_user_gets_no_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    run_wechat_jobs(department)
    assert wechat.sent == []


def test_hospital_without_template_enqueues_no_job(department: BookingDepartment, lin: Person) -> None:
    save_template_id(department.hospital, TemplateKind.BOOKED, "")
    department.book_slot(lin, department.create_schedule())
    assert run_notification_jobs(department) == []


def test_template_or_account_removed_meanwhile_is_no_error(
    department: BookingDepartment, lin: Person, wechat: WeChat
) -> None:
    department.book_slot(lin, department.create_schedule())
    assert run_notification_jobs(department)
    save_template_id(department.hospital, TemplateKind.BOOKED, "")
    run_wechat_jobs(department)
    save_template_id(department.hospital, TemplateKind.BOOKED, wechat_account.TEMPLATE_IDS[TemplateKind.BOOKED])
    mysql.autocommit.execute("DELETE FROM bas_tenant_wechat_mp WHERE tenant_id = %(id)s", id=lin.tenant_id)
    run_wechat_jobs(department)
    assert wechat.sent == []


def test_templates_and_messages_cover_the_same_events() -> None:
    assert (
        notifications.WECHAT_TEMPLATES.keys()
        == wechat_messages.LABELS.keys()
        == notified_bookings.CURRENT_STATUSES.keys()
    )
    assert set(notifications.WECHAT_TEMPLATES.values()) == wechat_account.TEMPLATE_IDS.keys() - {
        TemplateKind.DOCTOR_REPLY
    }
