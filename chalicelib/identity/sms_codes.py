"""Verification codes by SMS, which prove the possession of a phone.

An outbox job sends the code after the response: no request waits for the SMS provider, and the response takes as long
for a phone without an account as for one with an account. The code is derived from a data key and the id of the
request, so that a retry sends the same code and only its hash is stored. Earlier codes stay valid until the provider
has accepted the new one. Rate limits are counted in MySQL, so that a flushed cache does not reset them.

The subject of a code is what it is asked for and compared with: the blind index of a phone that the requester names
(`phones.compute_blind_index`), or a keyed hash of a member (`compute_member_subject`), whose file has a phone that the
requester does not know. In the latter case the job finds the phone and applies the limits of a phone silently.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity import code_store
from chalicelib.identity.code_store import CodeKey
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.people import accounts, double_submission, phones, verified_phones
from chalicelib.settings import settings


class CodePurpose(StrEnum):
    """What a code may be used for (codes.purpose)."""

    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset"
    CHANGE_PHONE_OLD = "change_phone_old"
    CHANGE_PHONE_NEW = "change_phone_new"
    CLOSE_ACCOUNT = "close_account"
    VERIFY_MEMBER = "verify_member"


CODE_LIFETIME = 5 * 60 * clock.SECOND  # after the latest attempt to send it; also how long a failed sending is retried
MAX_TRIES = 5
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
LIMITS_PER_PHONE = [(MINUTE_SECONDS, 1), (HOUR_SECONDS, 5), (24 * HOUR_SECONDS, 10)]  # seconds, codes
WRONG_CODE_TEXT = "verCode：验证码错误或已过期，请重新获取"


def request_code(
    tenant_id: int, phone: str, purpose: CodePurpose, address: str, merge_double_submission: bool = False
) -> None:
    """Enqueue the sending of a code to a phone, whose blind index is the subject of the code.

    Args:
        merge_double_submission: an equal request within seconds has the result of the first one, not a 429.

    Raises:
        ApiError: 429 above the rate limits, 503 if no SMS provider is configured.
    """
    field_encryption.preload_keys()
    subject = phones.compute_blind_index(tenant_id, phone)
    sealed = phones.seal(tenant_id, _name_recipient(subject), 0, phone) or b""
    recipient = {"phone_sealed": base64.b64encode(sealed).decode()}
    _request_code(CodeKey(tenant_id, subject, purpose), address, recipient, merge_double_submission)


def request_member_code(tenant_id: int, member_id: int, address: str) -> None:
    """Enqueue the sending of a code of purpose VERIFY_MEMBER to the phone of the verified file of a member's identity.

    The response does not reveal whether there is such a file. The member may get as many codes as a phone.

    Raises:
        ApiError: 429 above the rate limits, 503 if no SMS provider is configured.
    """
    subject = compute_member_subject(tenant_id, member_id)
    _request_code(CodeKey(tenant_id, subject, CodePurpose.VERIFY_MEMBER), address, {"member_id": member_id})


def has_requested(tenant_id: int, member_id: int, since: int) -> bool:
    """Return whether a code for a member was requested after an instant."""
    subject = compute_member_subject(tenant_id, member_id)
    return code_store.count_requests(mysql.autocommit, tenant_id, "subject", subject, since)[0] > 0


def compute_member_subject(tenant_id: int, member_id: int) -> bytes:
    """Return the subject of a member's codes. Not inside a transaction: see crypto."""
    return field_encryption.compute_blind_index(tenant_id, "code subject", f"member:{member_id}")


