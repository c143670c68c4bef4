"""Limits on guessing: so many failures lock a subject for a quarter of an hour, however many try at once.

Counted in MySQL by conditional update, so that a flushed cache gives no more tries.

Nobody is locked out by strangers: from an address from which they have signed in before, a phone's owner may sign in
whatever is tried elsewhere (docs/decisions/0016).
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError

MAX_TRIES = 5  # of one phone from one address
MAX_TRIES_PER_PHONE = 20  # from all addresses, those that are not known
MAX_TRIES_PER_ADDRESS = 100  # of all phones: a hospital's Wi-Fi is one address
LOCKOUT_DURATION = 15 * 60 * clock.SECOND
KNOWN_ADDRESS_LIFETIME = 60 * clock.DAY  # after its owner last signed in from there, an address is no longer known
TOO_MANY_TRIES_TEXT = "尝试次数过多，请15分钟后再试"
RESET_HINT_BY_REALM = {"patient": "，或用短信验证码重置密码", "staff": "，或请管理员重置密码"}


def consume_try(tenant_id: int, subject: str, tries: int = MAX_TRIES) -> None:
    """Spend one try before the guess is looked at. ApiError 429 where none is left."""
    if not _consume_in_transaction(tenant_id, subject, tries):
        raise _build_lockout_error()


def consume_password_try(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """Spend a try at the password of a phone, from an address. ApiError 429. `realm` keeps staff and patients apart.

    It is as much work for a known address as for another: its time tells nothing of the phone.
    """
    pair = f"{realm}:{phone}:{address}"
    if not _consume_in_transaction(tenant_id, pair, MAX_TRIES):
        raise _build_lockout_error(RESET_HINT_BY_REALM[realm])
    known = _is_known_address(mysql.autocommit, tenant_id, pair.encode())
    if not _consume_in_transaction(tenant_id, f"{realm}:{phone}", MAX_TRIES_PER_PHONE) and not known:
        raise _build_lockout_error(RESET_HINT_BY_REALM[realm])
    consume_try(tenant_id, f"{realm}::{address}", MAX_TRIES_PER_ADDRESS)


def record_success(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """It was right, or the password was reset by code: the address is known, the phone's failures no longer count, and
    of the address's those of others alone."""
    _remember_address(mysql.autocommit, tenant_id, f"{realm}:{phone}:{address}".encode())
    clear_failures(tenant_id, f"{realm}:{phone}")
    restore_try(tenant_id, f"{realm}::{address}")


def unlock(tenant_id: int, realm: str, phone: str) -> None:
    """Somebody who may has given the phone's owner a new password: no failure counts, from whichever address."""
    mysql.autocommit.execute(
        """
            UPDATE attempts SET failures = 0
            WHERE tenant_id = %(tenant_id)s AND (subject = %(phone)s OR subject LIKE %(from_anywhere)s)
            """,
        tenant_id=tenant_id,
        phone=f"{realm}:{phone}".encode(),
        from_anywhere=f"{realm}:{phone}:%".encode(),
    )


def restore_try(tenant_id: int, subject: str) -> None:
    """Return one try, which was no failure."""
    mysql.autocommit.execute(
        """
            UPDATE attempts SET failures = failures - 1
            WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures > 0
            """,
        tenant_id=tenant_id,
        subject=subject.encode(),
    )


def clear_failures(tenant_id: int, subject: str) -> None:
    """The guess was right: what went before it no longer counts."""
    mysql.autocommit.execute(
        "DELETE FROM attempts WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject.encode(),
    )


def _build_lockout_error(way_out: str = "") -> ApiError:
    return ApiError(
        errors.TOO_MANY_REQUESTS, TOO_MANY_TRIES_TEXT + way_out, retry_after=LOCKOUT_DURATION // clock.SECOND
    )


def _consume_in_transaction(tenant_id: int, subject: str, tries: int) -> bool:
    return mysql.run_transaction(lambda tx: _consume_try(tx, tenant_id, subject.encode(), tries))


def _consume_try(tx: Tx, tenant_id: int, subject: bytes, tries: int) -> bool:
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
        expired=now - LOCKOUT_DURATION,
    )
    taken = tx.execute(
        """
        UPDATE attempts SET failures = failures + 1, last_failed_at = %(now)s
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures < %(tries)s
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        tries=tries,
    )
    return taken == 1


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
