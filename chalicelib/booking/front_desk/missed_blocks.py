"""No-show blocks (爽约): who has missed too many visits to book. The front desk sees and lifts them."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.booking.front_desk import missed_store
from chalicelib.booking.front_desk.missed_store import MissedVisits, Subject
from chalicelib.booking.front_desk.models import ClearMissedBlockRequest, MissedBlock, MissedBlockQuery
from chalicelib.booking.schedules import rule_store, rules
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller


def get(caller: Caller, query: MissedBlockQuery) -> MissedBlock:
    """Return how many visits a verified patient, or an account for members who are not verified, has missed.

    Raises:
        ApiError: 400 unless one of the two is named, 404 if the tenant has no such patient or account.
    """
    subject, tenant_id = _require_subject(query), caller.tenant_id
    visits = _require_visits(missed_store.find(mysql.autocommit, tenant_id, subject), subject)
    limit = rule_store.load(mysql.autocommit, tenant_id).missed_limit
    return MissedBlock(
        blocked=bool(limit) and visits.missed >= limit,
        missed=visits.missed,
        missed_limit=limit,
        days=rules.MISSED_WINDOW_DAYS,
        cleared_time=clock.format_wire_time(visits.cleared_at) if visits.cleared_at else "",
    )


def clear(caller: Caller, request: ClearMissedBlockRequest) -> None:
    """Let the visits missed until now not count any more. Has no effect if none counts.

    Raises:
        ApiError: as `get`.
    """
    subject = _require_subject(request)
    mysql.run_transaction(lambda tx: _clear(tx, caller, subject, request.reason))


def _clear(tx: Tx, caller: Caller, subject: Subject, reason: str) -> None:
    visits = _require_visits(missed_store.find(tx, caller.tenant_id, subject, for_update=True), subject)
    if not visits.missed:
        return
    missed_store.clear(tx, caller.tenant_id, subject)
    name = f"patient:{subject.pati_id}" if subject.pati_id else f"user:{subject.user_id}"
    audit_log.insert_entry(
        tx,
        caller.tenant_id,
        caller.principal,
        AuditAction.CLEAR_MISSED,
        name,
        reason=reason,
        key_id=caller.key_id or None,
        missed=visits.missed,
    )


def _require_subject(query: MissedBlockQuery) -> Subject:
    if query.pati_id and query.user_id:
        raise ApiError(errors.BAD_PARAMETER, "user_id：与 pati_id 只能填其一")
    if not (query.pati_id or query.user_id):
        raise ApiError(errors.BAD_PARAMETER, "pati_id：与 user_id 必填其一")
    return Subject(query.pati_id, query.user_id)


def _require_visits(visits: MissedVisits | None, subject: Subject) -> MissedVisits:
    if visits is None:
        raise ApiError(errors.NOT_FOUND, "患者不存在" if subject.pati_id else "账号不存在")
    return visits
