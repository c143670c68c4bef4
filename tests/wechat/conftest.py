"""A WeChat of its own for each test, and a hospital that it knows."""

from collections.abc import Iterator

import pytest

from devstack import wechat as fake
from devstack.wechat import WeChat
from tests.people import Hospital
from tests.wechat import desk


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
