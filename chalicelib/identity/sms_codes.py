"""Verification codes by SMS, which prove the possession of a phone.

An outbox job sends the code after the response: no request waits for the SMS provider, and the response takes as long
for a phone without an account as for one with an account. The code is derived from a data key and the id of the
request, so that a retry sends the same code and only its hash is stored. Earlier codes of the same network stay valid
until the provider has accepted the new one; those of other networks are not affected (code_limits.py).

The subject of a code is what it is asked for and compared with: the blind index of a phone that the requester names
(`phones.compute_blind_index`), or a keyed hash of a member (`compute_member_subject`), whose file has a phone that the
requester does not know. In the latter case the job finds the phone and applies the limits of a phone silently.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import addresses, attempts, captchas, code_limits, code_store, known_networks
from chalicelib.identity.captchas import Captcha, Proof
from chalicelib.identity.code_limits import Requester
from chalicelib.identity.code_store import Budget, CodeKey, CodePurpose
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.people import accounts, double_submission, phones, verified_phones
from chalicelib.people.roles import PersonKind
from chalicelib.settings import settings

CODE_LIFETIME = 5 * 60 * clock.SECOND  # after the latest attempt to send it; also how long a failed sending is retried
MAX_TRIES = 5  # for a code from the network that has requested it, and as many from all others together
WRONG_CODE_TEXT = "verCode：验证码错误或已过期，请重新获取"


@dataclass(frozen=True, slots=True)
class _Order:
    """An order to send a code.

    Attributes:
        recipient: what the job finds the phone by (`_find_phone`).
        phone_subject: see code_limits.name_phone; "" if only the job determines the phone.
    """

    key: CodeKey
    recipient: Mapping[str, Any]
    phone_subject: str = ""
    merges_double_submission: bool = False
    captcha: Captcha | None = None


def request_code(
    tenant_id: int,
    phone: str,
    purpose: CodePurpose,
    address: str,
    *,
    principal: str = "",
    merge_double_submission: bool = False,
    captcha: Captcha | None = None,
) -> None:
    """Enqueue the sending of a code to a phone, whose blind index is the subject of the code.

    Args:
        principal: of the account that is signed in, "" for a visitor.
        merge_double_submission: an equal request within seconds has the result of the first one, not a 429.

    Raises:
        ApiError: 429 above the limits, 403 if a captcha is required and not solved, 503 if no SMS provider is
            configured.
    """
    field_encryption.preload_keys()
    subject = phones.compute_blind_index(tenant_id, phone)
    sealed = phones.seal(tenant_id, _name_recipient(subject), 0, phone) or b""
    recipient = {"phone_sealed": base64.b64encode(sealed).decode()}
    key, phone_subject = CodeKey(tenant_id, subject, purpose), code_limits.name_phone(phone)
    _request_code(_Order(key, recipient, phone_subject, merge_double_submission, captcha), address, principal)


def request_member_code(tenant_id: int, member_id: int, address: str, principal: str) -> None:
    """Enqueue the sending of a code of purpose VERIFY_MEMBER to the phone of the verified file of a member's identity.

    The response does not reveal whether there is such a file. The member may get as many codes as a phone.

    Raises:
        ApiError: 429 above the rate limits, 503 if no SMS provider is configured.
    """
    subject = compute_member_subject(tenant_id, member_id)
    key = CodeKey(tenant_id, subject, CodePurpose.VERIFY_MEMBER)
    _request_code(_Order(key, {"member_id": member_id}), address, principal)


def has_requested(tenant_id: int, member_id: int, since: int) -> bool:
    """Return whether a code for a member was requested after an instant."""
    subject = compute_member_subject(tenant_id, member_id)
    key = CodeKey(tenant_id, subject, CodePurpose.VERIFY_MEMBER)
    return bool(code_store.list_requests_of_subject(mysql.autocommit, key, since))


def compute_member_subject(tenant_id: int, member_id: int) -> bytes:
    """Return the subject of a member's codes. Not inside a transaction: see crypto."""
    return field_encryption.compute_blind_index(tenant_id, "code subject", f"member:{member_id}")


