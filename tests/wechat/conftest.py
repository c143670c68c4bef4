"""A WeChat of its own for each test, and a hospital that it knows."""

from collections.abc import Iterator

import pytest

from chalicelib.outbox import outbox
from devstack import demo_wechat
from devstack import wechat as fake
from devstack.wechat import WeChat
from tests.booking import ward as wards
from tests.booking.ward import Ward
from tests.people import Hospital
from tests.wechat import desk, telling


@pytest.fixture
def wechat() -> Iterator[WeChat]:
    with fake.standing_in() as running:
        running.accounts[desk.APP_ID] = desk.SECRET
        yield running


@pytest.fixture
def known(hospital: Hospital, wechat: WeChat) -> Hospital:
    """A hospital whose account is set up."""
    assert wechat.url
    assert desk.configure(hospital).status == 200
    return hospital


@pytest.fixture
def ward(known: Hospital, monkeypatch: pytest.MonkeyPatch) -> Ward:
    """Of a hospital that sends every kind, and knows Lin at WeChat. What is promised waits for the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda **_: None)
    for kind, template_id in demo_wechat.SENT.items():
        telling.choose(known, kind, template_id)
    telling.bind(known.lin, telling.LINS)
    return wards.ward(known)
