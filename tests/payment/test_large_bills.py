"""Storing and comparing a bill costs a constant number of rows for each entry, also before its statistics are known."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.adapters.wechat_pay.bill_files import FundEntry, TradeEntry
from chalicelib.payment import bill_comparison, bill_fetching, bill_store
from tests.payment.test_bills import calendar, desk, pay_booking
from tests.support.bill_client import MORNING, BillDesk
from tests.support.row_reads import count_rows_read

__all__ = ["calendar", "desk"]
pytestmark = pytest.mark.store

PAYMENTS = 1500
MAX_READS = 30  # for each payment; the square would be 1,500


def insert_copies(payment: dict[str, Any]) -> list[dict[str, Any]]:
    """Insert many payments like one that exists, without bookings."""
    columns = [name for name in payment if name not in ("payment_id", "live")]
    copies = [
        {
            **{name: payment[name] for name in columns},
            "out_trade_no": f"copy{payment['payment_id']:08d}{number:08d}",
            "transaction_id": f"42{number:026d}",
            "book_id": 10**12 + number,
        }
        for number in range(PAYMENTS)
    ]
    values = ", ".join(f"%({name})s" for name in columns)
    mysql.autocommit.execute_many(f"INSERT INTO payments ({', '.join(columns)}) VALUES ({values})", copies)
    return copies


def list_trade_entries(payments: list[dict[str, Any]]) -> Iterator[TradeEntry]:
    for one in payments:
        number, wechat_id = one["out_trade_no"], one["transaction_id"]
        yield TradeEntry(
            is_refund=False,
            out_trade_no=number,
            number=number,
            wechat_id=wechat_id,
            state="SUCCESS",
            fee=one["fee"],
            settled=one["fee"],
            commission=8,
            at=one["paid_at"],
        )


def test_rows_read_grow_with_the_entries_and_not_with_their_square(desk: BillDesk) -> None:
    payments = insert_copies(pay_booking(desk))
    desk.travel(1, MORNING)
    for account in bill_store.list_accounts(mysql.autocommit):
        bill_fetching._insert_missing(account)
    [bill] = bill_store.list_due(mysql.autocommit, 1)
    flows = [FundEntry(wechat_id=one["transaction_id"], fee=one["fee"] - 8) for one in payments]

    def store_and_compare(tx: Tx) -> int:
        bill_store.replace_entries(tx, bill_store.lock(tx, bill.bill_id), list_trade_entries(payments), flows, "")
        return bill_comparison.compare(tx, bill_store.lock(tx, bill.bill_id))

    new, reads = mysql.run_transaction(lambda tx: count_rows_read(tx, lambda: store_and_compare(tx)))
    assert (new, [one[1] for one in desk.list_open()]) == (1, ["payment_not_in_bill"])
    assert reads < PAYMENTS * MAX_READS
