"""Rate limits against guessing: after a number of failures, a subject is locked for 15 minutes.

Failures are counted in MySQL by conditional updates, so that neither concurrent requests nor a flushed cache allow more
tries.

Strangers cannot lock out the owner of a phone: from an address from which the owner has signed in before, failures from
other addresses do not count (docs/decisions/0013).
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.people.roles import PersonKind

MAX_TRIES = 5  # for one phone from one address
MAX_TRIES_PER_PHONE = 20  # from all addresses that are not known for it
MAX_TRIES_PER_ADDRESS = 100  # for all phones; a hospital's whole Wi-Fi may share one address
LOCKOUT_DURATION = 15 * 60 * clock.SECOND
KNOWN_ADDRESS_LIFETIME = 60 * clock.DAY  # after the last sign-in from an address
TOO_MANY_TRIES_TEXT = "尝试次数过多，请15分钟后再试"
RESET_HINT_BY_KIND = {
    PersonKind.PATIENT: "，或用短信验证码重置密码",
    PersonKind.STAFF: "，或请管理员重置密码",
}


def consume_try(tenant_id: int, subject: str, max_tries: int = MAX_TRIES) -> None:
    """Use up one try. To be called before a guess is checked.

    Args:
        subject: what is guessed, such as member:12.

    Raises:
        ApiError: 429 if none is left.
    """
    if not _consume_in_transaction(tenant_id, subject, max_tries):
        raise _build_lockout_error()


def consume_daily_try(tenant_id: int, subject: str, max_tries: int) -> None:
    """Use up one of few tries, which come back after a day without any.

    Raises:
        ApiError: 429 if none is left.
    """
    if not mysql.run_transaction(lambda tx: _consume_try(tx, tenant_id, subject.encode(), max_tries, clock.DAY)):
        text = "尝试次数过多，请 24 小时后再试，或到医院前台办理"
        raise ApiError(errors.TOO_MANY_REQUESTS, text, retry_after=clock.DAY // clock.SECOND)


def consume_password_try(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> None:
    """Use up one try for the password of a phone from an address.

    Takes as many statements for a known address as for any other, so that the duration reveals nothing about the phone.

    Args:
        phone_blind: blind index of the phone.

    Raises:
        ApiError: 429 if none is left.
    """
    phone = f"{kind}:{phone_blind.hex()}"
    pair = f"{phone}:{address}"
    if not _consume_in_transaction(tenant_id, pair, MAX_TRIES):
        raise _build_lockout_error(RESET_HINT_BY_KIND[kind])
    known = _is_known_address(mysql.autocommit, tenant_id, pair.encode())
    if not _consume_in_transaction(tenant_id, phone, MAX_TRIES_PER_PHONE) and not known:
        raise _build_lockout_error(RESET_HINT_BY_KIND[kind])
    consume_try(tenant_id, f"{kind}::{address}", MAX_TRIES_PER_ADDRESS)


def record_success(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> None:
    """Record that a password was right or was reset by code.

    The address becomes known for the phone, the phone's failures are deleted and the try of the address is returned.
    """
    phone = f"{kind}:{phone_blind.hex()}"
    _remember_address(mysql.autocommit, tenant_id, f"{phone}:{address}".encode())
    clear_failures(tenant_id, phone)
    restore_try(tenant_id, f"{kind}::{address}")


def unlock(tenant_id: int, kind: PersonKind, phone_blind: bytes) -> None:
    """Reset the failures of a phone from all addresses, after an administrator has set a new password."""
    phone = f"{kind}:{phone_blind.hex()}"
    mysql.autocommit.execute(
        """
        UPDATE attempts SET failures = 0
        WHERE tenant_id = %(tenant_id)s AND (subject = %(phone)s OR subject LIKE %(any_address)s)
        """,
        tenant_id=tenant_id,
        phone=phone.encode(),
        any_address=f"{phone}:%".encode(),
    )


def restore_try(tenant_id: int, subject: str) -> None:
    """Give back one try that was not a failure."""
    mysql.autocommit.execute(
        """
        UPDATE attempts SET failures = failures - 1
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures > 0
        """,
        tenant_id=tenant_id,
        subject=subject.encode(),
    )


def clear_failures(tenant_id: int, subject: str) -> None:
    """Delete the failures of a subject, after a right guess."""
    mysql.autocommit.execute(
        "DELETE FROM attempts WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject.encode(),
    )


def _build_lockout_error(hint: str = "") -> ApiError:
    return ApiError(errors.TOO_MANY_REQUESTS, TOO_MANY_TRIES_TEXT + hint, retry_after=LOCKOUT_DURATION // clock.SECOND)


def _consume_in_transaction(tenant_id: int, subject: str, max_tries: int) -> bool:
    return mysql.run_transaction(lambda tx: _consume_try(tx, tenant_id, subject.encode(), max_tries))


def _consume_try(
    tx: Tx, tenant_id: int, subject: bytes, max_tries: int, forgotten_after: int = LOCKOUT_DURATION
) -> bool:
    """Count one failure; return False if the limit is reached. Failures before the last one expire with it."""
    now = clock.now()
    tx.execute(
        """
        INSERT INTO attempts (tenant_id, subject, failures, last_failed_at)
        VALUES (%(tenant_id)s, %(subject)s, 0, %(now)s)
        ON DUPLICATE KEY UPDATE failures = IF(last_failed_at < %(expired)s, 0, failures)
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        expired=now - forgotten_after,
    )
    changed = tx.execute(
        """
        UPDATE attempts SET failures = failures + 1, last_failed_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures < %(max_tries)s
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        max_tries=max_tries,
    )
    return changed == 1


def _is_known_address(tx: Tx, tenant_id: int, subject: bytes) -> bool:
    until = tx.fetch_value(
        "SELECT known_until FROM attempts WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject,
    )
    return until is not None and until > clock.now()


def _remember_address(tx: Tx, tenant_id: int, subject: bytes) -> None:
    now = clock.now()
    tx.execute(
        """
        INSERT INTO attempts (tenant_id, subject, failures, last_failed_at, known_until)
        VALUES (%(tenant_id)s, %(subject)s, 0, %(now)s, %(until)s)
        ON DUPLICATE KEY UPDATE failures = 0, known_until = %(until)s
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        until=now + KNOWN_ADDRESS_LIFETIME,
    )
