"""What the front desk decides about patient files: who a file is of, which files are one, which accounts have it.

Service staff and admins; each decision is in the audit log.
"""

from datetime import date
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http import identity_fields
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.patient_identity import bindings, file_phones, merge_records, merging, splitting, verification
from chalicelib.patient_identity.bindings import Binding
from chalicelib.patient_identity.merge_records import Merge
from chalicelib.people import (
    account_phones,
    documents,
    double_submission,
    formatting,
    patients,
    phones,
    temporary_patients,
)
from chalicelib.people.documents import Document
from chalicelib.people.patient_status import PatientStatus, VerificationMethod
from chalicelib.people.patients import Patient
from chalicelib.staff import file_access, front_desk_store, patient_saving
from chalicelib.staff.front_desk_models import (
    DuplicateCandidate,
    FileBinding,
    MergePatientsRequest,
    MergePatientsResponse,
    PatientMerge,
    ReplaceCardRequest,
    ReplaceCardResponse,
    SplitPatientsRequest,
    SplitPatientsResponse,
    TemporaryPatientRequest,
    TemporaryPatientResponse,
    UnbindMemberRequest,
    VerifyPatientRequest,
    VerifyPatientResponse,
)
from chalicelib.staff.front_desk_store import Candidate
from chalicelib.staff.store import AccessAction

OTHER_PHONE_TEXT = "该档案已有确认过的手机号，更换后原手机号的账号不再是档案本人，请填写原因"


def verify(caller: Caller, request: VerifyPatientRequest) -> VerifyPatientResponse:
    """Verify a file whose document is in hand, or merge it into the verified file of the same person.

    Raises:
        ApiError: 400 for an invalid document or one that contradicts the file; 403 (REASON_REQUIRED) without a reason
            for a file in storage, or to replace a phone that proves whose the file is; 404 if the tenant has no such
            file; 409 if the file has no document or is merged, or the identity belongs to a verified file with another
            name.
    """
    field_encryption.preload_keys()
    document = _parse_document(caller, request)
    with verification.audit_conflicts(caller, request.pati_id):
        verified, file, present = merging.run_transaction(lambda tx: _verify(tx, caller, request, document))
    outbox.wake_worker()
    return VerifyPatientResponse(
        pati_id=str(verified.pati_id),
        card_no=file.card_no or "",
        merge_id=str(verified.merge_id or ""),
        bindings=[_build_binding(one) for one in present],
    )


def merge(caller: Caller, request: MergePatientsRequest) -> MergePatientsResponse:
    """Merge two files of one person. See `merging.merge`."""
    files, how = (request.source, request.target), VerificationMethod.FRONT_DESK
    result = merging.run_transaction(
        lambda tx: merging.merge(tx, caller.tenant_id, *files, how, caller, request.reason, claims_documents=True)
    )
    conflicts = [str(book_id) for book_id in result.conflicts]
    return MergePatientsResponse(merge_id=str(result.merge_id), pati_id=str(result.pati_id), conflicts=conflicts)


def split(caller: Caller, request: SplitPatientsRequest) -> SplitPatientsResponse:
    """Undo a merge. See `splitting.split`."""
    undone = merging.run_transaction(
        lambda tx: splitting.split(tx, caller.tenant_id, request.merge_id, caller, request.reason)
    )
    return SplitPatientsResponse(source=str(undone.source_pati_id), target=str(undone.target_pati_id))


def list_merges(caller: Caller, pati_id: int) -> list[PatientMerge]:
    """Return the merges of a file, as source or target, the newest first. Raises ApiError 404 for an unknown file."""
    return mysql.run_autocommit(lambda tx: _list_merges(tx, caller, pati_id))


def list_bindings(caller: Caller, pati_id: int) -> list[FileBinding]:
    """Return the accounts with a file, with masked phones. Raises ApiError 404 for an unknown file."""
    field_encryption.preload_keys()
    present = mysql.run_autocommit(lambda tx: _list_bindings(tx, caller, pati_id))
    return [_build_binding(one) for one in present]


def list_candidates(caller: Caller, pati_id: int) -> list[DuplicateCandidate]:
    """Return other files that may be of the same person. Raises ApiError 404 for an unknown file."""
    field_encryption.preload_keys()
    patient = patients.get(mysql.autocommit, caller.tenant_id, pati_id)
    return [_build_candidate(caller, one) for one in front_desk_store.list_candidates(mysql.autocommit, patient)]


def unbind_member(caller: Caller, request: UnbindMemberRequest) -> None:
    """Remove a member from its account. See `bindings.remove`. Repeating has no effect.

    Raises:
        ApiError: 404 if the tenant has no such member, 409 if the member has no file.
    """
    merging.run_transaction(lambda tx: _unbind_member(tx, caller, request))


