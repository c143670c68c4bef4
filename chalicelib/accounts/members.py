"""Members (就诊人): the persons for whom an account books, each bound to a patient file.

Adding a member always creates a self-declared file. Neither the response nor the statements depend on whether a file
with that number exists; verification (verification.py) binds the member to the verified file later.
"""

from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.accounts.models import AddMemberRequest, AddMemberResponse, Member
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.billing import bookings
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.http import identity_fields
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import accounts, bar_code, consents, documents, formatting, guardians, members, names, patients
from chalicelib.people import patient_documents as document_store
from chalicelib.people.documents import Document
from chalicelib.people.guardians import Guardian
from chalicelib.people.members import MAX_ADDED_PER_YEAR, MAX_MEMBERS, Relation
from chalicelib.people.patients import PatientDetails


@dataclass(frozen=True, slots=True)
class NewMember:
    """What a request to add a member contains, validated."""

    details: PatientDetails
    document: Document | None  # None for a child who has none yet
    guardian: Guardian | None


def add(caller: Caller, request: AddMemberRequest) -> AddMemberResponse:
    """Add a member with a self-declared patient file.

    The same person again returns the same member: a person of the account with this document, or one who has a
    guardian, as a child or from when they were one, and this name, birthday and gender. A document that such a person
    has not shown yet is added to their file, unless the file is verified: then staff add it, who have seen it.

    Raises:
        ApiError: 400 for an invalid number, if birthday or gender contradict it, and for a child without a guardian;
            403 without the consents that the hospital requires; 409 above MAX_MEMBERS or MAX_ADDED_PER_YEAR.
    """
    consents.find_status(mysql.autocommit, caller.tenant_id, caller.user_id).require(request.birthday)
    field_encryption.preload_keys()
    new = _parse(caller, request)
    member_id = mysql.run_transaction(lambda tx: _find_or_add(tx, caller, new))
    outbox.wake_worker()
    return AddMemberResponse(memberId=str(member_id))


def list_all(caller: Caller) -> list[Member]:
    """Return the account's members, the default member first."""
    field_encryption.preload_keys()
    found = members.list_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    return [_build_member(member) for member in found]


def remove(caller: Caller, member_id: int) -> None:
    """Remove a member: it is not listed any more, cannot book, and its consultations end. Repeating has no effect.

    Raises:
        ApiError: 404 if the account never had this member, 409 as long as it has a booking to come.
    """
    mysql.run_transaction(lambda tx: _remove(tx, caller, member_id))


def _parse(caller: Caller, request: AddMemberRequest) -> NewMember:
    is_child = consents.is_minor(request.birthday)
    if is_child and request.guardian is None:
        raise ApiError(errors.BAD_PARAMETER, f"guardian：{consents.MINOR_AGE} 岁以下儿童须填写监护人")
    details = PatientDetails(name=request.name, gender=request.gender, birthday=request.birthday, phone=request.phone)
    guardian = identity_fields.parse_guardian(request.guardian) if is_child and request.guardian else None
    return NewMember(details, _parse_document(caller, request, is_child), guardian)


def _parse_document(caller: Caller, request: AddMemberRequest, is_child: bool) -> Document | None:
    if is_child and not request.IDNo.strip():
        return None
    id_type = identity_fields.parse_type(request.idType, "idType")
    try:
        number = documents.normalize_number(id_type, request.IDNo)
        documents.require_match(id_type, number, request.birthday, request.gender)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"IDNo：{error}") from None
    country = identity_fields.parse_country(id_type, request.idCountry, "idCountry")
    return documents.build_document(caller.tenant_id, id_type, number, country)


def _find_or_add(tx: Tx, caller: Caller, new: NewMember) -> int:
    _lock_child(tx, caller, new)
    accounts.get(tx, caller.tenant_id, caller.user_id, for_update=True)  # serializes concurrent additions
    present = members.list_with_patients(tx, caller.tenant_id, caller.user_id)
    member_id = _find_same_person(tx, caller, new, present) or _add(tx, caller, new, present)
    outbox.enqueue(tx, caller.tenant_id, Job.VERIFY_MEMBER, {"member_id": member_id})
    return member_id


def _lock_child(tx: Tx, caller: Caller, new: NewMember) -> None:
    """Lock the files to which `_find_same_person` may add a document: before the account, as in booking."""
    if new.document:
        present = members.list_with_patients(tx, caller.tenant_id, caller.user_id)
        same = {one.pati_id for one in present if one.pati_id and _is_same_child(one, new.details)}
        for pati_id in sorted(same):
            patients.get(tx, caller.tenant_id, pati_id, for_update=True)


