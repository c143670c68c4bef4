"""Failures of WeChat: they do not fail requests, messages are retried and delivered once."""

import logging

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, wechat_api
from chalicelib.adapters.wechat_api import WechatApiError
from chalicelib.booking.jobs import wechat_messages
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.wechat_account.templates import TemplateKind
from devstack.demo import wechat_account
from devstack.fakes.wechat import WeChat
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.factories import Person
from tests.support.threads import run_in_threads
from tests.support.wechat_client import configure
from tests.support.wechat_notifications import (
    LIN_OPENID,
    SEND_PATH,
    list_jobs,
    run_notification_jobs,
    run_wechat_jobs,
    save_template_id,
)


@pytest.mark.parametrize("number", [40003, 43004, 47003])
def test_permanent_error_is_logged_and_not_retried(
    department: BookingDepartment, lin: Person, wechat: WeChat, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    wechat.failures[SEND_PATH] = number
    department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    [line] = [one for one in caplog.records if one.message == "wechat message rejected"]
    assert line.__dict__["ids"] == {"kind": 1, "errcode": number}
    assert LIN_OPENID not in str([one.__dict__ for one in caplog.records])


def test_unknown_template_is_logged_and_not_retried(
    department: BookingDepartment, lin: Person, caplog: pytest.LogCaptureFixture
) -> None:
    save_template_id(department.hospital, TemplateKind.BOOKED, "unknown")
    department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    assert [one.__dict__["ids"]["errcode"] for one in caplog.records if one.levelno == logging.WARNING] == [40037]


def test_content_of_a_new_template_is_fetched_once(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    list_path = "/cgi-bin/template/get_all_private_template"
    department.book_slot(lin, department.create_schedule())
    run_wechat_jobs(department)
    wechat.templates["later"] = "就诊人：{{thing1.DATA}}"
    save_template_id(department.hospital, TemplateKind.BOOKED, "later")
    calls_before = wechat.calls[list_path]
    for ahead in (2, 3):
        department.book_slot(lin, department.create_schedule(date=get_iso_date(ahead)))
    run_wechat_jobs(department)
    assert [one["template_id"] for one in wechat.sent[1:]] == ["later"] * 2
    assert wechat.calls[list_path] == calls_before + 1


@pytest.mark.parametrize("number", [-1, 40164, 45009, 48001])
def test_transient_error_is_retried(department: BookingDepartment, lin: Person, wechat: WeChat, number: int) -> None:
    wechat.failures[SEND_PATH] = number
    department.book_slot(lin, department.create_schedule())
    with pytest.raises(WechatApiError):
        run_wechat_jobs(department)
    wechat.failures.clear()
    run_wechat_jobs(department)
    assert len(wechat.sent) == 1


def test_timeout_of_wechat_fails_no_request_and_is_retried(
    department: BookingDepartment, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wechat_api, "TIMEOUT_SECONDS", 0.2)
    wechat.accepting.clear()
    assert department.submit(lin, department.create_schedule()).status == 200
    with pytest.raises(ApiError):
        run_wechat_jobs(department)
    wechat.accepting.set()
    configure(department.hospital)
    run_wechat_jobs(department)
    assert len(wechat.sent) == 1


def test_outbox_retries_after_backoff(
    department: BookingDepartment, lin: Person, wechat: WeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.autocommit.execute("DELETE FROM outbox")
    wechat.failures[SEND_PATH] = -1
    department.book_slot(lin, department.create_schedule())
    outbox.run_due_jobs()
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    [waiting] = [one for one in list_rows("outbox", department.hospital) if one["job"] == "wechat_booking"]
    assert (waiting["pending"], waiting["attempts"]) == (1, 1)
    wechat.failures.clear()
    later = clock.now() + outbox.INITIAL_BACKOFF + clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 1
    assert len(wechat.sent) == 1


def test_outbox_workers_are_woken(department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[Queue] = []
    monkeypatch.setattr(outbox, "wake_worker", lambda queue=Queue.INTERNAL: woken.append(queue))
    department.book_slot(lin, department.create_schedule())
    assert woken == [Queue.INTERNAL]
    run_notification_jobs(department)
    assert woken == [Queue.INTERNAL, Queue.EXTERNAL]


def test_expired_token_is_replaced(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    run_notification_jobs(department)
    wechat.failures.clear()
    run_wechat_jobs(department)
    wechat.expire_tokens()
    department.cancel(lin, str(list_jobs(department, "notify_booking")[0]["book_id"]))
    run_wechat_jobs(department)
    assert [one["template_id"] for one in wechat.sent] == [
        wechat_account.TEMPLATE_IDS[TemplateKind.BOOKED],
        wechat_account.TEMPLATE_IDS[TemplateKind.CANCELLED],
    ]


def test_concurrent_jobs_send_one_message(department: BookingDepartment, lin: Person, wechat: WeChat) -> None:
    department.book_slot(lin, department.create_schedule())
    [payload] = run_notification_jobs(department)
    run_in_threads([lambda: wechat_messages.send_booking_message(lin.tenant_id, payload)] * 4)
    assert len(wechat.sent) == 1
