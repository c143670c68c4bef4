"""What becomes of a booking is told at its holder's WeChat, once."""

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import wechat_messages
from chalicelib.booking.reservations import notifications
from chalicelib.identity import tokens
from chalicelib.outbox import outbox
from devstack import demo_wechat
from devstack.wechat import WeChat
from tests.booking.ward import Ward, day, stopped_clock
from tests.people import Person
from tests.wechat.desk import APP_ID, SITE
from tests.wechat.telling import LINS, SEND, WANGS, announce, bind, choose, deliver, promised, shown

pytestmark = pytest.mark.store


def said(instant: str) -> str:
    year, month, dom = instant.split("-")
    return f"{year}年{int(month)}月{int(dom)}日"


def test_lin_is_told_that_she_has_booked(ward: Ward, lin: Person, wechat: WeChat) -> None:
    book_id = ward.booked(lin, ward.schedule(), 2)
    assert wechat.sent == [], "the request itself asks WeChat nothing"
    deliver(ward)
    [message] = wechat.sent
    code = ward.book(lin, book_id).data["bookCode"]
    assert (message["touser"], message["template_id"]) == (LINS, demo_wechat.SENT[1])
    assert (message["url"], message["app_id"]) == (f"{SITE}/personal", APP_ID)
    assert shown(message) == {
        "thing1": "林小雨",
        "thing2": "呼吸内科",
        "thing3": "陈医生",
        "time4": f"{said(day(1))} 09:00",
        "character_string5": code,
    }


@pytest.mark.parametrize(("label", "told"), [("预约状态", "预约成功"), ("就诊科室", "")])
def test_what_wechat_has_not_approved_is_left_out_and_not_the_whole_message(
    ward: Ward, lin: Person, wechat: WeChat, label: str, told: str
) -> None:
    wechat.templates[demo_wechat.SENT[1]] = f"就诊人：{{{{thing1.DATA}}}}\n{label}：{{{{const2.DATA}}}}"
    ward.booked(lin, ward.schedule())
    deliver(ward)
    assert [shown(one) for one in wechat.sent] == [{"thing1": "林小雨", "const2": told}]


def test_she_is_told_that_she_has_cancelled(ward: Ward, lin: Person, wechat: WeChat) -> None:
    book_id = ward.booked(lin, ward.schedule())
    deliver(ward)
    ward.cancel(lin, book_id)
    deliver(ward)
    assert [one["template_id"] for one in wechat.sent] == [demo_wechat.SENT[1], demo_wechat.SENT[2]]
    assert shown(wechat.sent[1])["thing4"] == "患者取消"


def test_she_is_told_that_a_half_day_was_stopped(ward: Ward, lin: Person, wechat: WeChat) -> None:
    schedule_id = ward.schedule()
    ward.booked(lin, schedule_id)
    ward.stop(schedule_id)
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox WHERE job NOT IN ('stop_schedule', 'tell_booking')"))
    outbox.run_due_jobs()
    for payload in promised(ward, "wechat_booking"):
        wechat_messages.send_booking_message(ward.hospital.tenant_id, payload)
    assert [shown(one)["thing4"] for one in wechat.sent] == ["停诊"], "that she had booked is true no more"


def test_she_is_told_that_she_is_registered(
    ward: Ward, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = ward.booked(lin, ward.schedule(), 3)
    stopped_clock(monkeypatch, "08:00", ahead=1)
    ward.register(book_id=book_id)
    deliver(ward)
    [message] = wechat.sent
    assert shown(message) == {"keyword1": "林小雨", "keyword2": "呼吸内科", "keyword3": "3", "keyword4": "A 区"}


def test_she_is_reminded_of_a_visit(ward: Ward, lin: Person, wechat: WeChat) -> None:
    book_id = int(ward.booked(lin, ward.schedule()))
    booking = {"book_id": book_id, "user_id": lin.user_id, "tenant_id": lin.tenant_id}
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=lin.tenant_id))
    mysql.run_transaction(lambda tx: notifications.enqueue(tx, booking, notifications.REMINDED))
    deliver(ward)
    [message] = wechat.sent
    assert shown(message) == {"name1": "林小雨", "name2": "陈医生", "date3": f"{said(day(1))} 08:00"}


