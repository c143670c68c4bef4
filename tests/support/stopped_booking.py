"""A hospital that sends SMS, to which WeChat reports, and a booking of Lin that it has cancelled."""

import pytest

from chalicelib.adapters import mysql
from devstack.fakes import wechat_callbacks
from devstack.fakes.wechat import WeChat
from devstack.fakes.wechat_callbacks import CallbackTarget
from tests.support import ladder_client
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Person
from tests.support.ladder_client import Time, run_jobs
from tests.support.wechat_callback_client import report, set_up
from tests.support.wechat_notifications import LIN_OPENID

STOPPED = 1102


@pytest.fixture
def target(time: Time, department: BookingDepartment) -> CallbackTarget:
    """The hospital sends SMS, and WeChat reports to us."""
    assert time.now
    ladder_client.save_templates(department.hospital)
    department.save_rules(hold_hours=0)
    return set_up(department.hospital)


@pytest.fixture
def stopped(target: CallbackTarget, department: BookingDepartment, lin: Person, wechat: WeChat) -> str:
    """A booking of Lin, cancelled by the hospital: its message is sent to WeChat."""
    assert target.token
    book_id = stop(department, lin)
    assert [one["touser"] for one in wechat.sent] == [LIN_OPENID]
    return book_id


def stop(department: BookingDepartment, patient: Person) -> str:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(patient, schedule_id, 2)
    mysql.autocommit.execute("DELETE FROM outbox")
    assert department.stop_schedule(schedule_id, reason="医生外出").status == 200
    run_jobs()
    return book_id


def report_result(target: CallbackTarget, status: str = "success", msg_id: int = 1) -> None:
    response = report(target, wechat_callbacks.build_template_result(LIN_OPENID, msg_id, status))
    assert (response.status, response.content) == (200, b"success")
    run_jobs()
