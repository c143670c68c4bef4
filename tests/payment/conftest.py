"""A fake WeChat Pay for each test, and a hospital with a merchant account there.

Jobs wait for the test and are deleted after it: otherwise other tests would run them while they simulate failures.
"""

from collections.abc import Iterator

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from devstack.fakes import wechat_pay as fake
from devstack.fakes.wechat_pay import WeChatPay
from tests.support import payment_client
from tests.support.factories import Hospital
from tests.support.payment_client import Checkout


@pytest.fixture
def pay(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeChatPay]:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_, **__: None)
    # Reconciliation covers all hospitals. It must not query this test's fake about what other tests have left.
    for table in ("payments", "refunds"):
        mysql.autocommit.execute(f"UPDATE {table} SET check_at = %(never)s", never=1 << 62)
    with fake.replace_real_server() as running:
        yield running
    mysql.autocommit.execute("DELETE FROM outbox WHERE pending = 1")


@pytest.fixture
def checkout(hospital: Hospital, pay: WeChatPay) -> Checkout:
    return payment_client.create_checkout(hospital, pay)
