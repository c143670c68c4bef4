"""A WeChat Pay of its own for each test, and a hospital that patients pay through it.

What is promised waits for the test, and goes with it: other tests' outbox would do it, while they break something.
"""

from collections.abc import Iterator

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from devstack.fakes import wechat_pay as fake
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client as tills
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout


@pytest.fixture
def pay(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatPay]:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_, **__: None)
    with fake.replace_real_server() as running:
        yield running
    mysql.autocommit.execute("DELETE FROM outbox WHERE pending = 1")


@pytest.fixture
def checkout(hospital: Hospital, pay: WeChatPay) -> Checkout:
    return tills.create_checkout(hospital, pay)
