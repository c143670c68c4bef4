"""Members (就诊人): the persons for whom an account books, each bound to a patient file."""

from chalicelib import clock, errors
from chalicelib.accounts.models import AddMemberRequest, AddMemberResponse, Member
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import attempts
from chalicelib.identity.callers import Caller
from chalicelib.people import accounts, bar_code, consents, formatting, id_cards, patients
from chalicelib.people.accounts import MAX_MEMBERS, Relation
from chalicelib.people.patients import PatientDetails

MAX_ID_NUMBER_GUESSES = 10  # per account in 15 minutes


def add(caller: Caller, request: AddMemberRequest) -> AddMemberResponse:
    """Add a member, bound to the tenant's only file with this ID number.

    If that file belongs to a member of the account already, that member is returned. Each name that does not match the
    number counts as a guess, so that the owner of a number cannot be found by trial.

    Raises:
        ApiError: 400 if birthday or gender contradict the ID number; 403 without the consents that the hospital
            requires; 409 above MAX_MEMBERS, and if the file with this number has another name; 429 after
            MAX_ID_NUMBER_GUESSES of the latter.
    """
    try:
        id_cards.require_match(request.IDNo, request.birthday, request.gender)
    except ValueError as error:
        raise ApiError(errors.BAD_PARAMETER, f"IDNo：{error}") from None
    details = PatientDetails(
        name=request.name,
        gender=request.gender,
        birthday=request.birthday,
        phone=request.phone,
        id_number=patients.build_id_number(caller.tenant_id, request.IDNo),
    )
    consents.find_status(mysql.autocommit, caller.tenant_id, caller.user_id).require(request.birthday)
    guesses = f"member:{caller.user_id}"
    attempts.consume_try(caller.tenant_id, guesses, MAX_ID_NUMBER_GUESSES)
    member_id = mysql.run_transaction(lambda tx: _find_or_add(tx, caller, details))
    attempts.clear_failures(caller.tenant_id, guesses)
    return AddMemberResponse(memberId=str(member_id))


def list_all(caller: Caller) -> list[Member]:
    """Return the account's members, the default member first."""
    field_encryption.preload_keys()
    members = accounts.list_members_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    return [_build_member(caller.tenant_id, member) for member in members]


def _find_or_add(tx: Tx, caller: Caller, details: PatientDetails) -> int:
    accounts.get(tx, caller.tenant_id, caller.user_id, for_update=True)  # serializes concurrent additions
    present = accounts.list_members_with_patients(tx, caller.tenant_id, caller.user_id)
    pati_id = patients.get_or_create(tx, caller.tenant_id, details, caller.user_id)
    for member in present:
        if member.pati_id == pati_id:
            return member.member_id
    if len(present) >= MAX_MEMBERS:
        raise ApiError(errors.CONFLICT, f"最多添加 {MAX_MEMBERS} 位就诊人")
    return accounts.add_member(
        tx,
        caller.tenant_id,
        caller.user_id,
        details.name,
        gender=details.gender,
        birthday=details.birthday,
        phone=details.phone,
        cont_relation=Relation.OTHER if present else Relation.SELF,
        is_default=not present,
        pati_id=pati_id,
    )


def _build_member(tenant_id: int, member: accounts.Member) -> Member:
    birthday, pati_id = member.birthday, str(member.pati_id or "")
    return Member(
        memberId=str(member.member_id),
        bindPatiId=pati_id,
        name=member.name,
        gender=member.gender,
        age=formatting.format_age(birthday.isoformat() if birthday else "", clock.today()),
        IDNo=patients.decrypt_id_number(tenant_id, member.pati_id or 0, member.id_sealed),
        phone=member.phone,
        defaultMember=member.is_default,
        patiImg=bar_code.render_base64(pati_id) if pati_id else "",
    )
