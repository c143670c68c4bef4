"""A fake WeChat server for each test, and a hospital with an account there."""

from collections.abc import Iterator

import pytest

from chalicelib.outbox import outbox
from devstack.demo import wechat_account
from devstack.fakes import wechat as fake
from devstack.fakes.wechat import WeChat
from tests.support import booking_client as wards
from tests.support import wechat_client, wechat_notifications
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    with fake.replace_real_server() as running:
        running.accounts[wechat_client.APP_ID] = wechat_client.SECRET
        yield running


@pytest.fixture
def configured_hospital(hospital: Hospital, wechat: WeChat) -> Hospital:
    """A hospital whose official account is configured."""
    assert wechat.url
    assert wechat_client.configure(hospital).status == 200
    return hospital


@pytest.fixture
def department(configured_hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> BookingDepartment:
    """A department of a hospital that sends all kinds of messages; Lin's openid is bound. Jobs wait for the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    for kind, template_id in wechat_account.TEMPLATE_IDS.items():
        wechat_notifications.save_template_id(configured_hospital, kind, template_id)
    wechat_notifications.bind_openid(configured_hospital.lin, wechat_notifications.LIN_OPENID)
    department = wards.create_department(configured_hospital)
    assert department.save_rules(quiet_from=0, quiet_to=0).status == 200, "tests run at any hour"
    return department
