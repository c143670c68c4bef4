"""The codes of departments by which patients check in: random, shown as QR codes in the waiting area."""

import hmac
import secrets

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.queues import code_store
from chalicelib.booking.queues.code_store import StoredCode
from chalicelib.booking.queues.models import CheckinCode, CheckinCodeQuery
from chalicelib.errors import ApiError
from chalicelib.identity import attempts
from chalicelib.identity.callers import Caller
from chalicelib.people import departments, double_submission

CODE_BYTES = 12  # 16 characters


def get(caller: Caller, query: CheckinCodeQuery) -> CheckinCode:
    """Return the code of a department, "" if it has none.

    Raises:
        ApiError: 404 if the tenant has no such department.
    """
    return mysql.run_autocommit(lambda tx: _load(tx, caller, query.dept_id))


def replace(caller: Caller, request: CheckinCodeQuery) -> CheckinCode:
    """Give a department a new code; the earlier one is invalid at once. A double click replaces it once.

    Raises:
        ApiError: 404 if the tenant has no such department.
    """
    return mysql.run_transaction(lambda tx: _replace(tx, caller, request.dept_id))


def require_right(caller: Caller, dept_id: int, code: str) -> None:
    """Check the code that a patient has scanned. Wrong ones count against the account.

    Raises:
        ApiError: 409 if it is wrong or the department has none, 429 after too many wrong ones.
    """
    stored = code_store.find(mysql.autocommit, caller.tenant_id, dept_id)
    if stored is None:
        raise ApiError(errors.CONFLICT, "该科室未启用扫码签到，请到前台签到")
    subject = f"checkin:{caller.user_id}"
    attempts.consume_try(caller.tenant_id, subject)
    if not hmac.compare_digest(stored.code.encode(), code.encode("utf-8", "replace")):
        raise ApiError(errors.CONFLICT, "签到码不正确或已更换，请扫描本科室候诊区的二维码，或到前台签到")
    attempts.clear_failures(caller.tenant_id, subject)


def _load(tx: Tx, caller: Caller, dept_id: int) -> CheckinCode:
    if not departments.exists(tx, caller.tenant_id, dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    return _build(dept_id, code_store.find(tx, caller.tenant_id, dept_id))


def _replace(tx: Tx, caller: Caller, dept_id: int) -> CheckinCode:
    if not departments.find_for_update(tx, caller.tenant_id, dept_id):
        raise ApiError(errors.NOT_FOUND, "科室不存在")
    earlier = code_store.find(tx, caller.tenant_id, dept_id)
    since = clock.now() - double_submission.WINDOW
    if earlier and earlier.changed_by == caller.user_id and earlier.changed_at > since:
        return _build(dept_id, earlier)
    code_store.save(tx, caller.tenant_id, dept_id, secrets.token_urlsafe(CODE_BYTES), caller.user_id)
    return _build(dept_id, code_store.find(tx, caller.tenant_id, dept_id))


def _build(dept_id: int, stored: StoredCode | None) -> CheckinCode:
    return CheckinCode(
        dept_id=str(dept_id),
        code=stored.code if stored else "",
        changed_time=clock.format_wire_time(stored.changed_at) if stored else None,
    )
