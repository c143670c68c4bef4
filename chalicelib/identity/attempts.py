"""Limits on guessing: so many failures lock a subject for a quarter of an hour, however many try at once.

Counted in MySQL by conditional update, so that a flushed cache gives no more tries.

Nobody is locked out by strangers: from an address from which they have signed in before, a phone's owner may sign in
whatever is tried elsewhere (docs/decisions/0016).
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import Refused

TRIES = 5  # of one phone from one address
TRIES_OF_PHONE = 20  # from all addresses, those that are not known
TRIES_OF_ADDRESS = 100  # of all phones: a hospital's Wi-Fi is one address
LOCK = 15 * 60 * clock.SECOND
KNOWN = 60 * clock.DAY  # after its owner last signed in from there, an address is no longer known
TOO_MANY = "尝试次数过多，请15分钟后再试"
WAYS_OUT = {"patient": "，或用短信验证码重置密码", "staff": "，或请管理员重置密码"}


def take(tenant_id: int, subject: str, tries: int = TRIES) -> None:
    """Spend one try before the guess is looked at. Refused 429 where none is left."""
    if not _spent(tenant_id, subject, tries):
        raise _locked()


def guess(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """Spend a try at the password of a phone, from an address. Refused 429. `realm` keeps staff and patients apart.

    It is as much work for a known address as for another: its time tells nothing of the phone.
    """
    pair = f"{realm}:{phone}:{address}"
    if not _spent(tenant_id, pair, TRIES):
        raise _locked(WAYS_OUT[realm])
    known = mysql.autocommit(lambda tx: _known(tx, tenant_id, pair.encode()))
    if not _spent(tenant_id, f"{realm}:{phone}", TRIES_OF_PHONE) and not known:
        raise _locked(WAYS_OUT[realm])
    take(tenant_id, f"{realm}::{address}", TRIES_OF_ADDRESS)


def guessed(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """It was right, or the password was reset by code: the address is known, the phone's failures no longer count, and
    of the address's those of others alone."""
    mysql.autocommit(lambda tx: _know(tx, tenant_id, f"{realm}:{phone}:{address}".encode()))
    forgive(tenant_id, f"{realm}:{phone}")
    give_back(tenant_id, f"{realm}::{address}")


def unlock(tenant_id: int, realm: str, phone: str) -> None:
    """Somebody who may has given the phone's owner a new password: no failure counts, from whichever address."""
    mysql.autocommit(
        lambda tx: tx.run(
            """
            UPDATE attempts SET failures = 0
            WHERE tenant_id = %(tenant_id)s AND (subject = %(phone)s OR subject LIKE %(from_anywhere)s)
            """,
            tenant_id=tenant_id,
            phone=f"{realm}:{phone}".encode(),
            from_anywhere=f"{realm}:{phone}:%".encode(),
        )
    )


def give_back(tenant_id: int, subject: str) -> None:
    """Return one try, which was no failure."""
    mysql.autocommit(
        lambda tx: tx.run(
            """
            UPDATE attempts SET failures = failures - 1
            WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures > 0
            """,
            tenant_id=tenant_id,
            subject=subject.encode(),
        )
    )


def forgive(tenant_id: int, subject: str) -> None:
    """The guess was right: what went before it no longer counts."""
    mysql.autocommit(
        lambda tx: tx.run(
            "DELETE FROM attempts WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
            tenant_id=tenant_id,
            subject=subject.encode(),
        )
    )


def _locked(way_out: str = "") -> Refused:
    return Refused(errors.TOO_MANY_REQUESTS, TOO_MANY + way_out, retry_after=LOCK // clock.SECOND)


def _spent(tenant_id: int, subject: str, tries: int) -> bool:
    return mysql.transact(lambda tx: _take(tx, tenant_id, subject.encode(), tries))


def _take(tx: Tx, tenant_id: int, subject: bytes, tries: int) -> bool:
    now = clock.now()
    tx.run(
        """
        INSERT INTO attempts (tenant_id, subject, failures, since) VALUES (%(tenant_id)s, %(subject)s, 0, %(now)s)
        ON DUPLICATE KEY UPDATE failures = IF(since < %(expired)s, 0, failures)
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        expired=now - LOCK,
    )
    taken = tx.run(
        """
        UPDATE attempts SET failures = failures + 1, since = %(now)s
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND failures < %(tries)s
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        tries=tries,
    )
    return taken == 1


def _known(tx: Tx, tenant_id: int, subject: bytes) -> bool:
    until = tx.value(
        "SELECT known_until FROM attempts WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s",
        tenant_id=tenant_id,
        subject=subject,
    )
    return until is not None and until > clock.now()


def _know(tx: Tx, tenant_id: int, subject: bytes) -> None:
    now = clock.now()
    tx.run(
        """
        INSERT INTO attempts (tenant_id, subject, failures, since, known_until)
        VALUES (%(tenant_id)s, %(subject)s, 0, %(now)s, %(until)s)
        ON DUPLICATE KEY UPDATE failures = 0, known_until = %(until)s
        """,
        tenant_id=tenant_id,
        subject=subject,
        now=now,
        until=now + KNOWN,
    )
