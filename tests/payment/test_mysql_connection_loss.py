"""wechat/pay/notify while the connection to MySQL breaks: a notification is applied completely or not at all.

Not marked as a store test: the proxy reads the traffic, which MySQL, unlike MariaDB, would encrypt.
"""

import pytest

from tests.faults.conftest import mysql_proxy
from tests.support.faults.tcp_proxy import Proxy
from tests.support.payment_client import BOOKED_PAID, BOOKED_UNPAID, Checkout

__all__ = ["mysql_proxy"]


@pytest.mark.parametrize(
    "statement", [b"SET state = 'success'", b"SET payment_state = 2", b"INSERT INTO outbox", b"COMMIT"]
)
def test_notification_is_applied_after_a_connection_loss(
    checkout: Checkout, mysql_proxy: Proxy, statement: bytes
) -> None:
    book_id = checkout.book_slot()
    notification = checkout.pay_without_notification(book_id)
    with mysql_proxy.lose_response_to(statement) as lost:
        assert checkout.deliver_notification(notification).status == 503
        assert lost.wait(10)
    was_paid = statement == b"COMMIT"
    assert checkout.get_booking_state(book_id) == (BOOKED_PAID if was_paid else BOOKED_UNPAID)
    assert bool(checkout.list_jobs("notify_payment")) is was_paid
    assert checkout.deliver_notification(notification).status == 200
    assert checkout.get_booking_state(book_id) == BOOKED_PAID
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "notification")]
