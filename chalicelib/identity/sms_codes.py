"""Verification codes by SMS, which prove the possession of a phone.

An outbox job generates and sends the code after the response: no request waits for the SMS provider, no code is stored
in the outbox, and the response takes as long for a phone without an account as for one with an account. Rate limits are
counted in MySQL, so that a flushed cache does not reset them.
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


CODE_LIFETIME = 5 * 60 * clock.SECOND
SEND_WINDOW = 30 * clock.SECOND  # for which sending is retried; by then the user requests another code
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


def generate_and_send(tenant_id: int, payload: dict[str, Any]) -> None:
    """Outbox job SEND_SMS_CODE: generate a code, store its hash and send it.

    A code to reset a password is sent only to a phone with an account. For any other phone a random hash is stored:
    checking a code then takes as long, and always fails.

    Raises:
        sms.SmsError, ApiError: the job is retried.
    """
    phone, purpose = payload["phone"], CodePurpose(payload["purpose"])
    if clock.now() > payload["until"]:  # by now the user has requested another code
        return
    code = f"{secrets.randbelow(1_000_000):06d}"
    is_sent = purpose != CodePurpose.RESET_PASSWORD or _has_account(mysql.autocommit, tenant_id, phone)
    code_hash = _hash_code(tenant_id, phone, purpose, code) if is_sent else secrets.token_bytes(32)
    _upsert_code(mysql.autocommit, tenant_id, phone, purpose, code_hash)
    if is_sent:
        sms.send(phone, code)


def verify(tenant_id: int, phone: str, purpose: CodePurpose, code: str) -> bytes:
    """Check a code without using it up.

    Returns:
        The hash of the code, for `consume`.

    Raises:
        ApiError: 400 for a wrong or expired code, and after MAX_TRIES wrong ones.
    """
    code_hash = _hash_code(tenant_id, phone, purpose, code)
    if not _consume_code_try(mysql.autocommit, tenant_id, phone, purpose):
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    stored_hash = _find_code_hash(mysql.autocommit, tenant_id, phone, purpose)
    if stored_hash is None or not hmac.compare_digest(stored_hash, code_hash):
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    _restore_try(mysql.autocommit, tenant_id, phone, purpose, code_hash)
    return code_hash


def consume(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, code_hash: bytes) -> None:
    """Delete a verified code, in the transaction that it authorizes.

    Raises:
        ApiError: 400 if a concurrent request has used it.
    """
    deleted = tx.execute(
        """
        DELETE FROM codes
        WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND purpose = %(purpose)s AND code_hash = %(code_hash)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        code_hash=code_hash,
    )
    if not deleted:
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)


def _insert_request(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, address: str) -> None:
    # Serializes the requests of a tenant, so that the counts stay valid until the commit a millisecond later.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    for seconds, limit in LIMITS_PER_PHONE:
        _require_below_limit(tx, tenant_id, "phone", phone, seconds, limit)
    _require_below_limit(tx, tenant_id, "address", address, HOUR_SECONDS, settings.hourly_codes_per_address)
    now = clock.now()
    tx.execute(
        """
        INSERT INTO code_requests (tenant_id, phone, address, requested_at)
        VALUES (%(tenant_id)s, %(phone)s, %(address)s, %(now)s)
        """,
        tenant_id=tenant_id,
        phone=phone,
        address=address.encode()[:64],
        now=now,
    )
    outbox.enqueue(tx, tenant_id, Job.SEND_SMS_CODE, {"phone": phone, "purpose": purpose, "until": now + SEND_WINDOW})


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


def _upsert_code(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, code_hash: bytes) -> None:
    tx.execute(
        """
        INSERT INTO codes (tenant_id, phone, purpose, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(phone)s, %(purpose)s, %(code_hash)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE code_hash = %(code_hash)s, attempts = 0, expires_at = %(expires_at)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        code_hash=code_hash,
        expires_at=clock.now() + CODE_LIFETIME,
    )


def _consume_code_try(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose) -> bool:
    changed = tx.execute(
        f"""
        UPDATE codes SET attempts = attempts + 1
        {_WHERE_CODE_SQL} AND attempts < %(max_tries)s AND expires_at > %(now)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        max_tries=MAX_TRIES,
        now=clock.now(),
    )
    return changed == 1


def _find_code_hash(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose) -> bytes | None:
    code_hash: bytes | None = tx.fetch_value(
        f"SELECT code_hash FROM codes {_WHERE_CODE_SQL}", tenant_id=tenant_id, phone=phone, purpose=purpose
    )
    return code_hash


def _restore_try(tx: Tx, tenant_id: int, phone: str, purpose: CodePurpose, code_hash: bytes) -> None:
    """Give back the try of a right code, which is sent once more with the new password."""
    tx.execute(
        f"UPDATE codes SET attempts = attempts - 1 {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND attempts > 0",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        code_hash=code_hash,
    )


def _hash_code(tenant_id: int, phone: str, purpose: CodePurpose, code: str) -> bytes:
    return field_encryption.compute_blind_index(tenant_id, f"code:{purpose}:{phone}", code)