def _find_same_person(tx: Tx, caller: Caller, new: NewMember, present: list[members.Member]) -> int | None:
    """Return the account's own live member who is the person of the request, None if there is none."""
    document = new.document
    if document:
        member_id = members.find_by_identity(tx, caller.tenant_id, caller.user_id, document.identity)
        if member_id:
            return member_id
    for member in present:
        if member.pati_id and _is_same_child(member, new.details):
            if document is None:
                return member.member_id
            shown = document_store.list_of_patient(tx, caller.tenant_id, member.pati_id)
            if document.id_type not in {one.id_type for one in shown}:
                if not member.is_verified:
                    document_store.add(tx, caller.tenant_id, member.pati_id, document, caller.user_id)
                return member.member_id
    return None


def _is_same_child(member: members.Member, details: PatientDetails) -> bool:
    same_day_and_gender = (member.birthday, member.gender) == (details.birthday, details.gender)
    return member.has_guardian and same_day_and_gender and names.are_equal(member.name, details.name)


def _add(tx: Tx, caller: Caller, new: NewMember, present: list[members.Member]) -> int:
    tenant_id, user_id, details = caller.tenant_id, caller.user_id, new.details
    if len(present) >= MAX_MEMBERS:
        raise ApiError(errors.CONFLICT, f"最多添加 {MAX_MEMBERS} 位就诊人")
    if members.count_added_since(tx, tenant_id, user_id, clock.now() - 365 * clock.DAY) >= MAX_ADDED_PER_YEAR:
        raise ApiError(errors.CONFLICT, f"一年内最多添加 {MAX_ADDED_PER_YEAR} 位就诊人")
    pati_id = patients.insert_declared(tx, tenant_id, details, new.document, user_id)
    if new.guardian:
        guardians.save(tx, tenant_id, pati_id, new.guardian, user_id)
    return members.add(
        tx,
        tenant_id,
        user_id,
        details.name,
        gender=details.gender,
        birthday=details.birthday,
        phone=details.phone,
        cont_relation=_guess_relation(new.guardian, present),
        is_default=not present,
        pati_id=pati_id,
    )


def _guess_relation(guardian: Guardian | None, present: list[members.Member]) -> Relation:
    """Return what a new member probably is to the account's owner, which requests do not say."""
    if guardian:
        return Relation.CHILD if guardian.cont_relation == Relation.PARENT else Relation.OTHER
    return Relation.OTHER if present else Relation.SELF


def _remove(tx: Tx, caller: Caller, member_id: int) -> None:
    tenant_id, user_id = caller.tenant_id, caller.user_id
    member = _get_own(tx, caller, member_id)
    locked_id = None
    while member.pati_id and member.pati_id != locked_id:  # a merge may give the member another file meanwhile
        locked_id = member.pati_id
        patients.get(tx, tenant_id, locked_id, for_update=True)  # as in booking, before all other locks
        member = _get_own(tx, caller, member_id)
    accounts.get(tx, tenant_id, user_id, for_update=True)
    if not member.is_live:
        return
    if bookings.has_member_to_come(tx, tenant_id, member_id):
        raise ApiError(errors.CONFLICT, "该就诊人还有未完成的预约，请先取消")
    members.remove(tx, tenant_id, member_id, user_id)
    if member.pati_id:
        audit_log.insert_entry(
            *(tx, tenant_id, caller.principal, AuditAction.UNBIND_MEMBER, f"patient:{member.pati_id}"),
            key_id=caller.key_id or None,
            member=member_id,
            user=user_id,
        )


def _get_own(tx: Tx, caller: Caller, member_id: int) -> members.OwnMember:
    member = members.find_own(tx, caller.tenant_id, caller.user_id, member_id)
    if member is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    return member


def _build_member(member: members.Member) -> Member:
    birthday, pati_id = member.birthday, str(member.pati_id or "")
    return Member(
        memberId=str(member.member_id),
        bindPatiId=pati_id,
        name=member.name,
        gender=member.gender,
        age=formatting.format_age(birthday.isoformat() if birthday else "", clock.today()),
        idType=documents.format_wire_type(member.id_type) if member.id_type else "",
        idCountry=member.country or "",
        IDNo=members.decrypt_document_number(member),
        phone=members.decrypt_phone(member),
        defaultMember=member.is_default,
        patiImg=bar_code.render_base64(pati_id) if pati_id else "",
        verified=member.is_verified,
        hasGuardian=member.has_guardian,
    )