def send_code(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job SEND_SMS_CODE: store the hash of the request's code and send the code.

    Nothing is sent if the request is too old, its code has been used, or the user has requested another one since.
    A code to reset a password is sent only to a phone with an account, one to verify a member only if their identity
    has a verified file with a phone whose limits permit it. Otherwise a random hash is stored: checking a code then
    takes as long, and always fails.

    Args:
        payload: subject (hex), purpose, request_id, until (instant after which it is not sent), recipient.

    Raises:
        sms.SmsError, ApiError: the job is retried.
    """
    key, request_id = CodeKey(tenant_id, bytes.fromhex(payload["subject"]), payload["purpose"]), payload["request_id"]
    if clock.now() > payload["until"]:
        return
    stored = {code.request_id: code for code in code_store.list_codes_since(mysql.autocommit, key, request_id)}
    own = stored.pop(request_id, None)
    if stored or (own and own.is_used):
        return
    phone = _find_phone(key, payload["recipient"])
    code = _derive_code(key, request_id)
    sent_hash = _hash_code(key, code)
    if own:
        code_hash = own.code_hash
    else:
        may_send = phone and (key.purpose != CodePurpose.VERIFY_MEMBER or _count_for_phone(tenant_id, phone))
        code_hash = sent_hash if may_send else secrets.token_bytes(32)
    # Before it is sent: the SMS may arrive although the provider's response does not.
    code_store.upsert_code(mysql.autocommit, key, request_id, code_hash, clock.now() + CODE_LIFETIME)
    is_sent = bool(phone) and hmac.compare_digest(code_hash, sent_hash)
    if is_sent:
        sms.send(phone, code)
    if is_sent or not phone:
        code_store.delete_earlier_codes(mysql.autocommit, key, request_id)


def verify(tenant_id: int, subject: bytes, purpose: CodePurpose, code: str) -> bytes:
    """Check a code without using it up.

    Returns:
        The hash of the code, for `consume`.

    Raises:
        ApiError: 400 for a wrong or expired code, and after MAX_TRIES wrong ones.
    """
    key = CodeKey(tenant_id, subject, purpose)
    code_hash = _hash_code(key, code)
    stored = mysql.run_transaction(lambda tx: code_store.consume_tries(tx, key, MAX_TRIES, clock.now()))
    matches = [hmac.compare_digest(stored_hash, code_hash) for stored_hash in stored.values()]
    if True not in matches:
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    code_store.restore_tries(mysql.autocommit, key, list(stored))  # it is sent once more with the new password
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


def _request_code(
    key: CodeKey, address: str, recipient: Mapping[str, Any], merge_double_submission: bool = False
) -> None:
    """Enqueue the job; `recipient` is what it finds the phone by (`_find_phone`)."""
    if not settings.sms.provider:
        raise ApiError(errors.UNAVAILABLE, "短信服务未开通")
    mysql.run_transaction(lambda tx: _insert_request(tx, key, address, recipient, merge_double_submission))
    outbox.wake_worker(Queue.EXTERNAL)


def _insert_request(
    tx: Tx, key: CodeKey, address: str, recipient: Mapping[str, Any], merge_double_submission: bool
) -> None:
    code_store.lock_tenant(tx, key.tenant_id)
    since = clock.now() - double_submission.WINDOW
    if merge_double_submission and code_store.was_requested_since(tx, key, address, since):
        return
    for seconds, limit in LIMITS_PER_PHONE:
        _require_below_limit(tx, key.tenant_id, "subject", key.subject, seconds, limit)
    _require_below_limit(
        *(tx, key.tenant_id, "address", address.encode(), HOUR_SECONDS), settings.hourly_codes_per_address
    )
    now = clock.now()
    request_id = code_store.insert_request(tx, key, address, now)
    payload = {
        "subject": key.subject.hex(),
        "purpose": key.purpose,
        "request_id": request_id,
        "until": now + CODE_LIFETIME,
        "recipient": recipient,
    }
    outbox.enqueue(tx, key.tenant_id, Job.SEND_SMS_CODE, payload)


def _require_below_limit(tx: Tx, tenant_id: int, column: str, value: bytes, seconds: int, limit: int) -> None:
    now = clock.now()
    requests, oldest = code_store.count_requests(tx, tenant_id, column, value, now - seconds * clock.SECOND)
    if requests >= limit:
        retry_after = seconds - (now - oldest) // clock.SECOND
        raise ApiError(errors.TOO_MANY_REQUESTS, "验证码发送太频繁，请稍后再试", retry_after=max(retry_after, 1))


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


def _count_for_phone(tenant_id: int, phone: str) -> bool:
    """Count a code against the limits of a phone that its requester does not know; return False if it is above them."""
    subject = phones.compute_blind_index(tenant_id, phone)
    return mysql.run_transaction(lambda tx: _insert_request_for_phone(tx, tenant_id, subject))


def _insert_request_for_phone(tx: Tx, tenant_id: int, subject: bytes) -> bool:
    code_store.lock_tenant(tx, tenant_id)
    try:
        for seconds, limit in LIMITS_PER_PHONE:
            _require_below_limit(tx, tenant_id, "subject", subject, seconds, limit)
    except ApiError:
        return False
    key = CodeKey(tenant_id, subject, CodePurpose.VERIFY_MEMBER)
    code_store.insert_request(tx, key, "", clock.now())
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
