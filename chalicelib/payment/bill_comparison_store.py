"""MySQL statements that compare a bill with the ledger. Only what differs is read.

Entries are compared in the transaction that has inserted them, so the optimizer's statistics do not know them yet.
Without FORCE INDEX it would read all entries of a bill for each row of the ledger.
"""

from dataclasses import dataclass
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.ledger import LedgerEvent
from chalicelib.billing.orders import OrderState
from chalicelib.billing.refunds_due import RefundState
from chalicelib.payment.bill_store import Bill

# The balance may be changed a moment after a payment, and then in the next day's bill.
POSTING_DELAY = 600 * clock.SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """A day's sums, in fen: WeChat's, and those of the ledger."""

    payment_count: int
    payments: int
    refund_count: int
    refunds: int
    discounts: int
    commission: int
    ledger_payments: int
    ledger_refunds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedEntry:
    """An entry of the bill that does not agree with the ledger, with the order or refund of its number, if any."""

    number: str
    wechat_id: str
    bill_fee: int
    at: int
    book_id: int | None  # None if the ledger does not know the number
    ledger_fee: int | None
    ledger_state: str | None
    ledger_at: int | None  # when it was paid, or accepted as a refund; None if it was not
    was_closed: bool = False  # a refund's number that WeChat Pay closed, for which another one was requested


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingEntry:
    """A payment or refund of the ledger that the bill of its day does not list."""

    number: str
    book_id: int
    ledger_fee: int
    ledger_state: str
    is_elsewhere: bool  # whether another bill lists it


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedFlow:
    """An entry of the trade bill that the fund flow does not agree with."""

    number: str
    wechat_id: str
    expected: int  # fen
    found: int | None  # None if the balance did not change


def compute_totals(tx: Tx, bill: Bill) -> Totals:
    """Return the sums of a bill and of the ledger's same day."""
    entries = tx.fetch_one(
        """
        SELECT COALESCE(SUM(is_refund = 0), 0) AS payment_count, COALESCE(SUM(IF(is_refund, 0, fee)), 0) AS payments,
          COALESCE(SUM(is_refund), 0) AS refund_count, COALESCE(SUM(IF(is_refund, fee, 0)), 0) AS refunds,
          COALESCE(SUM(IF(is_refund, settled - fee, fee - settled)), 0) AS discounts,
          COALESCE(SUM(IF(is_refund, -commission, commission)), 0) AS commission
        FROM bill_entries WHERE bill_id = %(bill_id)s
        """,
        bill_id=bill.bill_id,
    )
    assert entries, "an aggregate has a row"
    ledger_payments = tx.fetch_value(
        """
        SELECT COALESCE(SUM(fee), 0) FROM payments
        WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s AND state = %(success)s
          AND paid_at >= %(begin)s AND paid_at < %(end)s
        """,
        **_list_parameters(bill),
    )
    ledger_refunds = tx.fetch_value(
        """
        SELECT COALESCE(SUM(r.fee), 0) FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
        WHERE r.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s
          AND r.accepted_at >= %(begin)s AND r.accepted_at < %(end)s
        """,
        **_list_parameters(bill),
    )
    sums = {name: int(value) for name, value in entries.items()}
    return Totals(**sums, ledger_payments=int(ledger_payments), ledger_refunds=int(ledger_refunds))


def list_differing_payments(tx: Tx, bill: Bill) -> list[ComparedEntry]:
    """Return the payments of a bill that are not in the ledger, or with another amount, state or day."""
    rows = tx.fetch_all(
        """
        SELECT e.number, e.wechat_id, e.fee AS bill_fee, e.at, p.book_id, p.fee AS ledger_fee, p.state AS ledger_state,
          p.paid_at AS ledger_at
        FROM bill_entries e
        LEFT JOIN payments p ON p.out_trade_no = e.number AND p.tenant_id = e.tenant_id AND p.mch_id = %(mch_id)s
        WHERE e.bill_id = %(bill_id)s AND e.tenant_id = %(tenant_id)s AND e.is_refund = 0
          AND (p.payment_id IS NULL OR p.fee <> e.fee OR p.state <> %(success)s
               OR p.paid_at IS NULL OR p.paid_at < %(begin)s OR p.paid_at >= %(end)s)
        """,
        **_list_parameters(bill),
    )
    return [ComparedEntry(**row) for row in rows]


def list_missing_payments(tx: Tx, bill: Bill) -> list[MissingEntry]:
    """Return the ledger's payments of the day that the bill does not list."""
    rows = tx.fetch_all(
        """
        SELECT p.out_trade_no AS number, p.book_id, p.fee AS ledger_fee, p.state AS ledger_state,
          EXISTS (SELECT 1 FROM bill_entries o
                  WHERE o.number = p.out_trade_no AND o.is_refund = 0 AND o.tenant_id = p.tenant_id) AS is_elsewhere
        FROM payments p
        LEFT JOIN bill_entries e FORCE INDEX (by_number)
          ON e.number = p.out_trade_no AND e.is_refund = 0 AND e.bill_id = %(bill_id)s
        WHERE p.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s AND p.state = %(success)s
          AND p.paid_at >= %(begin)s AND p.paid_at < %(end)s AND e.bill_id IS NULL
        """,
        **_list_parameters(bill),
    )
    return [_build_missing(row) for row in rows]


