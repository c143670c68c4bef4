"""Refunds that staff request for a booking that stays: at once up to an amount, above it once an admin approves.

A request and its refund are decided under the lock of the booking, so a repeated or concurrent request refunds once.
"""

import hashlib

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.admin import refund_store
from chalicelib.admin.refund_models import (
    ListedRefundRequest,
    RefundRequest,
    RefundRequestListQuery,
    RefundRequestReference,
    RefundRules,
    RejectRefundRequest,
    RequestState,
)
from chalicelib.admin.refund_store import StoredRequest
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import bookings, refunds_due
from chalicelib.billing.bookings import Booking
from chalicelib.billing.money import to_fen, to_yuan
from chalicelib.errors import ApiError
from chalicelib.http import pagination
from chalicelib.http.pagination import ListPage, Position
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import double_submission


def request_refund(caller: Caller, request: RefundRequest, idempotency_key: str | None) -> ListedRefundRequest:
    """Refund a part of a booking's payment, or all, or let it wait for a second person.

    Returns:
        The request; for a double click, and with the same Idempotency-Key, the first one.

    Raises:
        ApiError: 400 for no amount; 404 if the tenant has no such booking; 409 if the booking was not paid through
            WeChat Pay, if less than the amount is left, or if the key was used for another refund.
    """
    if to_fen(request.amount) == 0:
        raise ApiError(errors.BAD_PARAMETER, "amount：必须大于 0")
    row = mysql.run_transaction(lambda tx: _get_or_insert(tx, caller, request, idempotency_key))
    outbox.wake_worker(Queue.EXTERNAL)
    return _build(row)


def approve(caller: Caller, request: RefundRequestReference) -> ListedRefundRequest:
    """Approve a request of another person and refund. Approving it again changes nothing.

    Raises:
        ApiError: 403 for the own request; 404 if the tenant has no such request; 409 if it was rejected, or less than
            the amount is left.
    """

    def work(tx: Tx) -> Row:
        booking, stored = _lock(tx, caller, request.request_id)
        if stored.requested_by == caller.user_id:
            raise ApiError(errors.NOT_ALLOWED, "须由另一名管理员批准")
        if stored.state == RequestState.REJECTED:
            raise ApiError(errors.CONFLICT, "该退款申请已驳回")
        if stored.state == RequestState.PENDING:
            refunds_due.enqueue_partial_refund(tx, booking, stored.fee)
            _decide(tx, caller, stored, RequestState.DONE, AuditAction.APPROVE_REFUND, "")
        return refund_store.get(tx, caller.tenant_id, stored.request_id)

    row = mysql.run_transaction(work)
    outbox.wake_worker(Queue.EXTERNAL)
    return _build(row)


def reject(caller: Caller, request: RejectRefundRequest) -> ListedRefundRequest:
    """Reject a request, or withdraw the own one. Rejecting it again changes nothing.

    Raises:
        ApiError: 404 if the tenant has no such request; 409 if it was approved.
    """

    def work(tx: Tx) -> Row:
        _, stored = _lock(tx, caller, request.request_id)
        if stored.state == RequestState.DONE:
            raise ApiError(errors.CONFLICT, "该退款已提交，不能驳回")
        if stored.state == RequestState.PENDING:
            _decide(tx, caller, stored, RequestState.REJECTED, AuditAction.REJECT_REFUND, request.reason)
        return refund_store.get(tx, caller.tenant_id, stored.request_id)

    return _build(mysql.run_transaction(work))


def list_requests(tenant_id: int, query: RefundRequestListQuery) -> ListPage[ListedRefundRequest]:
    """Return a page of the hospital's requests for refunds, the newest first."""
    rows = refund_store.list_requests(mysql.autocommit, tenant_id, query)
    return pagination.build_page(rows, query.bounds, lambda row: Position(row["created_at"], row["request_id"]), _build)


def get_rules(caller: Caller) -> RefundRules:
    """Return above which amount a refund needs a second person."""
    return RefundRules(approval_above=to_yuan(refund_store.get_approval_fee(mysql.autocommit, caller.tenant_id)))