def create_temporary(
    caller: Caller, request: TemporaryPatientRequest, idempotency_key: str | None
) -> TemporaryPatientResponse:
    """Create the file of a person in an emergency who is not identified. It is merged into the person's file later.

    Args:
        idempotency_key: a later request with the same key returns the file that the first one created. Without a key,
            so does an equal request of the same person within seconds.

    Raises:
        ApiError: 400 for a year of birth in the future.
    """
    if request.birth_year and request.birth_year > clock.today().year:
        raise ApiError(errors.BAD_PARAMETER, "birth_year：不能晚于今年")
    field_encryption.preload_keys()
    try:
        pati_id = mysql.run_transaction(lambda tx: _create_temporary(tx, caller, request, idempotency_key))
    except mysql.DuplicateKeyError as duplicate:
        if duplicate.key != "idempotency_key":
            raise
        key = str(idempotency_key)
        pati_id = patients.get_by_idempotency_key(mysql.autocommit, caller.tenant_id, caller.user_id, key).pati_id
    file = patients.get(mysql.autocommit, caller.tenant_id, pati_id)
    return TemporaryPatientResponse(pati_id=str(pati_id), pati_name=file.name)


def replace_card(caller: Caller, request: ReplaceCardRequest) -> ReplaceCardResponse:
    """Give a verified file a new card number. The former card is no longer valid.

    Raises:
        ApiError: 404 if the tenant has no such file, 409 if it is not verified.
    """
    return ReplaceCardResponse(card_no=mysql.run_transaction(lambda tx: _replace_card(tx, caller, request)))


def _parse_document(caller: Caller, request: VerifyPatientRequest) -> Document | None:
    """Return the document of a request, None if it names none."""
    number = request.pati_id_number.strip()
    if not number:
        return None
    id_type = patient_saving.parse_protocol_type(request.pati_id_type, "pati_id_type")
    try:
        normalized = documents.normalize_number(id_type, number)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None
    country = identity_fields.parse_country(id_type, request.pati_id_country, "pati_id_country")
    return documents.build_document(caller.tenant_id, id_type, normalized, country)


def _verify(
    tx: Tx, caller: Caller, request: VerifyPatientRequest, document: Document | None
) -> tuple[verification.VerifiedFile, Patient, list[Binding]]:
    """Return the verified file and the accounts that have it."""
    tenant_id, how = caller.tenant_id, VerificationMethod.FRONT_DESK
    named = patients.get(tx, tenant_id, request.pati_id)
    if document:
        try:
            documents.require_match(document.id_type, document.number, named.birthday, named.gender)
        except ValueError as error:
            raise ApiError(errors.BAD_PARAMETER, f"pati_id_number：{error}") from None
    verified = verification.verify_in_person(tx, caller, request.pati_id, document, how, request.reason or "")
    file = patients.get(tx, tenant_id, verified.pati_id)
    for opened in {named.pati_id: named, file.pati_id: file}.values():
        file_access.open_file(tx, caller, opened, AccessAction.CHANGED, request.reason)
    if request.pati_phone:
        was_verified = named.status == PatientStatus.VERIFIED or verified.merge_id is not None
        _confirm_phone(tx, caller, file, request, was_verified=was_verified)
    return verified, file, bindings.list_of_patient(tx, tenant_id, verified.pati_id)


def _confirm_phone(tx: Tx, caller: Caller, file: Patient, request: VerifyPatientRequest, *, was_verified: bool) -> None:
    """Set the phone that proves whose a file is, for a reason if another phone has proved it."""
    phone_blind = phones.compute_blind_index(caller.tenant_id, request.pati_phone)
    is_proof = was_verified and file.phone_blind is not None and file.phone_unconfirmed_since is None
    if is_proof and file.phone_blind != phone_blind and not request.reason:
        raise ApiError(errors.REASON_REQUIRED, OTHER_PHONE_TEXT)
    file_phones.change(tx, caller, file, request.pati_phone, AuditAction.VERIFY_PATIENT, request.reason or "")


def _list_merges(tx: Tx, caller: Caller, pati_id: int) -> list[PatientMerge]:
    patients.get(tx, caller.tenant_id, pati_id)
    found = merge_records.list_of_patient(tx, caller.tenant_id, pati_id)
    user_ids = {by for one in found for by in (one.merged_by, one.split_by) if by}
    names = front_desk_store.list_names(tx, caller.tenant_id, user_ids)
    return [_build_merge(one, names) for one in found]


