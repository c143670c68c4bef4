"""MySQL statements for the daily bills: which exist, which are due, and their entries."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.adapters.wechat_pay.bill_files import FundEntry, TradeEntry
from chalicelib.billing.orders import OrderState

MAX_AGE_DAYS = 89  # of a bill that can be fetched: three months, the shortest of which are 89 days
BATCH_SIZE = 500  # entries in a statement
DAY_OFFSET = clock.to_instant(date(1970, 1, 1))  # days begin at midnight in Shanghai


class BillState(StrEnum):
    """bills.state."""

    WAITING = "waiting"  # to be fetched
    FETCHED = "fetched"
    EMPTY = "empty"  # WeChat Pay has none, because nothing happened on the day
    EXPIRED = "expired"  # it could not be fetched, and is too old now


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A merchant account whose bills are fetched."""

    tenant_id: int
    mch_id: str
    is_active: bool
    created_at: int
    last_day: date | None  # of its bills


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The bill of an account for a day."""

    bill_id: int
    tenant_id: int
    mch_id: str
    day: date
    state: BillState
    has_fund_bill: bool
    attempts: int  # since the latest success
    check_at: int | None  # when to fetch or compare it

    @property
    def begin(self) -> int:
        """Return the instant at which its day begins."""
        return clock.to_instant(self.day)

    @property
    def end(self) -> int:
        """Return the instant at which the next day begins."""
        return self.begin + clock.DAY


COLUMNS = "bill_id, tenant_id, mch_id, day, state, has_fund_bill, attempts, check_at"


def list_accounts(tx: Tx) -> list[Account]:
    """Return the merchant accounts of all tenants."""
    rows = tx.fetch_all(
        """
        SELECT m.tenant_id, m.mch_id, m.in_use IS NOT NULL AS is_active, m.created_at,
          (SELECT MAX(b.day) FROM bills b WHERE b.tenant_id = m.tenant_id AND b.mch_id = m.mch_id) AS last_day
        FROM wechat_merchants m
        """
    )
    return [Account(**{**row, "is_active": bool(row["is_active"])}) for row in rows]


def list_days_with_payments(tx: Tx, account: Account, since: date, until: date) -> list[date]:
    """Return the days from `since` to before `until` on which an account received a payment or accepted a refund."""
    rows = tx.fetch_all(
        """
        SELECT DISTINCT (p.paid_at - %(offset)s) DIV %(day)s AS number FROM payments p
        WHERE p.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s AND p.state = %(success)s
          AND p.paid_at >= %(since)s AND p.paid_at < %(until)s
        UNION
        SELECT (r.accepted_at - %(offset)s) DIV %(day)s FROM refunds r JOIN payments p ON p.payment_id = r.payment_id
        WHERE r.tenant_id = %(tenant_id)s AND p.mch_id = %(mch_id)s
          AND r.accepted_at >= %(since)s AND r.accepted_at < %(until)s
        """,
        tenant_id=account.tenant_id,
        mch_id=account.mch_id,
        success=OrderState.SUCCESS,
        offset=DAY_OFFSET,
        day=clock.DAY,
        since=clock.to_instant(since),
        until=clock.to_instant(until),
    )
    return [date(1970, 1, 1) + timedelta(int(row["number"])) for row in rows]


def insert_missing(tx: Tx, tenant_id: int, mch_id: str, days: Iterable[tuple[date, int]]) -> None:
    """Insert the bills of some days, each with the time at which to fetch it, unless they exist."""
    tx.execute_many(
        """
        INSERT INTO bills (tenant_id, mch_id, day, check_at, created_at)
        VALUES (%(tenant_id)s, %(mch_id)s, %(day)s, %(check_at)s, %(now)s)
        ON DUPLICATE KEY UPDATE bill_id = bills.bill_id
        """,
        [
            {"tenant_id": tenant_id, "mch_id": mch_id, "day": day, "check_at": check_at, "now": clock.now()}
            for day, check_at in days
        ],
    )


def list_due(tx: Tx, limit: int) -> list[Bill]:
    """Return bills of all tenants that are to be fetched or compared now."""
    rows = tx.fetch_all(
        f"SELECT {COLUMNS} FROM bills WHERE check_at <= %(now)s ORDER BY check_at LIMIT %(limit)s",
        now=clock.now(),
        limit=limit,
    )
    return [_build_bill(row) for row in rows]


def claim(tx: Tx, bill: Bill, until: int) -> bool:
    """Postpone the next check of a bill; return False if another process has claimed it since it was read."""
    changed = tx.execute(
        """
        UPDATE bills SET check_at = %(until)s, attempts = attempts + 1
        WHERE bill_id = %(bill_id)s AND check_at = %(check_at)s AND attempts = %(attempts)s
        """,
        bill_id=bill.bill_id,
        check_at=bill.check_at,
        attempts=bill.attempts,
        until=until,
    )
    return changed == 1


def lock(tx: Tx, bill_id: int) -> Bill:
    """Return a bill, locked until the commit: entries and differences change under this lock."""
    row = tx.fetch_one(f"SELECT {COLUMNS} FROM bills WHERE bill_id = %(bill_id)s FOR UPDATE", bill_id=bill_id)
    assert row, "bills are never deleted"
    return _build_bill(row)


def postpone(tx: Tx, bill: Bill, check_at: int | None, error: str, state: BillState = BillState.WAITING) -> None:
    """Store why a bill could not be fetched, and when to try again."""
    tx.execute(
        "UPDATE bills SET check_at = %(check_at)s, error = %(error)s, state = %(state)s WHERE bill_id = %(bill_id)s",
        bill_id=bill.bill_id,
        check_at=check_at,
        error=error[:64],
        state=state,
    )


def request_fetch(tx: Tx, tenant_id: int, day: date) -> None:
    """Have the bills of a hospital's day fetched again by the next run."""
    tx.execute(
        """
        UPDATE bills SET state = %(waiting)s, check_at = %(now)s, error = '', attempts = 0
        WHERE tenant_id = %(tenant_id)s AND day = %(day)s
        """,
        tenant_id=tenant_id,
        day=day,
        waiting=BillState.WAITING,
        now=clock.now(),
    )


