"""What becomes of a booking is told at its holder's WeChat, once."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import wechat_messages
from chalicelib.booking.reservations import notifications
from chalicelib.identity import tokens
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
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


def said(instant: str) -> str:
    year, month, dom = instant.split("-")
    return f"{year}年{int(month)}月{int(dom)}日"


def test_lin_is_told_that_she_has_booked(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    book_id = department.book_slot(lin, department.create_schedule(), 2)
    assert wechat.sent == [], "the request itself asks WeChat nothing"
    run_wechat_jobs(department)
    [message] = wechat.sent
    code = department.get_booking(lin, book_id).data["bookCode"]
    assert (message["touser"], message["template_id"]) == (LIN_OPENID, wechat_account.TEMPLATE_IDS[1])
    assert (message["url"], message["app_id"]) == (f"{SITE_URL}/personal", APP_ID)
    assert get_field_values(message) == {
        "thing1": "林小雨",
        "thing2": "呼吸内科",
        "thing3": "陈医生",
        "time4": f"{said(get_iso_date(1))} 09:00",
        "character_string5": code,
    }


@pytest.mark.parametrize(("label", "told"), [("预约状态", "预约成功"), ("就诊科室", "")])
def test_what_wechat_has_not_approved_is_left_out_and_not_the_whole_message(
    department: BookingDepartment, lin: Person, wechat: WeChat, label: str, told: str
) -> None:
    wechat.templates[wechat_account.TEMPLATE_IDS[1]] = f"就诊人：{{{{thing1.DATA}}}}\n{label}：{{{{const2.DATA}}}}"
    department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    assert [get_field_values(one) for one in wechat.sent] == [{"thing1": "林小雨", "const2": told}]


def test_she_is_told_that_she_has_cancelled(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    department.cancel(lin, book_id)
    run_wechat_jobs(department)
    assert [one["template_id"] for one in wechat.sent] == [
        wechat_account.TEMPLATE_IDS[1],
        wechat_account.TEMPLATE_IDS[2],
    ]
    assert get_field_values(wechat.sent[1])["thing4"] == "患者取消"


def test_she_is_told_that_a_half_day_was_stopped(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    schedule_id = department.create_schedule()
    department.book_slot(lin, schedule_id)
    department.stop_schedule(schedule_id)
    mysql.autocommit.execute("DELETE FROM outbox WHERE job NOT IN ('cancel_stopped_schedule', 'notify_booking')")
    outbox.run_due_jobs()
    for payload in list_jobs(department, "wechat_booking"):
        wechat_messages.send_booking_message(department.hospital.tenant_id, payload)
    assert [get_field_values(one)["thing4"] for one in wechat.sent] == ["停诊"], "that she had booked is true no more"


def test_she_is_told_that_she_is_registered(
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


def test_she_is_reminded_of_a_visit(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
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
        "date3": f"{said(get_iso_date(1))} 08:00",
    }


@pytest.mark.parametrize("told", [EventType.BOOKING_MADE, EventType.BOOKING_REMINDER])
def test_what_comes_after_the_visit_has_begun_is_not_told(
    department: BookingDepartment, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    """As after a WeChat that was away all night."""
    booked = {
        "book_id": int(department.book_slot(lin, department.create_schedule())),
        "user_id": lin.user_id,
        "type": told,
    }
    freeze_clock(monkeypatch, "08:00", ahead=1)
    wechat_messages.send_booking_message(lin.tenant_id, booked)
    assert wechat.sent == []
    freeze_clock(monkeypatch, "07:59")
    wechat_messages.send_booking_message(lin.tenant_id, booked)
    assert len(wechat.sent) == 1


def test_a_missed_visit_is_told_at_no_wechat(department: BookingDepartment, lin: Person) -> None:
    book_id = int(department.book_slot(lin, department.create_schedule()))
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=lin.tenant_id)
    mysql.run_transaction(
        lambda tx: notifications.enqueue(tx, lin.tenant_id, lin.user_id, book_id, EventType.BOOKING_MISSED)
    )
    assert run_notification_jobs(department) == []


def test_done_again_it_is_one_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    for _ in range(3):
        run_wechat_jobs(department)
    assert len(list_jobs(department, "wechat_booking")) == 1
    assert (wechat.calls[SEND_PATH], len(wechat.sent)) == (3, 1)


def test_two_bookings_are_two_messages(
    department: BookingDepartment, lin: Person, wang: Person, wechat: WeChat
) -> None:
    bind_openid(wang, WANG_OPENID)
    schedule_id = department.create_schedule()
    for number, person in enumerate((lin, wang), 1):
        department.book_slot(person, schedule_id, number)
    run_wechat_jobs(department)
    assert sorted(one["touser"] for one in wechat.sent) == sorted([LIN_OPENID, WANG_OPENID])
    assert len({one["client_msg_id"] for one in wechat.sent}) == 2


def test_who_is_not_known_at_wechat_is_told_nothing_there(
    department: BookingDepartment, wang: Person, wechat: WeChat
) -> None:
    department.book_slot(wang, department.create_schedule())
    run_wechat_jobs(department)
    assert wechat.calls.total() == 0


def test_who_has_signed_out_is_told_nothing_there(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    run_wechat_jobs(department)
    assert wechat.sent == []


def test_a_hospital_without_a_template_promises_nothing(department: BookingDepartment, lin: Person) -> None:
    save_template_id(department.hospital, 1, "")
    department.book_slot(lin, department.create_schedule())
    assert run_notification_jobs(department) == []


def test_a_template_or_an_account_that_went_meanwhile_is_no_failure(
    department: BookingDepartment, lin: Person, wechat: WeChat
) -> None:
    department.book_slot(lin, department.create_schedule())
    assert run_notification_jobs(department)
    save_template_id(department.hospital, 1, "")
    run_wechat_jobs(department)
    save_template_id(department.hospital, 1, wechat_account.TEMPLATE_IDS[1])
    mysql.autocommit.execute("DELETE FROM bas_tenant_wechat_mp WHERE tenant_id = %(id)s", id=lin.tenant_id)
    run_wechat_jobs(department)
    assert wechat.sent == []


def test_what_is_told_by_a_template_is_what_is_told() -> None:
    assert notifications.WECHAT_TEMPLATES.keys() == wechat_messages.STATUS_AND_LABEL.keys()
    assert set(notifications.WECHAT_TEMPLATES.values()) == wechat_account.TEMPLATE_IDS.keys() - {5}
