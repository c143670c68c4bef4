"""Codes by SMS: who reads them has the phone in their hand.

A code is drawn when it is sent, after the answer (outbox/outbox.py): nobody is kept waiting for the SMS provider, no
code lies in the outbox, and the answer takes as long for a phone that has an account as for one that has none.
Limits and tries are counted in MySQL, so that a flushed cache gives no more of them.
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
    """codes.purpose: what a code may be used for."""

    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset"


CODE_LIFETIME = 5 * 60 * clock.SECOND
SEND_WINDOW = 30 * clock.SECOND  # a provider that fails is asked again so long: then somebody asks for another code
MAX_TRIES = 5
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600  # seconds
LIMITS_PER_PHONE = [(MINUTE_SECONDS, 1), (HOUR_SECONDS, 5), (24 * HOUR_SECONDS, 10)]
WRONG_CODE_TEXT = "verCode：验证码错误或已过期，请重新获取"


def request_code(tenant_id: int, phone: str, purpose: str, address: str) -> None:
    """Promise a code to a phone. ApiError 429 above the limits, 503 where no SMS provider is set up."""
    if not settings.sms.provider:
        raise ApiError(errors.UNAVAILABLE, "短信服务未开通")
    mysql.run_transaction(lambda tx: _insert_request(tx, tenant_id, phone, purpose, address))
    outbox.wake_worker(Queue.EXTERNAL)


def generate_and_send(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: draw a code, keep its hash, send it. A code for a reset goes to who has an account alone.

    For who has none a hash of nothing is kept: a guess at it is as much work, and never right.
    """
    phone, purpose = payload["phone"], payload["purpose"]
    if clock.now() > payload["until"]:  # who waited so long asks again
        return
    code = f"{secrets.randbelow(1_000_000):06d}"
    goes = purpose != CodePurpose.RESET_PASSWORD or _has_account(mysql.autocommit, tenant_id, phone)
    kept = _hash_code(tenant_id, phone, purpose, code) if goes else secrets.token_bytes(32)
    _upsert_code(mysql.autocommit, tenant_id, phone, purpose, kept)
    if goes:
        sms.send(phone, code)


def verify(tenant_id: int, phone: str, purpose: str, code: str) -> bytes:
    """Return what use() wants of a right code. ApiError 400 for a wrong one, or after five of them."""
    kept = _hash_code(tenant_id, phone, purpose, code)
    if not _consume_try(mysql.autocommit, tenant_id, phone, purpose):
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    found = _find_code_hash(mysql.autocommit, tenant_id, phone, purpose)
    if found is None or not hmac.compare_digest(found, kept):
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)
    _restore_try(mysql.autocommit, tenant_id, phone, purpose, kept)
    return kept


def consume(tx: Tx, tenant_id: int, phone: str, purpose: str, checked: bytes) -> None:
    """Use a code up, with what it is good for. ApiError 400 where somebody was faster."""
    used = tx.execute(
        """
        DELETE FROM codes
        WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND purpose = %(purpose)s AND code_hash = %(checked)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        checked=checked,
    )
    if not used:
        raise ApiError(errors.BAD_PARAMETER, WRONG_CODE_TEXT)


def _insert_request(tx: Tx, tenant_id: int, phone: str, purpose: str, address: str) -> None:
    # One at a time for each hospital: what is counted stays true until the commit, a millisecond later.
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    now = clock.now()
    limits = [("phone", phone, *limit) for limit in LIMITS_PER_PHONE] + [
        ("address", address, HOUR_SECONDS, settings.hourly_codes_per_address)
    ]
    for column, subject, seconds, most in limits:
        row = tx.fetch_one(
            f"""
            SELECT COUNT(*) AS number, COALESCE(MIN(requested_at), 0) AS first FROM code_requests
            WHERE tenant_id = %(tenant_id)s AND {column} = %(subject)s AND requested_at > %(since)s
            """,
            tenant_id=tenant_id,
            subject=subject.encode(),
            since=now - seconds * clock.SECOND,
        )
        if row and row["number"] >= most:
            wait = seconds - (now - row["first"]) // clock.SECOND
            raise ApiError(errors.TOO_MANY_REQUESTS, "验证码发送太频繁，请稍后再试", retry_after=max(wait, 1))
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


def _has_account(tx: Tx, tenant_id: int, phone: str) -> bool:
    found = tx.fetch_value(
        "SELECT 1 FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return found is not None


def _upsert_code(tx: Tx, tenant_id: int, phone: str, purpose: str, kept: bytes) -> None:
    tx.execute(
        """
        INSERT INTO codes (tenant_id, phone, purpose, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(phone)s, %(purpose)s, %(kept)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE code_hash = %(kept)s, attempts = 0, expires_at = %(expires_at)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        kept=kept,
        expires_at=clock.now() + CODE_LIFETIME,
    )


def _consume_try(tx: Tx, tenant_id: int, phone: str, purpose: str) -> bool:
    taken = tx.execute(
        f"UPDATE codes SET attempts = attempts + 1 {WHERE_CODE_SQL} AND attempts < %(most)s AND expires_at > %(now)s",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        most=MAX_TRIES,
        now=clock.now(),
    )
    return taken == 1


WHERE_CODE_SQL = "WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND purpose = %(purpose)s"


def _find_code_hash(tx: Tx, tenant_id: int, phone: str, purpose: str) -> bytes | None:
    found: bytes | None = tx.fetch_value(
        f"SELECT code_hash FROM codes {WHERE_CODE_SQL}", tenant_id=tenant_id, phone=phone, purpose=purpose
    )
    return found


def _restore_try(tx: Tx, tenant_id: int, phone: str, purpose: str, kept: bytes) -> None:
    """A right guess is none: the same code comes again with the new password."""
    tx.execute(
        f"UPDATE codes SET attempts = attempts - 1 {WHERE_CODE_SQL} AND code_hash = %(kept)s AND attempts > 0",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        kept=kept,
    )


def _hash_code(tenant_id: int, phone: str, purpose: str, code: str) -> bytes:
    return field_encryption.compute_blind_index(tenant_id, f"code:{purpose}:{phone}", code)