def request_comparison(tx: Tx, tenant_id: int, mch_id: str, at: int) -> None:
    """Have the bill of an earlier day compared again by the next run, because the ledger of that day has changed."""
    day = date.fromisoformat(clock.format_wire_time(at)[:10])
    if day >= clock.today():
        return
    tx.execute(
        """
        UPDATE bills SET check_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND mch_id = %(mch_id)s AND day = %(day)s AND state <> %(waiting)s
        """,
        tenant_id=tenant_id,
        mch_id=mch_id,
        day=day,
        waiting=BillState.WAITING,
        now=clock.now(),
    )


def replace_entries(
    tx: Tx, bill: Bill, trade_entries: Iterable[TradeEntry], fund_entries: Iterable[FundEntry] | None, fund_error: str
) -> int:
    """Replace the entries of a locked bill; return how many trade entries it has.

    Entries about orders of another hospital, which shares the account, are left out.

    Args:
        fund_entries: None if there is no fund flow bill.
    """
    for table in ("bill_entries", "fund_entries"):
        tx.execute(f"DELETE FROM {table} WHERE bill_id = %(bill_id)s", bill_id=bill.bill_id)
    ids = {"bill_id": bill.bill_id, "tenant_id": bill.tenant_id}
    count = 0
    for batch in _split(trade_entries):
        foreign = _list_foreign_numbers(tx, bill.tenant_id, {entry.out_trade_no for entry in batch})
        own = [entry for entry in batch if entry.out_trade_no not in foreign]
        _insert_trade_entries(tx, [{**ids, **_list_fields(entry)} for entry in own])
        count += len(own)
    lines = enumerate(fund_entries or ())
    for fund_batch in _split(lines):
        tx.execute_many(
            """
            INSERT INTO fund_entries (bill_id, line, tenant_id, wechat_id, fee)
            VALUES (%(bill_id)s, %(line)s, %(tenant_id)s, %(wechat_id)s, %(fee)s)
            """,
            [{**ids, "line": line, "wechat_id": one.wechat_id, "fee": one.fee} for line, one in fund_batch],
        )
    tx.execute(
        """
        UPDATE bills SET state = %(state)s, fetched_at = %(now)s, attempts = 0, error = '',
          has_fund_bill = %(has_fund_bill)s, fund_error = %(fund_error)s
        WHERE bill_id = %(bill_id)s
        """,
        bill_id=bill.bill_id,
        state=BillState.FETCHED if count else BillState.EMPTY,
        has_fund_bill=fund_entries is not None,
        fund_error=fund_error[:64],
        now=clock.now(),
    )
    return count


def _insert_trade_entries(tx: Tx, rows: list[Row]) -> None:
    tx.execute_many(
        """
        INSERT INTO bill_entries
          (bill_id, is_refund, wechat_id, tenant_id, out_trade_no, number, state, fee, settled, commission, at)
        VALUES
          (%(bill_id)s, %(is_refund)s, %(wechat_id)s, %(tenant_id)s, %(out_trade_no)s, %(number)s, %(state)s, %(fee)s,
           %(settled)s, %(commission)s, %(at)s)
        ON DUPLICATE KEY UPDATE bill_id = bill_entries.bill_id
        """,
        rows,
    )


def _list_foreign_numbers(tx: Tx, own_tenant_id: int, numbers: set[str]) -> set[str]:
    rows = tx.fetch_all(
        "SELECT out_trade_no FROM payments WHERE out_trade_no IN %(numbers)s AND tenant_id <> %(own_tenant_id)s",
        numbers=sorted(numbers),
        own_tenant_id=own_tenant_id,
    )
    return {row["out_trade_no"] for row in rows}


def _list_fields(entry: TradeEntry) -> Row:
    return {name: getattr(entry, name) for name in TradeEntry.__slots__}


def _split(entries: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(entries)
    while batch := list(islice(iterator, BATCH_SIZE)):
        yield batch


def _build_bill(row: Row) -> Bill:
    return Bill(**{**row, "state": BillState(row["state"]), "has_fund_bill": bool(row["has_fund_bill"])})
