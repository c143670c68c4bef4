"""The call list: patients whom neither WeChat nor SMS has reached, and whom the front desk calls."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.front_desk import call_store
from chalicelib.booking.front_desk.call_store import CallFilter, PatientToCall
from chalicelib.booking.front_desk.notification_models import (
    CalledPatient,
    CallList,
    CallListEntry,
    CallListQuery,
    MarkCalledRequest,
)
from chalicelib.booking.schedules import slots
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications.delivery_states import NotificationState
from chalicelib.people import account_phones, phones


def list_patients(caller: Caller, query: CallListQuery) -> CallList:
    """Return a page of the patients to call, or of those who were called."""
    field_encryption.preload_keys()
    wanted = CallFilter(called=query.called, day=query.date, dept_id=query.dept_id, after=query.after or 0)
    rows = call_store.list_page(mysql.autocommit, caller.tenant_id, wanted, query.page_size)
    last = rows[-1].notification_id if len(rows) == query.page_size else ""
    return CallList(list=[_build_entry(caller.tenant_id, row) for row in rows], next=str(last))


def mark_called(caller: Caller, request: MarkCalledRequest) -> CalledPatient:
    """Record that a patient was called. Repeating it returns who called first, and when.

    Raises:
        ApiError: 404 if the tenant has no such notification, 409 if it has reached the patient in another way.
    """
    return mysql.run_transaction(lambda tx: _mark_called(tx, caller, request.notification_id))


def _mark_called(tx: Tx, caller: Caller, notification_id: int) -> CalledPatient:
    found = call_store.find_for_update(tx, caller.tenant_id, notification_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "通知不存在")
    if found.state == NotificationState.UNREACHED:
        call_store.mark_called(tx, caller.tenant_id, notification_id, caller.user_id)
        found = call_store.find_for_update(tx, caller.tenant_id, notification_id)
    if found is None or found.state != NotificationState.CALLED:
        raise ApiError(errors.CONFLICT, "该患者不在待致电名单中，可能已收到通知")
    return CalledPatient(called_by=found.called_by_name or "", called_at=clock.format_wire_time(found.called_at or 0))


def _build_entry(tenant_id: int, row: PatientToCall) -> CallListEntry:
    phone = account_phones.unseal(tenant_id, row.user_id or 0, row.account_phone_sealed)
    return CallListEntry(
        notification_id=str(row.notification_id),
        type=row.event_type,
        text=row.text,
        failure=row.failure,
        name=row.patient_name,
        phone=phone or phones.unseal(tenant_id, "patients", row.pati_id, row.file_phone_sealed),
        pati_id=str(row.pati_id),
        book_id=str(row.book_id),
        book_code=row.book_code,
        bookStatus=row.status,
        date=row.day.isoformat(),
        time=slots.format_time(row.slot_time),
        deptName=row.dept_name,
        doctorName=row.doctor_name,
        since=clock.format_wire_time(row.created_at),
        called_by=row.called_by_name or "",
        called_at=clock.format_wire_time(row.called_at) if row.called_at else "",
    )
