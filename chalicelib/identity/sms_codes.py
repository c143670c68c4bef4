"""Codes by SMS: who reads them has the phone in their hand.

A code is drawn when it is sent, after the answer (outbox/outbox.py): nobody is kept waiting for the SMS provider, no
code lies in the outbox, and the answer takes as long for a phone that has an account as for one that has none.
Limits and tries are counted in MySQL, so that a flushed cache gives no more of them.
"""

import hmac
import secrets
from typing import Any

from chalicelib import clock, errors
from chalicelib.adapters import mysql, sms
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import Refused
from chalicelib.outbox import outbox
from chalicelib.settings import settings

SIGN_UP, RESET = "sign_up", "reset"
LIFE = 5 * 60 * clock.SECOND
PATIENCE = 30 * clock.SECOND  # a provider that fails is asked again so long: then somebody asks for another code
TRIES = 5
MINUTE, HOUR = 60, 3600  # seconds
OF_PHONE = [(MINUTE, 1), (HOUR, 5), (24 * HOUR, 10)]
WRONG = "verCode：验证码错误或已过期，请重新获取"


def ask(tenant_id: int, phone: str, purpose: str, address: str) -> None:
    """Promise a code to a phone. Refused 429 above the limits, 503 where no SMS provider is set up."""
    if not settings.sms.provider:
        raise Refused(errors.UNAVAILABLE, "短信服务未开通")
    mysql.transact(lambda tx: _ask(tx, tenant_id, phone, purpose, address))
    outbox.nudge(outside=True)


def deliver(tenant_id: int, payload: dict[str, Any]) -> None:
    """The job: draw a code, keep its hash, send it. A code for a reset goes to who has an account alone.

    For who has none a hash of nothing is kept: a guess at it is as much work, and never right.
    """
    phone, purpose = payload["phone"], payload["purpose"]
    if clock.now() > payload["until"]:  # who waited so long asks again
        return
    code = f"{secrets.randbelow(1_000_000):06d}"
    goes = purpose != RESET or mysql.autocommit(lambda tx: _has_account(tx, tenant_id, phone))
    kept = _hashed(tenant_id, phone, purpose, code) if goes else secrets.token_bytes(32)
    mysql.autocommit(lambda tx: _keep(tx, tenant_id, phone, purpose, kept))
    if goes:
        sms.send(phone, code)


def check(tenant_id: int, phone: str, purpose: str, code: str) -> bytes:
    """Return what use() wants of a right code. Refused 400 for a wrong one, or after five of them."""
    kept = _hashed(tenant_id, phone, purpose, code)
    if not mysql.autocommit(lambda tx: _try(tx, tenant_id, phone, purpose)):
        raise Refused(errors.BAD_PARAMETER, WRONG)
    found = mysql.autocommit(lambda tx: _find(tx, tenant_id, phone, purpose))
    if found is None or not hmac.compare_digest(found, kept):
        raise Refused(errors.BAD_PARAMETER, WRONG)
    mysql.autocommit(lambda tx: _forgive(tx, tenant_id, phone, purpose, kept))
    return kept


def use(tx: Tx, tenant_id: int, phone: str, purpose: str, checked: bytes) -> None:
    """Use a code up, with what it is good for. Refused 400 where somebody was faster."""
    used = tx.run(
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
        raise Refused(errors.BAD_PARAMETER, WRONG)


def _ask(tx: Tx, tenant_id: int, phone: str, purpose: str, address: str) -> None:
    # One at a time for each hospital: what is counted stays true until the commit, a millisecond later.
    tx.value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)
    now = clock.now()
    limits = [("phone", phone, *limit) for limit in OF_PHONE] + [("address", address, HOUR, settings.codes_of_address)]
    for column, subject, seconds, most in limits:
        row = tx.one(
            f"""
            SELECT COUNT(*) AS number, COALESCE(MIN(asked_at), 0) AS first FROM code_requests
            WHERE tenant_id = %(tenant_id)s AND {column} = %(subject)s AND asked_at > %(since)s
            """,
            tenant_id=tenant_id,
            subject=subject.encode(),
            since=now - seconds * clock.SECOND,
        )
        if row and row["number"] >= most:
            wait = seconds - (now - row["first"]) // clock.SECOND
            raise Refused(errors.TOO_MANY_REQUESTS, "验证码发送太频繁，请稍后再试", retry_after=max(wait, 1))
    tx.run(
        """
        INSERT INTO code_requests (tenant_id, phone, address, asked_at)
        VALUES (%(tenant_id)s, %(phone)s, %(address)s, %(now)s)
        """,
        tenant_id=tenant_id,
        phone=phone,
        address=address.encode()[:64],
        now=now,
    )
    outbox.put(tx, tenant_id, "code", {"phone": phone, "purpose": purpose, "until": now + PATIENCE})


def _has_account(tx: Tx, tenant_id: int, phone: str) -> bool:
    found = tx.value(
        "SELECT 1 FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return found is not None


def _keep(tx: Tx, tenant_id: int, phone: str, purpose: str, kept: bytes) -> None:
    tx.run(
        """
        INSERT INTO codes (tenant_id, phone, purpose, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(phone)s, %(purpose)s, %(kept)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE code_hash = %(kept)s, tries = 0, expires_at = %(expires_at)s
        """,
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        kept=kept,
        expires_at=clock.now() + LIFE,
    )


def _try(tx: Tx, tenant_id: int, phone: str, purpose: str) -> bool:
    taken = tx.run(
        f"UPDATE codes SET tries = tries + 1 {OF} AND tries < %(most)s AND expires_at > %(now)s",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        most=TRIES,
        now=clock.now(),
    )
    return taken == 1


OF = "WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s AND purpose = %(purpose)s"


def _find(tx: Tx, tenant_id: int, phone: str, purpose: str) -> bytes | None:
    found: bytes | None = tx.value(
        f"SELECT code_hash FROM codes {OF}", tenant_id=tenant_id, phone=phone, purpose=purpose
    )
    return found


def _forgive(tx: Tx, tenant_id: int, phone: str, purpose: str, kept: bytes) -> None:
    """A right guess is none: the same code comes again with the new password."""
    tx.run(
        f"UPDATE codes SET tries = tries - 1 {OF} AND code_hash = %(kept)s AND tries > 0",
        tenant_id=tenant_id,
        phone=phone,
        purpose=purpose,
        kept=kept,
    )


def _hashed(tenant_id: int, phone: str, purpose: str, code: str) -> bytes:
    return field_encryption.blind(tenant_id, f"code:{purpose}:{phone}", code)
