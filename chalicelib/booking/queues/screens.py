"""Screens in waiting rooms: admins create and revoke them, and each reads what it shows with its device key.

A device key is an access token of the principal screen:ID: stored as a hash, cached and revoked like those of people.
"""

from itertools import groupby
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.booking.queues import screen_store
from chalicelib.booking.queues.queue_store import QueueState
from chalicelib.booking.queues.screen_models import (
    CalledPatient,
    CreatedScreen,
    CreateScreenRequest,
    ListedScreen,
    Screen,
    ScreenId,
    ShownPatient,
    ShownQueue,
)
from chalicelib.booking.queues.screen_store import ShownEntry
from chalicelib.errors import ApiError
from chalicelib.identity import sessions, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import departments, double_submission, formatting

KEY_LIFETIME = 3650 * clock.DAY
SHOWN_WAITING = 10  # of each queue


def create(caller: Caller, request: CreateScreenRequest) -> CreatedScreen:
    """Create a screen and return its device key. A double click creates one screen; both keys are valid.

    Raises:
        ApiError: 404 if the tenant has no such department.
    """
    return mysql.run_transaction(lambda tx: _create(tx, caller, request))


def list_all(caller: Caller) -> list[ListedScreen]:
    """Return the hospital's screens, also revoked ones, the newest first."""
    return [
        ListedScreen(
            screen_id=str(one.screen_id),
            name=one.name,
            dept_id=str(one.dept_id),
            dept_name=one.dept_name,
            area=one.area,
            created_time=clock.format_wire_time(one.created_at),
            revoked_time=clock.format_wire_time(one.revoked_at) if one.revoked_at else None,
        )
        for one in screen_store.list_all(mysql.autocommit, caller.tenant_id)
    ]


def revoke(caller: Caller, request: ScreenId) -> None:
    """Revoke a screen's device key at once. Revoking it again changes nothing.

    Raises:
        ApiError: 404 if the tenant has no such screen.
    """
    mysql.run_transaction(lambda tx: _revoke(tx, caller, request.screen_id))
    sessions.make_effective(caller.tenant_id, _build_principal(request.screen_id))


def get_own(caller: Caller) -> Screen:
    """Return what the screen that calls shows: today's queues, with masked names and no ids of persons."""
    screen_id = int(caller.principal.partition(":")[2])
    content = screen_store.find_content(mysql.autocommit, caller.tenant_id, screen_id, clock.today())
    if content is None:
        raise ApiError(errors.INVALID_TOKEN)
    queues = groupby(content.entries, key=lambda one: one.schedule_id)
    return Screen(
        dept_name=content.dept_name,
        checkin_code=content.checkin_code,
        time=clock.format_wire_time(clock.now()),
        queues=[_build_queue(list(entries)) for _, entries in queues],
    )


def _create(tx: Tx, caller: Caller, request: CreateScreenRequest) -> CreatedScreen:
    double_submission.lock_sender(tx, caller.tenant_id, caller.principal)
    if not departments.exists(tx, caller.tenant_id, request.dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    fields: dict[str, Any] = {
        "dept_id": request.dept_id,
        "area": request.area,
        "name": request.name,
        "user_id": caller.user_id,
    }
    since = clock.now() - double_submission.WINDOW
    screen_id = screen_store.find_double_submission(tx, caller.tenant_id, since, **fields)
    if screen_id is None:
        screen_id = screen_store.insert(tx, caller.tenant_id, **fields)
        _audit(tx, caller, AuditAction.CREATE_SCREEN, screen_id)
    key = tokens.issue_in_transaction(
        tx, caller.tenant_id, _build_principal(screen_id), Role.SCREEN, lifetime=KEY_LIFETIME
    )
    return CreatedScreen(screen_id=str(screen_id), key=key)


def _revoke(tx: Tx, caller: Caller, screen_id: int) -> None:
    if not screen_store.exists(tx, caller.tenant_id, screen_id):
        raise ApiError(errors.NOT_FOUND, "候诊屏不存在")
    if screen_store.revoke(tx, caller.tenant_id, screen_id):
        tokens.revoke_all(tx, caller.tenant_id, _build_principal(screen_id))
        _audit(tx, caller, AuditAction.REVOKE_SCREEN, screen_id)


def _audit(tx: Tx, caller: Caller, action: AuditAction, screen_id: int) -> None:
    audit_log.insert_entry(tx, caller.tenant_id, caller.principal, action, f"screen:{screen_id}")


def _build_principal(screen_id: int) -> str:
    return f"screen:{screen_id}"


def _build_queue(entries: list[ShownEntry]) -> ShownQueue:
    waiting = [one for one in entries if one.state == QueueState.WAITING]
    called = next((one for one in entries if one.state == QueueState.CALLED), None)
    return ShownQueue(
        doctor_name=entries[0].doctor_name,
        half=entries[0].half_day,
        area=entries[0].area,
        called=_build_called(called) if called else None,
        waiting=[_build_patient(one) for one in waiting[:SHOWN_WAITING]],
        waiting_count=len(waiting),
    )


def _build_called(entry: ShownEntry) -> CalledPatient:
    shown = _build_patient(entry).model_dump()
    return CalledPatient(**shown, call=entry.calls, called_time=clock.format_wire_time(entry.called_at or 0))


def _build_patient(entry: ShownEntry) -> ShownPatient:
    return ShownPatient(serial_no=entry.serial_no, name=formatting.mask_name(entry.name), returning=entry.is_returning)
