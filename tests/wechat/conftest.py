"""A WeChat of its own for each test, and a hospital that it knows."""

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
    """A hospital whose account is set up."""
    assert wechat.url
    assert wechat_client.configure(hospital).status == 200
    return hospital


@pytest.fixture
def department(configured_hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> BookingDepartment:
    """Of a hospital that sends every kind, and knows Lin at WeChat. What is promised waits for the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    for kind, template_id in wechat_account.TEMPLATE_IDS.items():
        wechat_notifications.save_template_id(configured_hospital, kind, template_id)
    wechat_notifications.bind_openid(configured_hospital.lin, wechat_notifications.LIN_OPENID)
    return wards.create_department(configured_hospital)
