"""The accounts that are bound to the file of a member, as the file's owner sees and removes them."""

from chalicelib import clock, errors
from chalicelib.accounts.verification_models import FileBinding, RemoveBindingRequest, VerifiedMember
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.patient_identity import bindings, merging
from chalicelib.patient_identity.bindings import Binding
from chalicelib.people import account_phones, formatting, members


def list_all(caller: Caller, query: VerifiedMember) -> list[FileBinding]:
    """Return the other accounts with the file of the caller's member, with masked phones.

    Raises:
        ApiError: 404 if the account has no such member, 403 if it is not the owner of the member's file.
    """
    field_encryption.preload_keys()
    pati_id = _get_file(mysql.autocommit, caller, query.memberId)
    present = bindings.list_of_patient(mysql.autocommit, caller.tenant_id, pati_id)
    _require_owner(caller, present)
    return [_build_binding(one) for one in present if one.user_id != caller.user_id]


def remove(caller: Caller, request: RemoveBindingRequest) -> None:
    """Remove another account's member from the file; its bookings to come move to the caller. Repeating has no effect.

    Raises:
        ApiError: 404 if the account has no such member or the file no such binding, 403 if the account is not the owner
            of the member's file.
    """
    merging.run_transaction(lambda tx: _remove(tx, caller, request))


def _get_file(tx: Tx, caller: Caller, member_id: int) -> int:
    """Return the pati_id of the caller's live member."""
    member = members.find_own(tx, caller.tenant_id, caller.user_id, member_id)
    if member is None or not member.is_live or member.pati_id is None:
        raise ApiError(errors.NOT_FOUND, "就诊人不存在")
    return member.pati_id


def _require_owner(caller: Caller, present: list[Binding]) -> None:
    if not any(one.is_owner and one.user_id == caller.user_id for one in present):
        raise ApiError(errors.NOT_ALLOWED, "仅限档案本人：账号手机号须与已核验档案预留的手机号一致")


def _remove(tx: Tx, caller: Caller, request: RemoveBindingRequest) -> None:
    tenant_id = caller.tenant_id
    pati_id = _get_file(tx, caller, request.memberId)
    merging.lock_files(tx, tenant_id, [pati_id])
    if _get_file(tx, caller, request.memberId) != pati_id:
        raise merging.FilesChangedError
    present = bindings.list_of_patient(tx, tenant_id, pati_id)
    _require_owner(caller, present)
    binding = next((one for one in present if one.member_id == request.bindingId), None)
    if binding is None:
        if bindings.was_removed_by(tx, tenant_id, pati_id, request.bindingId, caller.user_id):
            return
        raise ApiError(errors.NOT_FOUND, "关联不存在")
    if binding.user_id == caller.user_id:
        raise ApiError(errors.CONFLICT, "本账号的就诊人请用删除就诊人")
    bindings.remove(tx, tenant_id, binding, present, caller.user_id)
    audit_log.insert_entry(
        *(tx, tenant_id, caller.principal, AuditAction.UNBIND_MEMBER, f"patient:{pati_id}"),
        key_id=caller.key_id or None,
        member=binding.member_id,
        user=binding.user_id,
    )


def _build_binding(binding: Binding) -> FileBinding:
    phone = account_phones.unseal(binding.tenant_id, binding.user_id, binding.phone_sealed)
    return FileBinding(
        bindingId=str(binding.member_id),
        phone=formatting.mask_phone(phone),
        name=binding.name,
        relation=binding.cont_relation,
        bindTime=clock.format_wire_time(binding.created_at),
    )