def save_rules(caller: Caller, rules: RefundRules) -> None:
    """Store above which amount a refund needs a second person. Requests that wait are not affected."""

    def work(tx: Tx) -> None:
        double_submission.lock_sender(tx, caller.tenant_id, "")
        before, after = refund_store.get_approval_fee(tx, caller.tenant_id), to_fen(rules.approval_above)
        if before != after:
            refund_store.set_approval_fee(tx, caller.tenant_id, after, caller.user_id)
            audit_log.insert_entry(
                *(tx, caller.tenant_id, caller.principal, AuditAction.CHANGE_REFUND_RULES),
                f"tenant:{caller.tenant_id}",
                before=before,
                after=after,
            )

    mysql.run_transaction(work)


def _get_or_insert(tx: Tx, caller: Caller, request: RefundRequest, idempotency_key: str | None) -> Row:
    tenant_id, fee = caller.tenant_id, to_fen(request.amount)
    booking = bookings.find_for_update(tx, tenant_id, request.book_id)  # a double click waits for the first request
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    digest = hashlib.sha256(f"refund:{request.book_id}:{fee}:{request.reason}".encode()).digest()
    key, lower_key = double_submission.build_key_range(digest)
    key, lower_key = (f"key:{idempotency_key}",) * 2 if idempotency_key else (key, lower_key)
    earlier = refund_store.find_by_key(tx, tenant_id, caller.user_id, lower_key, key)
    if earlier:
        if (earlier["book_id"], earlier["fee"], earlier["reason"]) != (request.book_id, fee, request.reason):
            raise ApiError(errors.CONFLICT, "Idempotency-Key 已用于另一笔退款")
        return earlier
    needs_approval = fee > refund_store.get_approval_fee(tx, tenant_id)
    if needs_approval:
        refunds_due.require_refundable(tx, booking, fee)
    else:
        refunds_due.enqueue_partial_refund(tx, booking, fee)
    state = RequestState.PENDING if needs_approval else RequestState.DONE
    request_id = _insert(tx, caller, request, state, key)
    return refund_store.get(tx, tenant_id, request_id)


def _insert(tx: Tx, caller: Caller, request: RefundRequest, state: RequestState, key: str) -> int:
    fee = to_fen(request.amount)
    try:
        request_id = refund_store.insert(
            tx, caller.tenant_id, request.book_id, fee, request.reason, state, caller.user_id, key
        )
    except mysql.DuplicateKeyError:  # the key was used for another booking at the same moment
        raise ApiError(errors.CONFLICT, "Idempotency-Key 已用于另一笔退款") from None
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.REQUEST_REFUND, f"booking:{request.book_id}"),
        reason=request.reason,
        request_id=request_id,
        fee=fee,
        after=state,
    )
    return request_id


def _lock(tx: Tx, caller: Caller, request_id: int) -> tuple[Booking, StoredRequest]:
    """Lock the booking of a request, then the request. Raise ApiError 404 if the tenant has no such request."""
    book_id = refund_store.find_book_id(tx, caller.tenant_id, request_id)
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id) if book_id else None
    if booking is None:
        raise ApiError(errors.NOT_FOUND, "退款申请不存在")
    return booking, refund_store.lock(tx, caller.tenant_id, request_id)


def _decide(
    tx: Tx, caller: Caller, stored: StoredRequest, state: RequestState, action: AuditAction, reason: str
) -> None:
    refund_store.decide(tx, caller.tenant_id, stored.request_id, state, caller.user_id, reason)
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, action, f"booking:{stored.book_id}"),
        reason=reason,
        request_id=stored.request_id,
        fee=stored.fee,
        before=stored.state,
        after=state,
    )


def _build(row: Row) -> ListedRefundRequest:
    return ListedRefundRequest(
        request_id=str(row["request_id"]),
        book_id=str(row["book_id"]),
        amount=to_yuan(row["fee"]),
        reason=row["reason"],
        state=RequestState(row["state"]),
        requested_by=str(row["requested_by"]),
        requested_by_name=row["requested_by_name"],
        request_time=clock.format_wire_time(row["created_at"]),
        decided_by=str(row["decided_by"] or ""),
        decided_by_name=row["decided_by_name"],
        decide_time=clock.format_wire_time(row["decided_at"]) if row["decided_at"] else "",
        reject_reason=row["reject_reason"],
    )
