"""Change what the phones of patient files prove (people/patient_status.py).

The front desk confirms a phone; what an account has entered in a self-declared file, or a doctor in any, proves nothing
when the file is verified. A phone that an account loses proves nothing any more, in all files that have it: also in
those of removed members and in merged ones, which a split brings back. If the account's owner has proved to have both
the former phone and another one, the files of the account's members get the latter.

Each change of a verified file is an entry of the audit log, with the account whose phone proves whose the file is.
"""

from collections.abc import Collection

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.identity.callers import Caller
from chalicelib.people import accounts, patients, phones
from chalicelib.people.patient_status import PatientStatus
from chalicelib.people.patients import Patient


def lock_files_of_account(tx: Tx, tenant_id: int, user_id: int, others: Collection[int] = ()) -> None:
    """Lock the files with the phone of an account, and others: before the account, in ascending order (merging.py)."""
    rows = tx.fetch_all(
        """
        SELECT p.pati_id FROM accounts a
        JOIN patients p ON p.tenant_id = a.tenant_id AND p.phone_blind = a.phone_blind
        WHERE a.user_id = %(user_id)s AND a.tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    for pati_id in sorted({row["pati_id"] for row in rows} | set(others)):
        patients.get(tx, tenant_id, pati_id, for_update=True)


def change(
    tx: Tx, caller: Caller, file: Patient, phone: str, cause: AuditAction, reason: str, *, is_confirmed: bool = True
) -> None:
    """Set the phone of a locked file. Load the keys before the transaction.

    Args:
        file: before the change.
        cause: what staff did.
        is_confirmed: whether the patient has confirmed to have the phone; else it proves nothing.
    """
    tenant_id, phone_blind = caller.tenant_id, phones.compute_blind_index(caller.tenant_id, phone)
    if file.phone_blind == phone_blind and (file.phone_unconfirmed_since is None) is is_confirmed:
        return
    before = _find_proved(tx, file)
    _set(tx, tenant_id, file.pati_id, phone, None if is_confirmed else clock.now())
    after = accounts.find_by_phone(tx, tenant_id, phone_blind) if is_confirmed else None
    if file.status == PatientStatus.VERIFIED:
        _record(tx, caller, file.pati_id, cause, before, after, reason)


def pass_on(tx: Tx, caller: Caller, phone: str) -> None:
    """Give the caller's members' files, which have the phone of the caller's account, the one that it gets now.

    All other files with the former phone lose it as a proof. Call it before the account has the new one.
    """
    tenant_id, user_id = caller.tenant_id, caller.user_id
    for pati_id, is_verified in _list_proved(tx, tenant_id, user_id, only_members=True):
        _set(tx, tenant_id, pati_id, phone, None)
        if is_verified:
            _record(tx, caller, pati_id, AuditAction.CHANGE_PHONE, user_id, user_id)
    release(tx, caller, user_id, AuditAction.CHANGE_PHONE)


def release(tx: Tx, caller: Caller, user_id: int, cause: AuditAction, reason: str = "") -> None:
    """Let the phone of an account prove nothing any more. Call it before the account loses the phone.

    Args:
        cause: why the account loses it.
    """
    released = _list_proved(tx, caller.tenant_id, user_id)
    if not released:
        return
    mark_unconfirmed(tx, caller.tenant_id, [pati_id for pati_id, _ in released])
    for pati_id, is_verified in released:
        if is_verified:
            _record(tx, caller, pati_id, cause, user_id, None, reason)


def mark_unconfirmed(tx: Tx, tenant_id: int, pati_ids: Collection[int]) -> None:
    """Let the phones of locked files prove nothing until the front desk confirms them."""
    tx.execute(
        """
        UPDATE patients SET phone_unconfirmed_since = COALESCE(phone_unconfirmed_since, %(now)s)
        WHERE pati_id IN %(pati_ids)s AND tenant_id = %(tenant_id)s
        """,
        now=clock.now(),
        pati_ids=list(pati_ids),
        tenant_id=tenant_id,
    )


def _list_proved(tx: Tx, tenant_id: int, user_id: int, *, only_members: bool = False) -> list[tuple[int, bool]]:
    """Return the files of which the phone of an account proves whose they are, and whether they are verified.

    Args:
        only_members: leave out files that no live member of the account has.
    """
    of_members = "AND p.pati_id IN (SELECT m.pati_id FROM members m WHERE m.user_id = a.user_id AND m.live = 1)"
    rows = tx.fetch_all(
        f"""
        SELECT p.pati_id, p.status FROM accounts a
        JOIN patients p ON p.tenant_id = a.tenant_id AND p.phone_blind = a.phone_blind
        WHERE a.user_id = %(user_id)s AND a.tenant_id = %(tenant_id)s AND p.phone_unconfirmed_since IS NULL
          {of_members if only_members else ""}
        ORDER BY p.pati_id FOR UPDATE
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    return [(row["pati_id"], row["status"] == PatientStatus.VERIFIED) for row in rows]


def _find_proved(tx: Tx, file: Patient) -> int | None:
    """Return the account that the phone of a file proves to be its owner, None if there is none."""
    if file.phone_blind is None or file.phone_unconfirmed_since is not None:
        return None
    return accounts.find_by_phone(tx, file.tenant_id, file.phone_blind)


def _set(tx: Tx, tenant_id: int, pati_id: int, phone: str, unconfirmed_since: int | None) -> None:
    tx.execute(
        """
        UPDATE patients
        SET phone_sealed = %(phone_sealed)s, phone_blind = %(phone_blind)s,
            phone_unconfirmed_since = %(unconfirmed_since)s, changed_at = %(now)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
        """,
        phone_sealed=phones.seal(tenant_id, patients.TABLE_NAME, pati_id, phone),
        phone_blind=phones.compute_blind_index(tenant_id, phone),
        unconfirmed_since=unconfirmed_since,
        now=clock.now(),
        pati_id=pati_id,
        tenant_id=tenant_id,
    )


def _record(
    tx: Tx,
    caller: Caller,
    pati_id: int,
    cause: AuditAction,
    before: int | None,
    after: int | None,
    reason: str = "",
) -> None:
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.CHANGE_FILE_PHONE, f"patient:{pati_id}"),
        reason=reason,
        key_id=caller.key_id or None,
        cause=cause,
        owner_before=before,
        owner_after=after,
    )
