"""Verify a patient file whose document staff have in hand.

A verified file is the only one of its identities. If another verified file has the identity already, and the same name,
the file is merged into it; with another name a person must compare the two, and merge them explicitly.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.patient_identity import file_phones, member_moves, merging
from chalicelib.patient_identity.merging import FilesChangedError
from chalicelib.people import members, names, patient_documents, patients, temporary_patients
from chalicelib.people.documents import Document, Identity
from chalicelib.people.patient_status import PatientStatus, VerificationMethod
from chalicelib.people.patients import Patient


class DocumentConflictError(ApiError):
    """A document belongs to another verified file, or to one with another name."""

    def __init__(self, text: str, owner_id: int) -> None:
        super().__init__(errors.CONFLICT, text)
        self.owner_id = owner_id  # pati_id of that file


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """The verified file of a person."""

    pati_id: int
    merge_id: int | None  # of the merge into it, None if the file itself was verified


@contextmanager
def audit_conflicts(caller: Caller, pati_id: int | None) -> Iterator[None]:
    """Enter into the audit log that staff have named the document of another file, which the error reveals to them.

    To be used around the transaction, which the error rolls back.

    Args:
        pati_id: the file for which they have named it, None for a new one.
    """
    try:
        yield
    except DocumentConflictError as conflict:
        audit_log.insert_entry(
            *(mysql.autocommit, caller.tenant_id, caller.principal, AuditAction.DOCUMENT_CONFLICT),
            f"patient:{conflict.owner_id}",
            key_id=caller.key_id or None,
            file=pati_id,
        )
        raise


def verify_in_person(
    tx: Tx, caller: Caller, pati_id: int, document: Document | None, how: VerificationMethod, reason: str = ""
) -> VerifiedFile:
    """Verify a file, or merge it into the verified file of the same person. Verifying again has no effect.

    In a transaction of `merging.run_transaction`; call outbox.wake_worker after it.

    Args:
        document: the document in hand, which is added to the file; None: the file's own primary one.

    Raises:
        ApiError: 404 if the tenant has no such file; 409 if it has no document, is merged already, or another verified
            file with another name has the identity.
        FilesChangedError: run the transaction again.
    """
    identity = document.identity if document else _get_own_identity(tx, caller.tenant_id, pati_id)
    name = patients.get(tx, caller.tenant_id, pati_id).name
    owner_id = patient_documents.find_verified_by_identity(tx, caller.tenant_id, identity, name)
    files = merging.lock_files(tx, caller.tenant_id, {pati_id, owner_id or pati_id})
    file = files[pati_id]
    if file.status == PatientStatus.MERGED:
        if how == VerificationMethod.REGISTRATION:  # the booking has moved to another file
            raise FilesChangedError
        raise ApiError(errors.CONFLICT, f"该档案已并入档案 {file.merged_into}")
    present = document.identity if document else _get_own_identity(tx, caller.tenant_id, pati_id)
    present_owner_id = patient_documents.find_verified_by_identity(tx, caller.tenant_id, present, file.name)
    if (present, present_owner_id) != (identity, owner_id):  # saved, or another file was verified, before the lock
        raise FilesChangedError
    if owner_id is None or owner_id == pati_id:
        _verify(tx, caller, file, document, identity, how, reason)
        enqueue_claims(tx, caller.tenant_id, pati_id)
        return VerifiedFile(pati_id, None)
    _require_same_person(file, files[owner_id])
    merged = merging.merge(tx, caller.tenant_id, pati_id, owner_id, how, caller, reason)
    if document:
        patient_documents.add(tx, caller.tenant_id, owner_id, document, caller.user_id, claim=True)
    enqueue_claims(tx, caller.tenant_id, owner_id)
    return VerifiedFile(owner_id, merged.merge_id)


def add_document(tx: Tx, caller: Caller, file: Patient, document: Document, *, is_seen: bool) -> None:
    """Add a document to a file unless the file has it; a verified file then owns what a document in hand proves.

    The caller has locked the file.

    Args:
        is_seen: whether staff have the document in hand; else it is entered only, and proves nothing.

    Raises:
        mysql.DuplicateKeyError: key "identity" if another verified file owns the identity.
    """
    tenant_id, pati_id = caller.tenant_id, file.pati_id
    proves = is_seen and file.status == PatientStatus.VERIFIED
    is_new = proves and not patient_documents.owns(tx, tenant_id, pati_id, document.identity)
    patient_documents.add(tx, tenant_id, pati_id, document, caller.user_id, claim=proves)
    if is_new:
        _record_verified(tx, caller, pati_id, VerificationMethod.FRONT_DESK)


def enqueue_claims(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Let the members be verified whose accounts have added them before their verified file had identity and phone.

    After the commit, call outbox.wake_worker.
    """
    for member_id in members.list_claims(tx, tenant_id, pati_id):
        outbox.enqueue(tx, tenant_id, Job.VERIFY_MEMBER, {"member_id": member_id})


def _get_own_identity(tx: Tx, tenant_id: int, pati_id: int) -> Identity:
    stored = patient_documents.list_of_patient(tx, tenant_id, pati_id)
    if not stored:
        patients.get(tx, tenant_id, pati_id)
        raise ApiError(errors.CONFLICT, "该档案没有证件，请先登记证件")
    return stored[0].identity


def _require_same_person(file: Patient, owner: Patient) -> None:
    if file.status == PatientStatus.VERIFIED:
        text = f"该证件属于另一已核验的档案 {owner.pati_id}，如确为同一人请合并档案"
        raise DocumentConflictError(text, owner.pati_id)
    if not names.are_equal(file.name, owner.name):
        text = f"该证件已登记在档案 {owner.pati_id}，姓名不同，请核对；如确为同一人请合并档案"
        raise DocumentConflictError(text, owner.pati_id)


def _verify(
    tx: Tx,
    caller: Caller,
    file: Patient,
    document: Document | None,
    identity: Identity,
    how: VerificationMethod,
    reason: str,
) -> None:
    """Let a locked file own an identity, and mark it as verified.

    Its phone proves nothing then: the document does not show that the person has the phone that was entered.
    """
    tenant_id, pati_id = caller.tenant_id, file.pati_id
    if file.status == PatientStatus.TEMPORARY and file.name.startswith(temporary_patients.NAME):
        raise ApiError(errors.CONFLICT, "临时档案请先补全患者姓名，再核验；或并入该患者已有的档案")
    is_owned = patient_documents.owns(tx, tenant_id, pati_id, identity)
    try:
        if document:
            patient_documents.add(tx, tenant_id, pati_id, document, caller.user_id)
        if file.status == PatientStatus.VERIFIED:
            patient_documents.claim_identities(tx, tenant_id, pati_id, [identity])
        else:
            patients.mark_verified(tx, tenant_id, pati_id, how, caller.user_id, [identity])
            member_moves.count_booked_for_person(tx, tenant_id, pati_id)
            file_phones.mark_unconfirmed(tx, tenant_id, [pati_id])
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key == "identity":  # a concurrent transaction has verified another file
            raise FilesChangedError from duplicate
        raise
    if not is_owned:
        _record_verified(tx, caller, pati_id, how, reason)


def _record_verified(tx: Tx, caller: Caller, pati_id: int, how: VerificationMethod, reason: str = "") -> None:
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, AuditAction.VERIFY_PATIENT, f"patient:{pati_id}"),
        reason=reason,
        key_id=caller.key_id or None,
        how=how.value,
    )
