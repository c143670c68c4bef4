"""Whatever WeChat does: a message fails no request, is sent again, and is one."""

import logging

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.booking.jobs import wechat_messages
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from devstack import demo_wechat
from devstack.wechat import WeChat
from tests.booking.ward import Ward, day, rows
from tests.people import Person
from tests.threads import at_once
from tests.wechat.desk import configure
from tests.wechat.telling import LINS, SEND, announce, choose, deliver, promised


@pytest.mark.parametrize("number", [40003, 43004, 47003])
def test_what_trying_again_would_not_mend_is_logged_and_done(
    ward: Ward, lin: Person, wechat: WeChat, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    wechat.failing[SEND] = number
    ward.booked(lin, ward.schedule())
    deliver(ward)
    [line] = [one for one in caplog.records if one.message == "wechat message refused"]
    assert line.__dict__["ids"] == {"kind": 1, "number": number}
    assert LINS not in str([one.__dict__ for one in caplog.records])


def test_a_template_that_the_account_does_not_have_is_logged_and_done(
    ward: Ward, lin: Person, caplog: pytest.LogCaptureFixture
) -> None:
    choose(ward.hospital, 1, "nobodys")
    ward.booked(lin, ward.schedule())
    deliver(ward)
    assert [one.__dict__["ids"]["number"] for one in caplog.records if one.levelno == logging.WARNING] == [40037]


def test_a_template_that_was_chosen_later_is_asked_for_once(ward: Ward, lin: Person, wechat: WeChat) -> None:
    listing = "/cgi-bin/template/get_all_private_template"
    ward.booked(lin, ward.schedule())
    deliver(ward)
    wechat.templates["later"] = "就诊人：{{thing1.DATA}}"
    choose(ward.hospital, 1, "later")
    asked = wechat.calls[listing]
    for ahead in (2, 3):
        ward.booked(lin, ward.schedule(date=day(ahead)))
    deliver(ward)
    assert [one["template_id"] for one in wechat.sent[1:]] == ["later"] * 2
    assert wechat.calls[listing] == asked + 1


@pytest.mark.parametrize("number", [-1, 40164, 45009, 48001])
def test_what_may_mend_is_tried_again(ward: Ward, lin: Person, wechat: WeChat, number: int) -> None:
    wechat.failing[SEND] = number
    ward.booked(lin, ward.schedule())
    with pytest.raises(WechatApiError):
        deliver(ward)
    wechat.failing.clear()
    deliver(ward)
    assert len(wechat.sent) == 1


def test_a_wechat_that_hangs_fails_no_request_and_is_asked_again(
    ward: Ward, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wechat_api, "TIMEOUT_SECONDS", 0.2)
    wechat.open.clear()
    assert ward.submit(lin, ward.schedule()).status == 200
    with pytest.raises(ApiError):
        deliver(ward)
    wechat.open.set()
    configure(ward.hospital)
    deliver(ward)
    assert len(wechat.sent) == 1


def test_the_outbox_tries_again_by_itself(
    ward: Ward, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox"))
    wechat.failing[SEND] = -1
    ward.booked(lin, ward.schedule())
    outbox.run_due_jobs()
    assert outbox.run_due_jobs(outside=True) == 0
    [waiting] = [one for one in rows("outbox", ward.hospital) if one["job"] == "wechat_booking"]
    assert (waiting["waiting"], waiting["tries"]) == (1, 1)
    wechat.failing.clear()
    later = clock.now() + outbox.INITIAL_BACKOFF + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert outbox.run_due_jobs(outside=True) == 1
    assert len(wechat.sent) == 1


def test_the_outbox_is_asked_to_begin_at_once(ward: Ward, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[bool] = []
    monkeypatch.setattr(outbox, "wake_worker", lambda outside=False: begun.append(outside))
    ward.booked(lin, ward.schedule())
    assert begun == [False]
    announce(ward)
    assert begun == [False, True]


def test_a_token_that_ran_out_is_replaced(ward: Ward, lin: Person, wechat: WeChat) -> None:
    ward.booked(lin, ward.schedule())
    announce(ward)
    wechat.failing.clear()
    deliver(ward)
    wechat.expire()
    ward.cancel(lin, str(promised(ward, "tell_booking")[0]["book_id"]))
    deliver(ward)
    assert [one["template_id"] for one in wechat.sent] == [demo_wechat.SENT[1], demo_wechat.SENT[2]]


def test_two_jobs_at_once_are_one_message(ward: Ward, lin: Person, wechat: WeChat) -> None:
    ward.booked(lin, ward.schedule())
    [payload] = announce(ward)
    at_once([lambda: wechat_messages.send_booking_message(lin.tenant_id, payload)] * 4)
    assert len(wechat.sent) == 1
