"""Who may open a patient file, and the entry in the access log that each opening leaves.

Service staff and admins may open every file, doctors those of their own patients (people/doctor_patients.py). Any other
opening needs a reason, and is marked in the log for review (break-glass); so does a file in storage, for everybody.
"""

from chalicelib import errors
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller, Role
from chalicelib.people import doctor_patients
from chalicelib.people.patients import Patient
from chalicelib.staff import store
from chalicelib.staff.store import AccessAction

STORED_TEXT = "该患者的账号已注销，档案已封存，请填写查阅原因"


def open_file(tx: Tx, caller: Caller, patient: Patient, action: AccessAction, reason: str | None) -> None:
    """Check that the caller may open a file, and enter it into the access log.

    Raises:
        ApiError: REASON_REQUIRED if the caller may open it for a reason only, and has given none.
    """
    needs_reason = patient.stored_at is not None or not _is_open_to(tx, caller, patient)
    if needs_reason and not reason:
        raise ApiError(errors.REASON_REQUIRED, STORED_TEXT if patient.stored_at is not None else "")
    log_access(tx, caller, patient.pati_id, action, reason or "", is_break_glass=needs_reason)


def log_search(tx: Tx, caller: Caller, reason: str) -> None:
    """Enter a doctor's search of all files of the hospital into the access log."""
    log_access(tx, caller, None, AccessAction.SEARCHED, reason, is_break_glass=True)


def log_access(
    tx: Tx, caller: Caller, pati_id: int | None, action: AccessAction, reason: str, *, is_break_glass: bool = False
) -> None:
    """Add an entry to the access log, with the internal key that acts for the caller."""
    store.insert_access(
        *(tx, caller.tenant_id, caller.user_id, pati_id, action, reason),
        is_break_glass=is_break_glass,
        key_id=caller.key_id or None,
    )


def _is_open_to(tx: Tx, caller: Caller, patient: Patient) -> bool:
    return caller.role != Role.DOCTOR or doctor_patients.is_own(tx, caller.tenant_id, caller.user_id, patient.pati_id)
