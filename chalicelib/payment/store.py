"""Charges, settlements and payments in MySQL. Nothing is decided here."""

from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import Booking


class OrderState(StrEnum):
    """payments.state: of an order at WeChat Pay."""

    CREATED = "created"
    PAID = "paid"
    CLOSED = "closed"


SELECT_PAYMENT = """
    SELECT payment_id, tenant_id, settlement_id, book_id, user_id, out_trade_no, app_id, mch_id, sign_type, open_id,
           fee, state, live, prepay_id, transaction_id, expires_at, check_at, checks
    FROM payments
"""


def get_or_create_settlement(tx: Tx, booking: Booking) -> int:
    """Return the settlement of a locked booking; charge and settlement are made where they are not there."""
    made: int | None = tx.fetch_value(
        "SELECT settlement_id FROM settlements WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
    )
    return made or _insert_charge_and_settlement(
        tx,
        {
            "tenant_id": booking.tenant_id,
            "book_id": booking.book_id,
            "user_id": booking.user_id,
            "pati_id": booking.pati_id,
            "fee": booking.fee,
            "now": clock.now(),
        },
    )


def _insert_charge_and_settlement(tx: Tx, fields: dict[str, Any]) -> int:
    charge_id = tx.insert(
        """
        INSERT INTO charges (tenant_id, book_id, user_id, pati_id, fee, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(user_id)s, %(pati_id)s, %(fee)s, %(now)s)
        """,
        **fields,
    )
    return tx.insert(
        """
        INSERT INTO settlements (tenant_id, charge_id, book_id, fee, created_at)
        VALUES (%(tenant_id)s, %(charge_id)s, %(book_id)s, %(fee)s, %(now)s)
        """,
        **fields,
        charge_id=charge_id,
    )


def settle(tx: Tx, settlement_id: int, payment_id: int | None) -> None:
    tx.execute(
        """
        UPDATE settlements SET payment_id = %(payment_id)s, settled_at = %(now)s
        WHERE settlement_id = %(settlement_id)s
        """,
        settlement_id=settlement_id,
        payment_id=payment_id,
        now=clock.now(),
    )


def insert(tx: Tx, fields: dict[str, Any]) -> int:
    """Make an order; return its payment_id."""
    return tx.insert(
        """
        INSERT INTO payments (tenant_id, settlement_id, book_id, user_id, out_trade_no, app_id, mch_id, sign_type,
                              open_id, fee, expires_at, check_at, created_at)
        VALUES (%(tenant_id)s, %(settlement_id)s, %(book_id)s, %(user_id)s, %(out_trade_no)s, %(app_id)s, %(mch_id)s,
                %(sign_type)s, %(open_id)s, %(fee)s, %(expires_at)s, %(check_at)s, %(now)s)
        """,
        **fields,
        now=clock.now(),
    )


def find_live(tx: Tx, tenant_id: int, book_id: int) -> Row | None:
    """Return the order by which a booking is to be paid, or was."""
    return tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE book_id = %(book_id)s AND live = 1 AND tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )


def count_since(tx: Tx, tenant_id: int, book_id: int, since: int) -> int:
    """Return how many orders of a booking were made since then."""
    return int(
        tx.fetch_value(
            """
            SELECT COUNT(*) FROM payments
            WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s AND created_at > %(since)s
            """,
            book_id=book_id,
            tenant_id=tenant_id,
            since=since,
        )
    )


def get_for_update(tx: Tx, tenant_id: int, payment_id: int) -> Row:
    """Return an order, locked until the commit. The booking's lock is taken before."""
    row = tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE payment_id = %(payment_id)s AND tenant_id = %(tenant_id)s FOR UPDATE",
        payment_id=payment_id,
        tenant_id=tenant_id,
    )
    assert row, "payments are never deleted"
    return row


def find_by_trade_no(tx: Tx, tenant_id: int, out_trade_no: str) -> Row | None:
    return tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE out_trade_no = %(out_trade_no)s AND tenant_id = %(tenant_id)s",
        out_trade_no=out_trade_no,
        tenant_id=tenant_id,
    )


def find_signable(tx: Tx, tenant_id: int, user_id: int, app_id: str, prepay_id: str) -> Row | None:
    """Return an account's own order that can still be paid, for a booking that is still to be."""
    return tx.fetch_one(
        """
        SELECT p.app_id, p.mch_id, p.sign_type, p.prepay_id
        FROM payments p JOIN bookings b ON b.book_id = p.book_id AND b.tenant_id = p.tenant_id
        WHERE p.tenant_id = %(tenant_id)s AND p.user_id = %(user_id)s AND p.prepay_id = %(prepay_id)s
          AND p.app_id = %(app_id)s AND p.live = 1 AND p.state = 'created' AND p.expires_at > %(now)s
          AND b.status IN (0, 2) AND b.payment_state = 1
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        app_id=app_id,
        prepay_id=prepay_id,
        now=clock.now(),
    )


def set_prepay_id(tx: Tx, payment_id: int, prepay_id: str) -> None:
    tx.execute(
        "UPDATE payments SET prepay_id = %(prepay_id)s WHERE payment_id = %(payment_id)s",
        payment_id=payment_id,
        prepay_id=prepay_id,
    )


def supersede(tx: Tx, payment_id: int) -> None:
    """Let another order take its place; what becomes of it is asked for at once."""
    tx.execute(
        "UPDATE payments SET live = NULL, check_at = %(now)s WHERE payment_id = %(payment_id)s",
        payment_id=payment_id,
        now=clock.now(),
    )


def mark_paid(tx: Tx, payment_id: int, transaction_id: str, paid_at: int) -> None:
    tx.execute(
        """
        UPDATE payments SET state = 'paid', transaction_id = %(transaction_id)s, paid_at = %(paid_at)s
        WHERE payment_id = %(payment_id)s
        """,
        payment_id=payment_id,
        transaction_id=transaction_id,
        paid_at=paid_at,
    )


def close(tx: Tx, payment_id: int, state: str = OrderState.CLOSED) -> bool:
    """False where money came, or it was closed before."""
    changed = tx.execute(
        "UPDATE payments SET state = %(state)s, live = NULL WHERE payment_id = %(payment_id)s AND state = 'created'",
        payment_id=payment_id,
        state=state,
    )
    return changed == 1


def list_due(tx: Tx, limit: int) -> list[Row]:
    """Return orders of all tenants whose fate is to be asked for, with the status and charge of their bookings."""
    return tx.fetch_all(
        """
        SELECT p.payment_id, p.tenant_id, p.book_id, p.out_trade_no, p.app_id, p.mch_id, p.sign_type, p.fee, p.live,
               p.expires_at, p.check_at, p.checks, b.status, b.payment_state
        FROM payments p JOIN bookings b ON b.book_id = p.book_id AND b.tenant_id = p.tenant_id
        WHERE p.state = 'created' AND p.check_at <= %(now)s ORDER BY p.check_at LIMIT %(limit)s
        """,
        now=clock.now(),
        limit=limit,
    )


def claim(tx: Tx, row: Row, until: int) -> bool:
    """Take an order as it was seen; False where somebody else was faster."""
    taken = tx.execute(
        """
        UPDATE payments SET check_at = %(until)s, checks = checks + 1
        WHERE payment_id = %(payment_id)s AND check_at = %(check_at)s AND checks = %(checks)s AND state = 'created'
        """,
        payment_id=row["payment_id"],
        check_at=row["check_at"],
        checks=row["checks"],
        until=until,
    )
    return taken == 1
