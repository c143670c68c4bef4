"""wechat/pay/notify while the line to MySQL breaks: whole or not at all, and WeChat tells again.

Not of the store's tests: the line is read on the way, and MySQL itself would have it encrypted.
"""

import pytest

from tests.faults.conftest import line
from tests.faults.proxy import Proxy
from tests.payment.till import Till

__all__ = ["line"]


@pytest.mark.parametrize("question", [b"SET state = 'paid'", b"SET charge = 2", b"INSERT INTO outbox", b"COMMIT"])
def test_where_the_line_to_mysql_breaks_wechat_tells_again(till: Till, line: Proxy, question: bytes) -> None:
    book_id = till.booked()
    notice = till.pays(book_id)
    with line.losing_the_answer_to(question) as lost:
        assert till.told(notice).status == 503
        assert lost.wait(10)
    was_paid = question == b"COMMIT"  # whole or not at all
    assert till.charge(book_id) == (0, 2 if was_paid else 1)
    assert bool(till.promised("tell_payment")) is was_paid
    assert till.told(notice).status == 200
    assert till.charge(book_id) == (0, 2)
    assert [one for one in till.ledger() if one[0] == "paid"] == [("paid", "notice")]
