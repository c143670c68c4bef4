"""Lists of payments and refunds, and the ledger of a booking, for service staff and admins."""

from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.admin import payment_store
from chalicelib.admin.payment_models import (
    LedgerEntry,
    LedgerQuery,
    ListedPayment,
    ListedRefund,
    PaymentListQuery,
    RefundListQuery,
)
from chalicelib.billing.money import to_yuan
from chalicelib.billing.orders import OrderState
from chalicelib.billing.refunds_due import RefundReason, RefundState
from chalicelib.errors import ApiError
from chalicelib.http import pagination
from chalicelib.http.pagination import ListPage, Position
from chalicelib.identity.callers import Caller


def list_payments(tenant_id: int, query: PaymentListQuery) -> ListPage[ListedPayment]:
    """Return a page of the hospital's orders at WeChat Pay, the newest first."""
    rows = payment_store.list_payments(mysql.autocommit, tenant_id, query)
    return pagination.build_page(
        rows, query.bounds, lambda row: Position(row["created_at"], row["payment_id"]), _build_payment
    )


def list_refunds(tenant_id: int, query: RefundListQuery) -> ListPage[ListedRefund]:
    """Return a page of the hospital's refunds, the newest first."""
    rows = payment_store.list_refunds(mysql.autocommit, tenant_id, query)
    return pagination.build_page(
        rows, query.bounds, lambda row: Position(row["created_at"], row["refund_id"]), _build_refund
    )


def list_ledger(caller: Caller, query: LedgerQuery) -> list[LedgerEntry]:
    """Return what happened to the payments of a booking, the oldest step first.

    Raises:
        ApiError: 404 if the tenant has no such booking.
    """
    if not payment_store.exists_booking(mysql.autocommit, caller.tenant_id, query.book_id):
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    return [
        LedgerEntry(
            entry_id=str(row["entry_id"]),
            payment_id=str(row["payment_id"]),
            refund_id=str(row["refund_id"] or ""),
            event=row["event"],
            source=row["source"],
            detail=row["detail"],
            time=clock.format_wire_time(row["at"]),
        )
        for row in payment_store.list_ledger(mysql.autocommit, caller.tenant_id, query.book_id)
    ]


def _build_payment(row: Row) -> ListedPayment:
    return ListedPayment(
        **_build_shared(row),
        out_trade_no=row["out_trade_no"],
        transaction_id=row["transaction_id"],
        mch_id=row["mch_id"],
        state=OrderState(row["state"]),
        refunded=to_yuan(int(row["refunded"])),
        pay_time=_format(row["paid_at"]),
    )


def _build_refund(row: Row) -> ListedRefund:
    return ListedRefund(
        **_build_shared(row),
        refund_id=str(row["refund_id"]),
        out_refund_no=row["out_refund_no"],
        wechat_id=row["wechat_id"],
        paid=to_yuan(row["paid"]),
        reason=RefundReason(row["reason"]),
        state=RefundState(row["state"]),
        error=row["error"],
        done_time=_format(row["done_at"]),
    )


def _build_shared(row: Row) -> dict[str, Any]:
    """Return the fields that payments and refunds share."""
    return {
        "payment_id": str(row["payment_id"]),
        "book_id": str(row["book_id"]),
        "fee": to_yuan(row["fee"]),
        "checks": row["checks"],
        "dept_name": row["dept_name"] or "",
        "doctor_name": row["doctor_name"],
        "pati_id": str(row["pati_id"]),
        "pati_name": row["pati_name"],
        "create_time": clock.format_wire_time(row["created_at"]),
    }


def _format(instant: int | None) -> str:
    return clock.format_wire_time(instant) if instant else ""
