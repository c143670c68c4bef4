"""Verification codes by SMS, which prove the possession of a phone.

An outbox job sends the code after the response: no request waits for the SMS provider, and the response takes as long
for a phone without an account as for one with an account. The code is derived from a data key and the id of the
request, so that a retry sends the same code and only its hash is stored. Earlier codes stay valid until the provider
has accepted the new one. Rate limits are counted in MySQL, so that a flushed cache does not reset them.
"""

import hmac
import secrets
from enum import StrEnum
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.settings import settings


class CodePurpose(StrEnum):
    """What a code may be used for (codes.purpose)."""

    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset"


CODE_LIFETIME = 5 * 60 * clock.SECOND  # after the latest attempt to send it; also how long a failed sending is retried
MAX_TRIES = 5
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
LIMITS_PER_PHONE = [(MINUTE_SECONDS, 1), (HOUR_SECONDS, 5), (24 * HOUR_SECONDS, 10)]  # seconds, codes
_WHERE_CODE_SQL = "WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND purpose = %(purpose)s"
WRONG_CODE_TEXT = "verCode：验证码错误或已过期，请重新获取"


def request_code(tenant_id: int, phone: str, purpose: CodePurpose, address: str) -> None:
    """Enqueue the sending of a code.

    Raises:
        ApiError: 429 above the rate limits, 503 if no SMS provider is configured.
    """
    if not settings.sms.provider:
        raise ApiError(errors.UNAVAILABLE, "短信服务未开通")
    mysql.run_transaction(lambda tx: _insert_request(tx, tenant_id, phone, purpose, address))
    outbox.wake_worker(Queue.EXTERNAL)


def send_code(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job SEND_SMS_CODE: store the hash of the request's code and send the code.

    Nothing is sent if the request is too old, its code has been used, or the user has requested another one since.
    A code to reset a password is sent only to a phone with an account. For any other phone a random hash is stored:
    checking a code then takes as long, and always fails.

    Args:
        payload: phone, purpose, request_id, until (instant after which it is not sent).

    Raises:
        sms.SmsError, ApiError: the job is retried.
    """
    phone, purpose, request_id = payload["phone"], CodePurpose(payload["purpose"]), payload["request_id"]
    if clock.now() > payload["until"] or _is_obsolete(mysql.autocommit, tenant_id, phone, purpose, request_id):
        return
    is_sent = purpose != CodePurpose.RESET_PASSWORD or _has_account(mysql.autocommit, tenant_id, phone)
    code = _derive_code(tenant_id, phone, purpose, request_id)
    code_hash = _hash_code(tenant_id, phone, purpose, code) if is_sent else secrets.token_bytes(32)
    # Before it is sent: the SMS may arrive although the provider's response does not.
    _upsert_code(mysql.autocommit, tenant_id, phone, purpose, request_id, code_hash)
    if is_sent:
        sms.send(phone, code)
    _delete_earlier_codes(mysql.autocommit, tenant_id, phone, purpose, request_id)


def verify(tenant_id: int, phone: str, purpose: CodePurpose, code: str) -> bytes:
    """Check a code without using it up.

    Returns:
        The hash of the code, for `consume`.

    Raises:
        ApiError: 400 for a wrong or expired code, and after MAX_TRIES wrong ones.
    """
    code_hash = _hash_code(tenant_id, phone, purpose, code)
    stored = mysql.run_transaction(lambda tx: _consume_tries(tx, tenant_id, phone, purpose))
    matches = [hmac.compare_digest(stored_hash, code_hash) for stored_hash in stored.values()]
    if True not in matches:
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    _restore_tries(mysql.autocommit, tenant_id, phone, purpose, list(stored))
    return code_hash


def was_used(tenant_id: int, phone: str, purpose: CodePurpose, code: str) -> bool:
    """Return whether a code was the right one for an earlier request. This does not count as a try."""
    code_hash = _hash_code(tenant_id, phone, purpose, code)
    found = mysql.autocommit.fetch_value(
        f"SELECT 1 FROM codes {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND is_used = 1",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        code_hash=code_hash,
    )
    return found is not None


def consume(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, code_hash: bytes) -> None:
    """Mark a verified code and all others of the phone as used, in the transaction that it authorizes.

    The rows stay, so that a retry of the job that sends the code does not make it valid again.

    Raises:
        ApiError: 400 if a concurrent request has used it.
    """
    used = tx.execute(
        f"UPDATE codes SET is_used = 1 {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND is_used = 0",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        code_hash=code_hash,
    )
    if not used:
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    tx.execute(
        f"UPDATE codes SET is_used = 1 {_WHERE_CODE_SQL}",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
    )


def _insert_request(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, address: str) -> None:
    # Serializes the requests of a tenant, so that the counts stay valid until the commit a millisecond later.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    for seconds, limit in LIMITS_PER_PHONE:
        _require_below_limit(tx, tenant_id, "phone", phone, seconds, limit)
    _require_below_limit(tx, tenant_id, "address", address, HOUR_SECONDS, settings.hourly_codes_per_address)
    now = clock.now()
    request_id = tx.insert(
        """
        INSERT INTO code_requests (tenant_id, phone, address, requested_at)
        VALUES (%(tenant_id)s, %(phone)s, %(address)s, %(now)s)
        """,
        tenant_id=tenant_id,
        phone=phone,
        address=address.encode()[:64],
        now=now,
    )
    payload = {"phone": phone, "purpose": purpose, "request_id": request_id, "until": now + CODE_LIFETIME}
    outbox.enqueue(tx, tenant_id, Job.SEND_SMS_CODE, payload)


def _require_below_limit(tx: Tx, tenant_id: int, column: str, value: str, seconds: int, limit: int) -> None:
    now = clock.now()
    row = tx.fetch_one(
        f"""
        SELECT COUNT(*) AS requests, COALESCE(MIN(requested_at), 0) AS oldest FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND {column} = %(value)s AND requested_at > %(since)s
        """,
        tenant_id=tenant_id,
        value=value.encode(),
        since=now - seconds * clock.SECOND,
    )
    if row and row["requests"] >= limit:
        retry_after = seconds - (now - row["oldest"]) // clock.SECOND
        raise ApiError(errors.TOO_MANY_REQUESTS, "验证码发送太频繁，请稍后再试", retry_after=max(retry_after, 1))


def _has_account(tx: Tx, tenant_id: int, phone: str) -> bool:
    row = tx.fetch_value(
        "SELECT 1 FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return row is not None


def _is_obsolete(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, request_id: int) -> bool:
    """Return whether the code of the request has been used, or one of a later request is stored."""
    row = tx.fetch_value(
        f"""
        SELECT 1 FROM codes {_WHERE_CODE_SQL}
        AND (request_id > %(request_id)s OR (request_id = %(request_id)s AND is_used = 1))
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        request_id=request_id,
    )
    return row is not None