def _list_bindings(tx: Tx, caller: Caller, pati_id: int) -> list[Binding]:
    patients.get(tx, caller.tenant_id, pati_id)
    return bindings.list_of_patient(tx, caller.tenant_id, pati_id)


def _unbind_member(tx: Tx, caller: Caller, request: UnbindMemberRequest) -> None:
    tenant_id, member_id = caller.tenant_id, request.member_id
    found = front_desk_store.find_member_file(tx, tenant_id, member_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    pati_id, _ = found
    if pati_id is None:
        raise ApiError(errors.CONFLICT, "该就诊人没有档案")
    merging.lock_files(tx, tenant_id, [pati_id])
    found = front_desk_store.find_member_file(tx, tenant_id, member_id)
    if found != (pati_id, True):
        if found == (pati_id, False):
            return
        raise merging.FilesChangedError
    present = bindings.list_of_patient(tx, tenant_id, pati_id)
    binding = next(one for one in present if one.member_id == member_id)
    bindings.remove(tx, tenant_id, binding, present, caller.user_id)
    _record(tx, caller, AuditAction.UNBIND_MEMBER, pati_id, request.reason, member=member_id, user=binding.user_id)


def _create_temporary(tx: Tx, caller: Caller, request: TemporaryPatientRequest, idempotency_key: str | None) -> int:
    tenant_id, user_id = caller.tenant_id, caller.user_id
    birthday = date(request.birth_year, 1, 1) if request.birth_year else None
    details = (request.gender, birthday, request.description, user_id)
    if idempotency_key is None:
        double_submission.lock_sender(tx, tenant_id, caller.principal)
        if earlier := temporary_patients.find_double_submission(tx, tenant_id, *details):
            return earlier
    pati_id = temporary_patients.create(tx, tenant_id, *details, idempotency_key)
    _record(tx, caller, AuditAction.CREATE_TEMPORARY_PATIENT, pati_id, "")
    return pati_id


def _replace_card(tx: Tx, caller: Caller, request: ReplaceCardRequest) -> str:
    file = patients.get(tx, caller.tenant_id, request.pati_id, for_update=True)
    if file.status != PatientStatus.VERIFIED:
        raise ApiError(errors.CONFLICT, "该档案未核验，核验后才有就诊卡")
    action, subject = AuditAction.REPLACE_CARD, f"patient:{request.pati_id}"
    if file.card_no and front_desk_store.has_just_done(tx, caller.tenant_id, caller.principal, action, subject):
        return file.card_no
    card_no = patients.assign_card_number(tx, caller.tenant_id, request.pati_id)
    _record(tx, caller, action, request.pati_id, request.reason)
    return card_no


def _record(tx: Tx, caller: Caller, action: AuditAction, pati_id: int, reason: str, **detail: Any) -> None:
    audit_log.insert_entry(
        *(tx, caller.tenant_id, caller.principal, action, f"patient:{pati_id}"),
        reason=reason,
        key_id=caller.key_id or None,
        **detail,
    )


def _build_binding(binding: Binding) -> FileBinding:
    phone = account_phones.unseal(binding.tenant_id, binding.user_id, binding.phone_sealed)
    return FileBinding(
        member_id=str(binding.member_id),
        user_id=str(binding.user_id),
        name=binding.name,
        phone=formatting.mask_phone(phone),
        relation=binding.cont_relation,
        bind_time=clock.format_wire_time(binding.created_at),
        is_owner=binding.is_owner,
    )


def _build_merge(record: Merge, names: dict[int, str]) -> PatientMerge:
    return PatientMerge(
        merge_id=str(record.merge_id),
        source=str(record.source_pati_id),
        target=str(record.target_pati_id),
        how=record.how,
        merge_by=names.get(record.merged_by or 0, ""),
        merge_time=clock.format_wire_time(record.merged_at),
        split_by=names.get(record.split_by or 0, ""),
        split_time=clock.format_wire_time(record.split_at) if record.split_at else "",
    )


def _build_candidate(caller: Caller, candidate: Candidate) -> DuplicateCandidate:
    phone = phones.unseal(caller.tenant_id, patients.TABLE_NAME, candidate.pati_id, candidate.phone_sealed)
    return DuplicateCandidate(
        pati_id=str(candidate.pati_id),
        pati_name=candidate.name,
        pati_gender=candidate.gender,
        pati_birthday=candidate.birthday.isoformat() if candidate.birthday else "",
        pati_phone=formatting.mask_phone(phone),
        pati_create_time=clock.format_wire_time(candidate.created_at),
        status=candidate.status,
        same=candidate.same,
    )