def list_differing_refunds(tx: Tx, bill: Bill, unfinished_before: int) -> list[ComparedEntry]:
    """Return the refunds of a bill that are not in the ledger, or with another amount, state or day.

    Args:
        unfinished_before: refunds initiated before this instant should have succeeded.
    """
    rows = tx.fetch_all(
        """
        SELECT e.number, e.wechat_id, e.fee AS bill_fee, e.at, r.book_id, r.fee AS ledger_fee, r.state AS ledger_state,
          r.accepted_at AS ledger_at, r.refund_id IS NULL AND EXISTS (
            SELECT 1 FROM payment_ledger l JOIN payments o ON o.payment_id = l.payment_id
            WHERE o.out_trade_no = e.out_trade_no AND l.tenant_id = e.tenant_id AND l.refund_id IS NOT NULL
              AND l.event = %(closed)s AND l.detail = e.number) AS was_closed
        FROM bill_entries e
        LEFT JOIN (refunds r JOIN payments p ON p.payment_id = r.payment_id AND p.mch_id = %(mch_id)s)
          ON r.out_refund_no = e.number AND r.tenant_id = e.tenant_id
        WHERE e.bill_id = %(bill_id)s AND e.tenant_id = %(tenant_id)s AND e.is_refund = 1
          AND (r.refund_id IS NULL OR r.fee <> e.fee OR r.accepted_at IS NULL
               OR r.accepted_at < %(begin)s OR r.accepted_at >= %(end)s
               OR r.state = %(abnormal)s OR (r.state <> %(refunded)s AND e.at < %(unfinished_before)s))
        """,
        **_list_parameters(bill),
        closed=LedgerEvent.CLOSED,
        abnormal=RefundState.ABNORMAL,
        refunded=RefundState.SUCCESS,
        unfinished_before=unfinished_before,
    )
    return [ComparedEntry(**{**row, "was_closed": bool(row["was_closed"])}) for row in rows]


def list_missing_refunds(tx: Tx, bill: Bill) -> list[MissingEntry]:
    """Return the ledger's refunds of the day that the bill does not list."""
    rows = tx.fetch_all(
        """
        SELECT r.out_refund_no AS number, r.book_id, r.fee AS ledger_fee, r.state AS ledger_state,
          EXISTS (SELECT 1 FROM bill_entries o
                  WHERE o.number = r.out_refund_no AND o.is_refund = 1 AND o.tenant_id = r.tenant_id) AS is_elsewhere
        FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
        LEFT JOIN bill_entries e FORCE INDEX (by_number)
          ON e.number = r.out_refund_no AND e.is_refund = 1 AND e.bill_id = %(bill_id)s
        WHERE r.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s
          AND r.accepted_at >= %(begin)s AND r.accepted_at < %(end)s AND e.bill_id IS NULL
        """,
        **_list_parameters(bill),
    )
    return [_build_missing(row) for row in rows]


def count_unfinished_refunds(tx: Tx, bill: Bill) -> int:
    """Return how many refunds of the day have been accepted and have not succeeded yet."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
            WHERE r.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s AND r.state <> %(refunded)s
              AND r.accepted_at >= %(begin)s AND r.accepted_at < %(end)s
            """,
            **_list_parameters(bill),
            refunded=RefundState.SUCCESS,
        )
    )


def list_differing_flows(tx: Tx, bill: Bill) -> list[ComparedFlow]:
    """Return the entries of a bill by which the balance did not change as it should have.

    A refund that is in progress may change it on a later day. Bills of other days count, so that an entry around
    midnight is found.
    """
    rows = tx.fetch_all(
        """
        SELECT number, wechat_id, expected, found FROM (
          SELECT e.number, e.wechat_id, e.is_refund, e.at,
            IF(e.is_refund, e.commission - e.settled, e.settled - e.commission) AS expected,
            (SELECT SUM(f.fee) FROM fund_entries f
             WHERE f.tenant_id = e.tenant_id AND f.wechat_id = e.wechat_id) AS found
          FROM bill_entries e WHERE e.bill_id = %(bill_id)s AND e.tenant_id = %(tenant_id)s
        ) flows
        WHERE found <> expected OR (found IS NULL AND is_refund = 0 AND expected <> 0 AND at < %(posted_before)s)
        """,
        bill_id=bill.bill_id,
        tenant_id=bill.tenant_id,
        posted_before=_find_end_of_fund_bills(tx, bill) - POSTING_DELAY,
    )
    return [ComparedFlow(**{**row, "found": None if row["found"] is None else int(row["found"])}) for row in rows]


def _find_end_of_fund_bills(tx: Tx, bill: Bill) -> int:
    """Return the end of the next day if its fund flow is known, else that of the bill's own."""
    is_next_known = tx.fetch_value(
        """
        SELECT has_fund_bill FROM bills
        WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s AND day = %(day)s + INTERVAL 1 DAY
        """,
        tenant_id=bill.tenant_id,
        mch_id=bill.mch_id,
        day=bill.day,
    )
    return bill.end + (clock.DAY if is_next_known else 0)


def has_ledger_entries(tx: Tx, bill: Bill) -> bool:
    """Return whether the ledger has a payment or refund on the bill's day."""
    found = tx.fetch_value(
        """
        SELECT EXISTS (
            SELECT 1 FROM payments
            WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s AND state = %(success)s
              AND paid_at >= %(begin)s AND paid_at < %(end)s)
          OR EXISTS (
            SELECT 1 FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
            WHERE r.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s
              AND r.accepted_at >= %(begin)s AND r.accepted_at < %(end)s)
        """,
        **_list_parameters(bill),
    )
    return bool(found)


def _list_parameters(bill: Bill) -> dict[str, Any]:
    return {
        "bill_id": bill.bill_id,
        "tenant_id": bill.tenant_id,
        "mch_id": bill.mch_id,
        "begin": bill.begin,
        "end": bill.end,
        "success": OrderState.SUCCESS,
    }


def _build_missing(row: Row) -> MissingEntry:
    return MissingEntry(**{**row, "is_elsewhere": bool(row["is_elsewhere"])})