@pytest.mark.parametrize("told", [notifications.BOOKED, notifications.REMINDED])
def test_what_comes_after_the_visit_has_begun_is_not_told(
    ward: Ward, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    """As after a WeChat that was away all night."""
    booked = {"book_id": int(ward.booked(lin, ward.schedule())), "user_id": lin.user_id, "type": told}
    stopped_clock(monkeypatch, "08:00", ahead=1)
    wechat_messages.send_booking_message(lin.tenant_id, booked)
    assert wechat.sent == []
    stopped_clock(monkeypatch, "07:59")
    wechat_messages.send_booking_message(lin.tenant_id, booked)
    assert len(wechat.sent) == 1


def test_a_missed_visit_is_told_at_no_wechat(ward: Ward, lin: Person) -> None:
    booking = {"book_id": int(ward.booked(lin, ward.schedule())), "user_id": lin.user_id, "tenant_id": lin.tenant_id}
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=lin.tenant_id))
    mysql.run_transaction(lambda tx: notifications.enqueue(tx, booking, notifications.MISSED))
    assert announce(ward) == []


def test_done_again_it_is_one_message(ward: Ward, lin: Person, wechat: WeChat) -> None:
    ward.booked(lin, ward.schedule())
    for _ in range(3):
        deliver(ward)
    assert len(promised(ward, "wechat_booking")) == 1
    assert (wechat.calls[SEND], len(wechat.sent)) == (3, 1)


def test_two_bookings_are_two_messages(ward: Ward, lin: Person, wang: Person, wechat: WeChat) -> None:
    bind(wang, WANGS)
    schedule_id = ward.schedule()
    for number, person in enumerate((lin, wang), 1):
        ward.booked(person, schedule_id, number)
    deliver(ward)
    assert sorted(one["touser"] for one in wechat.sent) == sorted([LINS, WANGS])
    assert len({one["client_msg_id"] for one in wechat.sent}) == 2


def test_who_is_not_known_at_wechat_is_told_nothing_there(ward: Ward, wang: Person, wechat: WeChat) -> None:
    ward.booked(wang, ward.schedule())
    deliver(ward)
    assert wechat.calls.total() == 0


def test_who_has_signed_out_is_told_nothing_there(ward: Ward, lin: Person, wechat: WeChat) -> None:
    ward.booked(lin, ward.schedule())
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    deliver(ward)
    assert wechat.sent == []


def test_a_hospital_without_a_template_promises_nothing(ward: Ward, lin: Person) -> None:
    choose(ward.hospital, 1, "")
    ward.booked(lin, ward.schedule())
    assert announce(ward) == []


def test_a_template_or_an_account_that_went_meanwhile_is_no_failure(ward: Ward, lin: Person, wechat: WeChat) -> None:
    ward.booked(lin, ward.schedule())
    assert announce(ward)
    choose(ward.hospital, 1, "")
    deliver(ward)
    choose(ward.hospital, 1, demo_wechat.SENT[1])
    mysql.run_autocommit(
        lambda tx: tx.execute("DELETE FROM bas_tenant_wechat_mp WHERE tenant_id = %(id)s", id=lin.tenant_id)
    )
    deliver(ward)
    assert wechat.sent == []


def test_what_is_told_by_a_template_is_what_is_told() -> None:
    assert notifications.WECHAT_TEMPLATES.keys() == wechat_messages.STATUS_AND_LABEL.keys()
    assert set(notifications.WECHAT_TEMPLATES.values()) == demo_wechat.SENT.keys() - {5}
