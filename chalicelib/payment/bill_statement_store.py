"""MySQL statements for daily statements: the sums that bills.comparison stores, over all accounts of a hospital."""

from dataclasses import asdict, dataclass
from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.payment.bill_comparison_store import Totals
from chalicelib.payment.bill_difference_store import DifferenceState
from chalicelib.payment.bill_store import Bill, BillState


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """The statement of a hospital's day. Amounts are in fen, None until all its bills have been compared."""

    day: date
    state: BillState  # of the bill that is furthest from complete
    error: str
    fund_error: str
    fetched_at: int | None
    payment_count: int | None
    payments: int | None
    refund_count: int | None
    refunds: int | None
    discounts: int | None
    commission: int | None
    ledger_payments: int | None
    ledger_refunds: int | None
    open_differences: int


_FURTHEST_FROM_COMPLETE_FIRST = (
    BillState.WAITING.value,
    BillState.EXPIRED.value,
    BillState.FETCHED.value,
    BillState.EMPTY.value,
)
_SUMS = ("payment_count", "payments", "refund_count", "refunds", "discounts", "commission")
_LEDGER_SUMS = ("ledger_payments", "ledger_refunds")
# SUM ignores NULL, but the sum of a day is not known while a bill's is not.
_SUM_COLUMNS = ", ".join(
    f"IF(COUNT(b.{name}) = COUNT(*), SUM(b.{name}), NULL) AS {name}" for name in (*_SUMS, *_LEDGER_SUMS)
)


def store_totals(tx: Tx, bill: Bill, totals: Totals, check_at: int | None) -> None:
    """Store the sums of a bill that was compared, and when to compare it again."""
    assignments = ", ".join(f"{name} = %({name})s" for name in (*_SUMS, *_LEDGER_SUMS))
    tx.execute(
        f"""
        UPDATE bills SET {assignments}, compared_at = %(now)s, check_at = %(check_at)s, attempts = 0
        WHERE bill_id = %(bill_id)s
        """,
        **asdict(totals),
        bill_id=bill.bill_id,
        check_at=check_at,
        now=clock.now(),
    )


def list_statements(tx: Tx, tenant_id: int, since: date, until: date, offset: int, limit: int) -> list[Statement]:
    """Return the statements of the days from `since` to `until`, the newest first."""
    rows = tx.fetch_all(
        f"""
        SELECT b.day, GROUP_CONCAT(b.state) AS states, MAX(b.error) AS error, MAX(b.fund_error) AS fund_error,
          MIN(b.fetched_at) AS fetched_at, {_SUM_COLUMNS},
          (SELECT COUNT(*) FROM bill_differences d
           WHERE d.tenant_id = b.tenant_id AND d.day = b.day AND d.state = %(open)s) AS open_differences
        FROM bills b WHERE b.tenant_id = %(tenant_id)s AND b.day BETWEEN %(since)s AND %(until)s
        GROUP BY b.tenant_id, b.day ORDER BY b.day DESC LIMIT %(limit)s OFFSET %(offset)s
        """,
        tenant_id=tenant_id,
        since=since,
        until=until,
        open=DifferenceState.OPEN,
        limit=limit,
        offset=offset,
    )
    return [_build_statement(row) for row in rows]


def count_days(tx: Tx, tenant_id: int, since: date, until: date) -> int:
    """Return how many days from `since` to `until` have a bill."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(DISTINCT day) FROM bills
            WHERE tenant_id = %(tenant_id)s AND day BETWEEN %(since)s AND %(until)s
            """,
            tenant_id=tenant_id,
            since=since,
            until=until,
        )
    )


def _build_statement(row: Row) -> Statement:
    states = row.pop("states").split(",")
    sums = {name: None if row[name] is None else int(row[name]) for name in (*_SUMS, *_LEDGER_SUMS)}
    state = min(states, key=_FURTHEST_FROM_COMPLETE_FIRST.index)
    return Statement(**{**row, **sums, "state": BillState(state)})