def send_code(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job SEND_SMS_CODE: store the hash of the request's code and send the code.

    Nothing is sent if the request is too old, its code has been used, or the user has requested another one since.
    A code to reset a password is sent only to a phone with an account, one to verify a member only if their identity
    has a verified file with a phone whose limits permit it, and both only while the hospital's budget lasts. Otherwise
    a random hash is stored: checking a code then takes as long, and always fails.

    Args:
        payload: subject (hex), purpose, request_id, network (which requested it), budget, until (instant after which it
            is not sent), recipient.

    Raises:
        sms.SmsError, ApiError: the job is retried.
    """
    key, request_id = CodeKey(tenant_id, bytes.fromhex(payload["subject"]), payload["purpose"]), payload["request_id"]
    if clock.now() > payload["until"]:
        return
    network = payload["network"]
    stored = {code.request_id: code for code in code_store.list_codes_since(mysql.autocommit, key, network, request_id)}
    own = stored.pop(request_id, None)
    if stored or (own and own.is_used):
        return
    phone = _find_phone(key, payload["recipient"])
    code = _derive_code(key, request_id)
    sent_hash = _hash_code(key, code)
    if own:
        code_hash = own.code_hash
    else:
        may_send = phone and (payload["budget"] != Budget.HIDDEN or _charge(key, request_id, phone, network))
        code_hash = sent_hash if may_send else secrets.token_bytes(32)
    # Before it is sent: the SMS may arrive although the provider's response does not.
    code_store.upsert_code(mysql.autocommit, key, network, request_id, code_hash, clock.now() + CODE_LIFETIME)
    is_sent = bool(phone) and hmac.compare_digest(code_hash, sent_hash)
    if is_sent:
        sms.send(phone, code)
    if is_sent or not phone:
        code_store.delete_earlier_codes(mysql.autocommit, key, network, request_id)


def verify(tenant_id: int, subject: bytes, purpose: CodePurpose, code: str, address: str) -> bytes:
    """Check a code without using it up. The owner of the phone is known in the network that sends the right one.

    A network from which many wrong passwords or codes came can enter only the codes that it has requested.

    Returns:
        The hash of the code, for `consume`.

    Raises:
        ApiError: 400 for a wrong or expired code, and after MAX_TRIES wrong ones, 429 if the network is locked.
    """
    key, network = CodeKey(tenant_id, subject, purpose), addresses.get_network(address)
    known_key = (tenant_id, PersonKind.PATIENT, subject, network)
    is_locked = attempts.is_network_locked(tenant_id, PersonKind.PATIENT, network)
    is_locked = not known_networks.is_known(mysql.autocommit, *known_key) and is_locked
    code_hash = _hash_code(key, code)
    limits = (MAX_TRIES, 0 if is_locked else MAX_TRIES)
    stored = mysql.run_transaction(lambda tx: code_store.consume_tries(tx, key, network, *limits, clock.now()))
    matches = [hmac.compare_digest(stored_hash, code_hash) for stored_hash in stored.values()]
    if True not in matches:
        if is_locked and not stored:
            raise attempts.build_lockout_error()
        attempts.count_network_failure(tenant_id, PersonKind.PATIENT, network)
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    code_store.restore_tries(mysql.autocommit, key, network, list(stored))  # it is sent once more with the new password
    if purpose != CodePurpose.VERIFY_MEMBER:
        mysql.run_autocommit(lambda tx: known_networks.remember(tx, *known_key))
    return code_hash


def was_used(tenant_id: int, subject: bytes, purpose: CodePurpose, code: str) -> bool:
    """Return whether a code was the right one for an earlier request. This does not count as a try."""
    key = CodeKey(tenant_id, subject, purpose)
    return code_store.is_used(mysql.autocommit, key, _hash_code(key, code))


def consume(tx: Tx, tenant_id: int, subject: bytes, purpose: CodePurpose, code_hash: bytes) -> None:
    """Mark a verified code and all others of the subject as used, in the transaction that it authorizes.

    Raises:
        ApiError: 400 if a concurrent request has used it.
    """
    if not code_store.mark_used(tx, CodeKey(tenant_id, subject, purpose), code_hash):
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)


def was_sent_to(
    tx: Tx, tenant_id: int, subject: bytes, purpose: CodePurpose, code_hash: bytes, phone_blind: bytes | None
) -> bool:
    """Return whether a code, one whose phone is found by the job that sends it, was sent to a phone."""
    return code_store.was_sent_to(tx, CodeKey(tenant_id, subject, purpose), code_hash, phone_blind)


def _request_code(order: _Order, address: str, principal: str) -> None:
    """Enqueue the job."""
    if not settings.sms.provider:
        raise ApiError(errors.UNAVAILABLE, "短信服务未开通")
    requester = code_limits.identify_requester(order.key, address, principal)
    try:
        proof = _check_request(order, requester, address)
        if proof is None:
            return
        mysql.run_transaction(lambda tx: _insert_request(tx, order, requester, proof))
    except ApiError as error:
        if error.kind in (errors.TOO_MANY_REQUESTS, errors.CAPTCHA_REQUIRED):
            code_limits.count_rejection(requester, error)
        raise
    outbox.wake_worker(Queue.EXTERNAL)


def _check_request(order: _Order, requester: Requester, address: str) -> Proof | None:
    """Check the limits of a request before the tenant is locked: a rejected one makes no other wait.

    Returns:
        What it has proven about a captcha; None if it repeats an equal one and is to be merged with that.
    """
    try:
        code_limits.require_recipient(mysql.autocommit, order.key, requester)
        proof = captchas.require(order.key, requester, order.captcha, address)
        if proof is not Proof.SOLVED:
            code_limits.require_requester(mysql.autocommit, order.key.tenant_id, requester)
    except ApiError:
        if not _is_double_submission(mysql.autocommit, order, requester):
            raise
        return None
    return proof


def _insert_request(tx: Tx, order: _Order, requester: Requester, proof: Proof) -> None:
    """Count and enqueue."""
    key, now, network = order.key, clock.now(), requester.network
    code_store.lock_tenant(tx, key.tenant_id)
    if _is_double_submission(tx, order, requester):
        return
    code_limits.use(tx, key, requester, order.phone_subject, is_human=proof is Proof.SOLVED)
    if proof is Proof.FREE:
        captchas.use_free_code(tx, requester)
    phone_blind, budget = (
        key.subject if order.phone_subject else None,
        code_limits.choose_budget(key.purpose, requester),
    )
    request_id = code_store.insert_request(tx, key, network, phone_blind, budget, now)
    payload = {
        "subject": key.subject.hex(),
        "purpose": key.purpose,
        "request_id": request_id,
        "network": network,
        "budget": budget,
        "until": now + CODE_LIFETIME,
        "recipient": order.recipient,
    }
    outbox.enqueue(tx, key.tenant_id, Job.SEND_SMS_CODE, payload)


def _is_double_submission(tx: Tx, order: _Order, requester: Requester) -> bool:
    since = clock.now() - double_submission.WINDOW
    return order.merges_double_submission and code_store.was_requested_since(tx, order.key, requester.network, since)


def _find_phone(key: CodeKey, recipient: Mapping[str, Any]) -> str:
    """Return the phone to which a code is sent, "" if none may be sent."""
    if key.purpose == CodePurpose.VERIFY_MEMBER:
        return verified_phones.find_for_member(mysql.autocommit, key.tenant_id, recipient["member_id"])
    if key.purpose == CodePurpose.RESET_PASSWORD and not _has_account(key):
        return ""
    sealed = base64.b64decode(recipient["phone_sealed"])
    return phones.unseal(key.tenant_id, _name_recipient(key.subject), 0, sealed)


def _has_account(key: CodeKey) -> bool:
    return accounts.find_by_phone(mysql.autocommit, key.tenant_id, key.subject) is not None


def _charge(key: CodeKey, request_id: int, phone: str, network: str) -> bool:
    """Charge a code of which its requester learns nothing; return False if it is above the limits or the budget."""
    is_found = key.purpose == CodePurpose.VERIFY_MEMBER  # the limits of the phone are still to be checked
    phone_subject = code_limits.name_phone(phone) if is_found else ""
    phone_blind = phones.compute_blind_index(key.tenant_id, phone)
    try:
        mysql.run_transaction(lambda tx: code_limits.charge(tx, key, request_id, phone_blind, phone_subject, network))
    except ApiError as error:
        if error.kind is not errors.TOO_MANY_REQUESTS:
            raise
        return False
    return True


def _name_recipient(subject: bytes) -> str:
    """Return what a sealed phone is bound to: it cannot be decrypted in the job of another subject."""
    return f"code:{subject.hex()}"


def _derive_code(key: CodeKey, request_id: int) -> str:
    purpose = f"new code:{key.purpose}:{key.subject.hex()}"
    keyed_hash = field_encryption.compute_blind_index(key.tenant_id, purpose, str(request_id))
    return f"{int.from_bytes(keyed_hash) % 1_000_000:06d}"


def _hash_code(key: CodeKey, code: str) -> bytes:
    return field_encryption.compute_blind_index(key.tenant_id, f"code:{key.purpose}:{key.subject.hex()}", code)
