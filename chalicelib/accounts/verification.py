"""Verification of members: binding a self-declared file to the verified file of the same person.

The verified file has the identity of the member's document, and the same name. What proves that the account may have
it: its phone is the file's phone, a code that was sent to the file's phone, or the number of the visit card. Neither
response nor statements reveal whether there is such a file before that.
"""

from typing import Any

from chalicelib import clock, errors
from chalicelib.accounts import verification_store
from chalicelib.accounts.verification_models import VerifiedMember, VerifyMemberRequest, VerifyMemberResponse
from chalicelib.accounts.verification_store import Claim
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import attempts, sms_codes
from chalicelib.identity.callers import Caller
from chalicelib.identity.code_store import CodePurpose
from chalicelib.patient_identity import merging
from chalicelib.people import double_submission, members, patients
from chalicelib.people.members import Member
from chalicelib.people.patient_status import VerificationMethod

NOT_VERIFIED_TEXT = "核验未通过，请核对就诊人的姓名、证件，以及验证码或就诊卡号；也可持证件到医院前台办理"


def verify_by_phone(tenant_id: int, payload: dict[str, Any]) -> None:
    """Bind a member to the verified file whose phone is the account's. Handler of Job.VERIFY_MEMBER.

    Args:
        payload: member_id, of a member whom an account has added.
    """
    member_id = payload["member_id"]
    claim = verification_store.find_claim(mysql.autocommit, tenant_id, member_id)
    if claim and claim.has_phone_of_account:
        merging.run_transaction(lambda tx: _bind(tx, tenant_id, member_id, claim, VerificationMethod.PHONE, None))


def request_code(caller: Caller, request: VerifiedMember) -> None:
    """Let a code be sent to the phone of the verified file, if there is one. The response is the same if there is none.

    A double click sends one code.

    Raises:
        ApiError: 404 if the account has no such member, 429 above the rate limits, 503 without an SMS provider.
    """
    _get_own(caller, request.memberId)
    try:
        sms_codes.request_member_code(caller.tenant_id, request.memberId, caller.address, caller.principal)
    except ApiError as error:
        since = clock.now() - double_submission.WINDOW
        if error.kind != errors.TOO_MANY_REQUESTS or not sms_codes.has_requested(
            caller.tenant_id, request.memberId, since
        ):
            raise


def verify(caller: Caller, request: VerifyMemberRequest) -> VerifyMemberResponse:
    """Bind a member to its verified file by a code or a visit card. Verifying a verified member has no effect.

    Raises:
        ApiError: 400 with one text for everything that does not match, 404 if the account has no such member, 429 after
            five failures in 15 minutes.
    """
    if bool(request.verCode) == bool(request.cardNo):
        raise ApiError(errors.BAD_PARAMETER, "verCode：与 cardNo 须填且只能填其一")
    member = _get_own(caller, request.memberId)
    if member.is_verified:
        return VerifyMemberResponse(memberId=str(member.member_id))
    tries = f"verify:{caller.user_id}"
    attempts.consume_try(caller.tenant_id, tries)
    claim = verification_store.find_claim(mysql.autocommit, caller.tenant_id, member.member_id)
    bind = _bind_by_code if request.verCode else _bind_by_card
    if not bind(caller, claim, request) and not _is_verified(caller, member.member_id):
        raise ApiError(errors.BAD_PARAMETER, NOT_VERIFIED_TEXT)
    attempts.clear_failures(caller.tenant_id, tries)
    return VerifyMemberResponse(memberId=str(_find_successor(caller, member.member_id, claim)))


def _get_own(caller: Caller, member_id: int) -> Member:
    present = members.list_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    member = next((one for one in present if one.member_id == member_id), None)
    if member is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    return member


def _is_verified(caller: Caller, member_id: int) -> bool:
    """Return whether a concurrent request has verified a member."""
    present = members.list_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    return any(one.is_verified for one in present if one.member_id == member_id)


def _find_successor(caller: Caller, member_id: int, claim: Claim | None) -> int:
    """Return the account's member of the verified file: an earlier one, if it had one of this file already."""
    present = members.list_with_patients(mysql.autocommit, caller.tenant_id, caller.user_id)
    return next((one.member_id for one in present if claim and one.pati_id == claim.verified_id), member_id)


def _bind_by_code(caller: Caller, claim: Claim | None, request: VerifyMemberRequest) -> bool:
    """Return whether the code is right and the member is bound by it."""
    tenant_id, member_id = caller.tenant_id, request.memberId
    subject = sms_codes.compute_member_subject(tenant_id, member_id)

    def consume_and_bind(tx: Tx) -> bool:
        sms_codes.consume(tx, tenant_id, subject, CodePurpose.VERIFY_MEMBER, code_hash)
        if claim is None or not claim.has_confirmed_phone:  # the phone was lost after the code was sent
            return False
        key = (tenant_id, subject, CodePurpose.VERIFY_MEMBER, code_hash)
        if not sms_codes.was_sent_to(tx, *key, claim.verified_phone_blind):  # the desk has replaced the phone since
            return False
        return _bind(tx, tenant_id, member_id, claim, VerificationMethod.CODE, caller)

    try:
        code_hash = sms_codes.verify(tenant_id, subject, CodePurpose.VERIFY_MEMBER, request.verCode, caller.address)
        return merging.run_transaction(consume_and_bind)
    except ApiError as error:
        if error.kind != errors.BAD_PARAMETER:
            raise
        return False


def _bind_by_card(caller: Caller, claim: Claim | None, request: VerifyMemberRequest) -> bool:
    """Return whether the card is the verified file's and the member is bound by it."""
    tenant_id, member_id = caller.tenant_id, request.memberId
    holder = patients.find_by_card(mysql.autocommit, tenant_id, request.cardNo)
    if claim is None or holder != claim.verified_id:
        return False
    return merging.run_transaction(lambda tx: _bind(tx, tenant_id, member_id, claim, VerificationMethod.CARD, caller))


def _bind(tx: Tx, tenant_id: int, member_id: int, claim: Claim, how: VerificationMethod, actor: Caller | None) -> bool:
    """Merge the member's file into the verified one; return False if the claim does not hold under the locks."""
    merging.lock_files(tx, tenant_id, (claim.declared_id, claim.verified_id))
    if verification_store.find_claim(tx, tenant_id, member_id) != claim:
        return False
    merging.merge(tx, tenant_id, claim.declared_id, claim.verified_id, how, actor)
    return True
