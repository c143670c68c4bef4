"""Limits on guessing: so many failures lock a subject for a quarter of an hour, however many try at once.

Counted in MySQL by conditional update, so that a flushed cache gives no more tries.
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import Refused

TRIES = 5  # of one phone from one address
TRIES_OF_PHONE = 20  # from all addresses: an owner who mistypes is not locked out by a stranger's five
TRIES_OF_ADDRESS = 100  # of all phones: a hospital's Wi-Fi is one address
LOCK = 15 * 60 * clock.SECOND


def take(tenant_id: int, subject: str, tries: int = TRIES) -> None:
    """Spend one try before the guess is looked at. Refused 429 where none is left."""
    if not mysql.transact(lambda tx: _take(tx, tenant_id, subject.encode(), tries)):
        raise Refused(errors.TOO_MANY_REQUESTS, "尝试次数过多，请15分钟后再试", retry_after=LOCK // clock.SECOND)


def guess(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """Spend a try at the password of a phone, from an address. Refused 429. `realm` keeps staff and patients apart."""
    take(tenant_id, f"{realm}:{phone}:{address}")
    take(tenant_id, f"{realm}:{phone}", TRIES_OF_PHONE)
    take(tenant_id, f"{realm}::{address}", TRIES_OF_ADDRESS)


def guessed(tenant_id: int, realm: str, phone: str, address: str) -> None:
    """It was right: the phone's failures no longer count, and of the address's those of others alone."""
    forgive(tenant_id, f"{realm}:{phone}:{address}")
    forgive(tenant_id, f"{realm}:{phone}")
    give_back(tenant_id, f"{realm}::{address}")


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
