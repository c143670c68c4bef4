"""MySQL statements for charges, settlements and payments (orders at WeChat Pay)."""

from dataclasses import dataclass

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import Booking, BookingStatus, PaymentState
from chalicelib.billing.orders import OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPayment:
    """An order about to be inserted."""

    tenant_id: int
    settlement_id: int
    book_id: int
    user_id: int
    out_trade_no: str
    app_id: str
    mch_id: str
    sign_type: str
    open_id: str  # of the payer
    fee: int  # fen
    expires_at: int
    check_at: int  # when to query WeChat Pay unless a notification arrives before


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment(NewPayment):
    """An order. At most one order of a booking is live: the one by which it is to be paid, or was."""

    payment_id: int
    state: OrderState
    is_live: bool
    prepay_id: str  # "" until WeChat Pay has accepted the order
    transaction_id: str  # "" until it is paid
    checks: int  # number of queries


@dataclass(frozen=True, slots=True, kw_only=True)
class DuePayment(Payment):
    """An order that is to be queried, with the state of its booking."""

    booking_status: BookingStatus
    booking_payment_state: PaymentState

    @property
    def is_booking_payable(self) -> bool:
        """Whether a payment for the booking would be accepted."""
        return bookings.is_payable(self.booking_status, self.booking_payment_state)


PAYMENT_COLUMNS = """
    p.payment_id, p.tenant_id, p.settlement_id, p.book_id, p.user_id, p.out_trade_no, p.app_id, p.mch_id, p.sign_type,
    p.open_id, p.fee, p.state, p.live, p.prepay_id, p.transaction_id, p.expires_at, p.check_at, p.checks
"""
SELECT_PAYMENT = f"SELECT {PAYMENT_COLUMNS} FROM payments p"


def get_or_create_settlement(tx: Tx, booking: Booking) -> int:
    """Return the settlement_id of a locked booking; insert its charge and settlement if they do not exist."""
    settlement_id: int | None = tx.fetch_value(
        "SELECT settlement_id FROM settlements WHERE book_id = %(book_id)s AND tenant_id = %(tenant_id)s",
        book_id=booking.book_id,
        tenant_id=booking.tenant_id,
    )
    return settlement_id or _insert_charge_and_settlement(tx, booking, clock.now())


def _insert_charge_and_settlement(tx: Tx, booking: Booking, now: int) -> int:
    charge_id = tx.insert(
        """
        INSERT INTO charges (tenant_id, book_id, user_id, pati_id, fee, created_at)
        VALUES (%(tenant_id)s, %(book_id)s, %(user_id)s, %(pati_id)s, %(fee)s, %(now)s)
        """,
        tenant_id=booking.tenant_id,
        book_id=booking.book_id,
        user_id=booking.user_id,
        pati_id=booking.pati_id,
        fee=booking.fee,
        now=now,
    )
    return tx.insert(
        """
        INSERT INTO settlements (tenant_id, charge_id, book_id, fee, created_at)
        VALUES (%(tenant_id)s, %(charge_id)s, %(book_id)s, %(fee)s, %(now)s)
        """,
        tenant_id=booking.tenant_id,
        charge_id=charge_id,
        book_id=booking.book_id,
        fee=booking.fee,
        now=now,
    )


def settle(tx: Tx, settlement_id: int, payment_id: int | None) -> None:
    """Mark a settlement as settled by a payment, or by none if the booking is free."""
    tx.execute(
        """
        UPDATE settlements SET payment_id = %(payment_id)s, settled_at = %(now)s
        WHERE settlement_id = %(settlement_id)s
        """,
        settlement_id=settlement_id,
        payment_id=payment_id,
        now=clock.now(),
    )


def insert(tx: Tx, payment: NewPayment) -> int:
    """Insert a live order; return its payment_id."""
    return tx.insert(
        """
        INSERT INTO payments (tenant_id, settlement_id, book_id, user_id, out_trade_no, app_id, mch_id, sign_type,
                              open_id, fee, state, expires_at, check_at, created_at)
        VALUES (%(tenant_id)s, %(settlement_id)s, %(book_id)s, %(user_id)s, %(out_trade_no)s, %(app_id)s, %(mch_id)s,
                %(sign_type)s, %(open_id)s, %(fee)s, %(created)s, %(expires_at)s, %(check_at)s, %(now)s)
        """,
        tenant_id=payment.tenant_id,
        settlement_id=payment.settlement_id,
        book_id=payment.book_id,
        user_id=payment.user_id,
        out_trade_no=payment.out_trade_no,
        app_id=payment.app_id,
        mch_id=payment.mch_id,
        sign_type=payment.sign_type,
        open_id=payment.open_id.encode(),
        fee=payment.fee,
        created=OrderState.CREATED,
        expires_at=payment.expires_at,
        check_at=payment.check_at,
        now=clock.now(),
    )


def find_live(tx: Tx, tenant_id: int, book_id: int) -> Payment | None:
    """Return the live order of a booking."""
    row = tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE p.book_id = %(book_id)s AND p.live = 1 AND p.tenant_id = %(tenant_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
    )
    return _build_payment(row) if row else None


def count_since(tx: Tx, tenant_id: int, book_id: int, since: int) -> int:
    """Return how many orders of a booking were created after a time."""
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


def get_for_update(tx: Tx, tenant_id: int, payment_id: int) -> Payment:
    """Return an order, locked until the commit. Lock its booking before."""
    row = tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE p.payment_id = %(payment_id)s AND p.tenant_id = %(tenant_id)s FOR UPDATE",
        payment_id=payment_id,
        tenant_id=tenant_id,
    )
    assert row, "payments are never deleted"
    return _build_payment(row)


