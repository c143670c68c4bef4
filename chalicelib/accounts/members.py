"""就诊人: those whom an account books for, each bound to a patient file."""

from chalicelib import clock, errors
from chalicelib.accounts.models import AddedMember, Member, MemberAdded
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import attempts
from chalicelib.identity.callers import Caller
from chalicelib.people import accounts, bar_code, formatting, id_cards, patients
from chalicelib.people.accounts import MAX_MEMBERS
from chalicelib.people.patients import PatientDetails

RELATION_SELF, RELATION_OTHER = 1, 9
MAX_ID_NUMBER_GUESSES = 10  # names that do not fit a number, in a quarter of an hour


def add(caller: Caller, given: MemberAdded) -> AddedMember:
    """Return a new member, bound to the hospital's one file of that ID number; the same one for who is there already.

    ApiError 400 where birthday or gender are not the number's, 409 above ten members, and where the number is filed
    under another name; 429 after ten of those.
    """
    try:
        id_cards.require_match(given.IDNo, given.birthday, given.gender)
    except ValueError as wrong:
        raise ApiError(errors.BAD_PARAMETER, f"IDNo：{wrong}") from None
    details = PatientDetails(
        name=given.name,
        gender=given.gender,
        birthday=given.birthday,
        phone=given.phone,
        id_number=patients.build_id_number(caller.tenant_id, given.IDNo),
    )
    guesses = f"member:{caller.user_id}"  # whose number it is must not be tried out
    attempts.consume_try(caller.tenant_id, guesses, MAX_ID_NUMBER_GUESSES)
    member_id = mysql.run_transaction(lambda tx: _find_or_add(tx, caller, details))
    attempts.clear_failures(caller.tenant_id, guesses)
    return AddedMember(memberId=str(member_id))


def list_all(caller: Caller) -> list[Member]:
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
        *(tx, caller.tenant_id, caller.user_id, details.name),
        gender=details.gender,
        birthday=details.birthday,
        phone=details.phone,
        cont_relation=RELATION_OTHER if present else RELATION_SELF,
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
