"""A WeChat Pay of its own for each test, and a hospital that patients pay through it.

What is promised waits for the test, and goes with it: other tests' outbox would do it, while they break something.
"""

from collections.abc import Iterator

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from devstack import wechat_pay as fake
from devstack.wechat_pay import WeChatPay
from tests.payment import till as tills
from tests.payment.till import Till
from tests.people import Hospital


@pytest.fixture
def pay(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatPay]:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_, **__: None)
    with fake.standing_in() as running:
        yield running
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox WHERE waiting = 1"))


@pytest.fixture
def till(hospital: Hospital, pay: WeChatPay) -> Till:
    return tills.opened(hospital, pay)