def _upsert_code(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, request_id: int, code_hash: bytes) -> None:
    """Insert a code, or extend its lifetime at a retry."""
    tx.execute(
        """
        INSERT INTO codes (tenant_id, phone, purpose, request_id, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(phone)s, %(purpose)s, %(request_id)s, %(code_hash)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE expires_at = %(expires_at)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        request_id=request_id,
        code_hash=code_hash,
        expires_at=clock.now() + CODE_LIFETIME,
    )


def _delete_earlier_codes(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, request_id: int) -> None:
    tx.execute(
        f"DELETE FROM codes {_WHERE_CODE_SQL} AND request_id < %(request_id)s",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        request_id=request_id,
    )


def _consume_tries(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose) -> dict[int, bytes]:
    """Count a try of each valid code that has tries left; return their hashes by request_id."""
    rows = tx.fetch_all(
        f"""
        SELECT request_id, code_hash FROM codes
        {_WHERE_CODE_SQL} AND is_used = 0 AND attempts < %(max_tries)s AND expires_at > %(now)s
        FOR UPDATE
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        max_tries=MAX_TRIES,
        now=clock.now(),
    )
    stored = {row["request_id"]: row["code_hash"] for row in rows}
    if stored:
        tx.execute(
            f"UPDATE codes SET attempts = attempts + 1 {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s",
            tenant_id=tenant_id,
            phone=phone,
            purpose=purpose,
            request_ids=list(stored),
        )
    return stored


def _restore_tries(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, request_ids: list[int]) -> None:
    """Give back the tries of a right code, which is sent once more with the new password."""
    tx.execute(
        f"""
        UPDATE codes SET attempts = attempts - 1
        {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s AND attempts > 0
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        request_ids=request_ids,
    )


def _derive_code(tenant_id: int, phone: str, purpose: CodePurpose, request_id: int) -> str:
    keyed_hash = field_encryption.compute_blind_index(tenant_id, f"new code:{purpose}:{phone}", str(request_id))
    return f"{int.from_bytes(keyed_hash) % 1_000_000:06d}"


def _hash_code(tenant_id: int, phone: str, purpose: CodePurpose, code: str) -> bytes:
    return field_encryption.compute_blind_index(tenant_id, f"code:{purpose}:{phone}", code)