def find_by_trade_no(tx: Tx, tenant_id: int, out_trade_no: str) -> Payment | None:
    """Return the order with an out_trade_no."""
    row = tx.fetch_one(
        f"{SELECT_PAYMENT} WHERE p.out_trade_no = %(out_trade_no)s AND p.tenant_id = %(tenant_id)s",
        out_trade_no=out_trade_no,
        tenant_id=tenant_id,
    )
    return _build_payment(row) if row else None


def find_signable(tx: Tx, tenant_id: int, user_id: int, prepay_id: str) -> Payment | None:
    """Return a user's own live order that can still be paid, if its booking is still to be paid."""
    row = tx.fetch_one(
        f"""
        SELECT {PAYMENT_COLUMNS}
        FROM payments p JOIN bookings b ON b.book_id = p.book_id AND b.tenant_id = p.tenant_id
        WHERE p.tenant_id = %(tenant_id)s AND p.user_id = %(user_id)s AND p.prepay_id = %(prepay_id)s
          AND p.live = 1 AND p.state = %(created)s AND p.expires_at > %(now)s
          AND b.status IN (%(booked)s, %(registered)s) AND b.payment_state = %(unpaid)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        prepay_id=prepay_id,
        created=OrderState.CREATED,
        booked=BookingStatus.BOOKED,
        registered=BookingStatus.REGISTERED,
        unpaid=PaymentState.UNPAID,
        now=clock.now(),
    )
    return _build_payment(row) if row else None


def set_prepay_id(tx: Tx, payment_id: int, prepay_id: str) -> None:
    """Store the prepay_id that WeChat Pay has issued for an order."""
    tx.execute(
        "UPDATE payments SET prepay_id = %(prepay_id)s WHERE payment_id = %(payment_id)s",
        payment_id=payment_id,
        prepay_id=prepay_id,
    )


def supersede(tx: Tx, payment_id: int) -> None:
    """Make room for another live order of the booking; the superseded one is queried at once."""
    tx.execute(
        "UPDATE payments SET live = NULL, check_at = %(now)s WHERE payment_id = %(payment_id)s",
        payment_id=payment_id,
        now=clock.now(),
    )


def mark_paid(tx: Tx, payment_id: int, transaction_id: str, paid_at: int) -> None:
    """Set an order's state to SUCCESS."""
    tx.execute(
        """
        UPDATE payments SET state = %(success)s, transaction_id = %(transaction_id)s, paid_at = %(paid_at)s
        WHERE payment_id = %(payment_id)s
        """,
        success=OrderState.SUCCESS,
        payment_id=payment_id,
        transaction_id=transaction_id,
        paid_at=paid_at,
    )


def finish(tx: Tx, payment_id: int, state: OrderState) -> bool:
    """Set the final state of an unpaid order; return False if it has one already."""
    changed = tx.execute(
        """
        UPDATE payments SET state = %(state)s, live = NULL WHERE payment_id = %(payment_id)s AND state = %(created)s
        """,
        payment_id=payment_id,
        state=state,
        created=OrderState.CREATED,
    )
    return changed == 1


def schedule_check(tx: Tx, tenant_id: int, payment_id: int) -> bool:
    """Have reconciliation query an open order in its next run; return False if the tenant has no such order."""
    changed = tx.execute(
        """
        UPDATE payments SET check_at = IF(state = %(created)s, %(now)s, check_at)
        WHERE payment_id = %(payment_id)s AND tenant_id = %(tenant_id)s
        """,
        payment_id=payment_id,
        tenant_id=tenant_id,
        created=OrderState.CREATED,
        now=clock.now(),
    )
    return changed == 1


def list_due(tx: Tx, limit: int) -> list[DuePayment]:
    """Return orders of all tenants that are to be queried now."""
    rows = tx.fetch_all(
        f"""
        SELECT {PAYMENT_COLUMNS}, b.status AS booking_status, b.payment_state AS booking_payment_state
        FROM payments p JOIN bookings b ON b.book_id = p.book_id AND b.tenant_id = p.tenant_id
        WHERE p.state = %(created)s AND p.check_at <= %(now)s ORDER BY p.check_at LIMIT %(limit)s
        """,
        created=OrderState.CREATED,
        now=clock.now(),
        limit=limit,
    )
    return [_build_due_payment(row) for row in rows]


def claim(tx: Tx, payment: Payment, until: int) -> bool:
    """Postpone the next query of an order; return False if another process has claimed it since it was read."""
    changed = tx.execute(
        """
        UPDATE payments SET check_at = %(until)s, checks = checks + 1
        WHERE payment_id = %(payment_id)s AND check_at = %(check_at)s AND checks = %(checks)s AND state = %(created)s
        """,
        payment_id=payment.payment_id,
        check_at=payment.check_at,
        checks=payment.checks,
        created=OrderState.CREATED,
        until=until,
    )
    return changed == 1


def _build_payment(row: Row) -> Payment:
    return Payment(**_build_fields(row))


def _build_due_payment(row: Row) -> DuePayment:
    fields = _build_fields(row)
    fields["booking_status"] = BookingStatus(row["booking_status"])
    fields["booking_payment_state"] = PaymentState(row["booking_payment_state"])
    return DuePayment(**fields)


def _build_fields(row: Row) -> Row:
    fields = {**row, "state": OrderState(row["state"]), "open_id": row["open_id"].decode()}
    fields["is_live"] = bool(fields.pop("live"))
    return fields
