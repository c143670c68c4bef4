"""MySQL statements for the differences between bills and the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.payment.bill_store import Bill


class DifferenceKind(StrEnum):
    """bill_differences.kind."""

    PAYMENT_NOT_IN_LEDGER = "payment_not_in_ledger"
    PAYMENT_NOT_IN_BILL = "payment_not_in_bill"
    PAYMENT_AMOUNT = "payment_amount"
    PAYMENT_STATE = "payment_state"  # the ledger does not count it as paid
    PAYMENT_DAY = "payment_day"  # bill and ledger count it on different days
    REFUND_NOT_IN_LEDGER = "refund_not_in_ledger"
    REFUND_NOT_IN_BILL = "refund_not_in_bill"
    REFUND_AMOUNT = "refund_amount"
    REFUND_STATE = "refund_state"  # the ledger does not know that WeChat Pay has accepted it
    REFUND_DAY = "refund_day"
    REFUND_LATE = "refund_late"  # it was accepted, but has not succeeded after days
    REFUND_CLOSED = "refund_closed"  # WeChat Pay closed it later, and it was requested under another number
    FUND_MISSING = "fund_missing"  # the balance did not change
    FUND_AMOUNT = "fund_amount"  # the balance changed by another amount


class DifferenceState(StrEnum):
    """bill_differences.state."""

    OPEN = "open"
    RESOLVED = "resolved"  # by an admin, or because a later comparison no longer found it


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDifference:
    """A difference that a comparison has found. Amounts are in fen."""

    kind: DifferenceKind
    number: str  # out_trade_no or out_refund_no
    wechat_id: str = ""  # "" where the bill has no entry
    book_id: int | None = None
    bill_fee: int | None  # what the bill counts on the day
    ledger_fee: int | None  # what the ledger counts on the day
    ledger_state: str = ""  # of the order or refund


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(FoundDifference):
    """A stored difference."""

    difference_id: int
    mch_id: str
    day: date
    state: DifferenceState
    found_at: int
    resolved_at: int | None
    resolved_by: int | None  # user_id; None if a later comparison no longer found it
    resolved_by_name: str
    note: str


@dataclass(frozen=True, slots=True)
class DifferenceFilter:
    """Which differences to list; None matches all."""

    day: date | None = None
    state: str | None = None
    kind: str | None = None
    before: int | None = None  # difference_id after which the page begins
    difference_id: int | None = None


SELECT_DIFFERENCE = """
    SELECT d.difference_id, b.mch_id, d.day, d.kind, d.number, d.wechat_id, d.book_id, d.bill_fee, d.ledger_fee,
      d.ledger_state, d.state, d.found_at, d.resolved_at, d.resolved_by, COALESCE(s.name, '') AS resolved_by_name,
      d.note
    FROM bill_differences d JOIN bills b ON b.bill_id = d.bill_id
    LEFT JOIN staff s ON s.user_id = d.resolved_by AND s.tenant_id = d.tenant_id
"""


def list_differences(tx: Tx, tenant_id: int, wanted: DifferenceFilter, limit: int) -> list[Difference]:
    """Return differences of a hospital, the newest first."""
    rows = tx.fetch_all(
        f"""
        {SELECT_DIFFERENCE} WHERE d.tenant_id = %(tenant_id)s
          {"AND d.day = %(day)s" if wanted.day else ""}
          {"AND d.state = %(state)s" if wanted.state else ""}
          {"AND d.kind = %(kind)s" if wanted.kind else ""}
          {"AND d.difference_id < %(before)s" if wanted.before else ""}
          {"AND d.difference_id = %(difference_id)s" if wanted.difference_id else ""}
        ORDER BY d.difference_id DESC LIMIT %(limit)s
        """,
        tenant_id=tenant_id,
        day=wanted.day,
        state=wanted.state,
        kind=wanted.kind,
        before=wanted.before,
        difference_id=wanted.difference_id,
        limit=limit,
    )
    return [_build_difference(row) for row in rows]


def list_of_bill(tx: Tx, bill: Bill) -> list[Difference]:
    """Return all differences of a bill."""
    rows = tx.fetch_all(f"{SELECT_DIFFERENCE} WHERE d.bill_id = %(bill_id)s", bill_id=bill.bill_id)
    return [_build_difference(row) for row in rows]


def insert_or_reopen(tx: Tx, bill: Bill, found: Sequence[FoundDifference]) -> None:
    """Store differences of a locked bill as open, with their present amounts."""
    tx.execute_many(
        """
        INSERT INTO bill_differences
          (tenant_id, bill_id, day, kind, number, wechat_id, book_id, bill_fee, ledger_fee, ledger_state, state,
           found_at)
        VALUES
          (%(tenant_id)s, %(bill_id)s, %(day)s, %(kind)s, %(number)s, %(wechat_id)s, %(book_id)s, %(bill_fee)s,
           %(ledger_fee)s, %(ledger_state)s, %(open)s, %(now)s)
        ON DUPLICATE KEY UPDATE found_at = IF(state = VALUES(state), found_at, VALUES(found_at)), state = VALUES(state),
          wechat_id = VALUES(wechat_id), book_id = VALUES(book_id), bill_fee = VALUES(bill_fee),
          ledger_fee = VALUES(ledger_fee), ledger_state = VALUES(ledger_state), resolved_at = NULL, resolved_by = NULL,
          note = ''
        """,
        [
            {
                "tenant_id": bill.tenant_id,
                "bill_id": bill.bill_id,
                "day": bill.day,
                "kind": one.kind.value,
                "number": one.number,
                "wechat_id": one.wechat_id,
                "book_id": one.book_id,
                "bill_fee": one.bill_fee,
                "ledger_fee": one.ledger_fee,
                "ledger_state": one.ledger_state,
                "open": DifferenceState.OPEN.value,
                "now": clock.now(),
            }
            for one in found
        ],
    )


def close_vanished(tx: Tx, bill: Bill, difference_ids: Sequence[int]) -> None:
    """Mark open differences of a locked bill as resolved, because a comparison no longer finds them."""
    tx.execute(
        """
        UPDATE bill_differences SET state = %(resolved)s, resolved_at = %(now)s
        WHERE bill_id = %(bill_id)s AND difference_id IN %(difference_ids)s AND state = %(open)s
        """,
        bill_id=bill.bill_id,
        difference_ids=list(difference_ids),
        resolved=DifferenceState.RESOLVED,
        open=DifferenceState.OPEN,
        now=clock.now(),
    )


def resolve(tx: Tx, tenant_id: int, difference_id: int, resolved_by: int, note: str) -> bool:
    """Mark an open difference as resolved by an admin; return False if there is none or it is resolved already."""
    changed = tx.execute(
        """
        UPDATE bill_differences
        SET state = %(resolved)s, resolved_at = %(now)s, resolved_by = %(resolved_by)s, note = %(note)s
        WHERE difference_id = %(difference_id)s AND tenant_id = %(tenant_id)s AND state = %(open)s
        """,
        tenant_id=tenant_id,
        difference_id=difference_id,
        resolved_by=resolved_by,
        note=note,
        resolved=DifferenceState.RESOLVED,
        open=DifferenceState.OPEN,
        now=clock.now(),
    )
    return changed == 1


def _build_difference(row: Row) -> Difference:
    parsed = {"kind": DifferenceKind(row["kind"]), "state": DifferenceState(row["state"])}
    return Difference(**{**row, **parsed})
