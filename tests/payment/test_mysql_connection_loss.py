"""wechat/pay/notify while the line to MySQL breaks: whole or not at all, and WeChat tells again.

Not of the store's tests: the line is read on the way, and MySQL itself would have it encrypted.
"""

import pytest

from tests.faults.conftest import mysql_proxy
from tests.support.faults.tcp_proxy import Proxy
from tests.support.payment_client import Checkout

__all__ = ["mysql_proxy"]


@pytest.mark.parametrize(
    "question", [b"SET state = 'paid'", b"SET payment_state = 2", b"INSERT INTO outbox", b"COMMIT"]
)
def test_where_the_line_to_mysql_breaks_wechat_tells_again(
    checkout: Checkout, mysql_proxy: Proxy, question: bytes
) -> None:
    book_id = checkout.book_slot()
    notice = checkout.pay_without_notification(book_id)
    with mysql_proxy.lose_answer_to(question) as lost:
        assert checkout.deliver_notification(notice).status == 503
        assert lost.wait(10)
    was_paid = question == b"COMMIT"  # whole or not at all
    assert checkout.get_booking_state(book_id) == (0, 2 if was_paid else 1)
    assert bool(checkout.list_jobs("notify_payment")) is was_paid
    assert checkout.deliver_notification(notice).status == 200
    assert checkout.get_booking_state(book_id) == (0, 2)
    assert [one for one in checkout.list_ledger() if one[0] == "paid"] == [("paid", "notification")]
