"""Rate limits against guessing: after a number of failures, a subject is locked for 15 minutes.

Failures are counted in MySQL, so that neither concurrent requests nor a flushed cache allow more tries. A rejected
request counts against its network, and writes nothing where that is locked.

Strangers consume only their own tries: where the owner of a phone is known (known_networks.py), neither guesses
elsewhere nor guesses for other phones count, and the network has a quota for this phone that comes back each minute, so
that others in the network cannot lock out the owner for long (docs/decisions/0026).
"""

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import addresses, known_networks, quotas
from chalicelib.identity.quotas import Quota
from chalicelib.people.roles import PersonKind

logger = logging.getLogger(__name__)

MAX_TRIES = 5  # for one phone from one network
MAX_TRIES_PER_PHONE = 20  # from all networks in which its owner is not known
MAX_TRIES_PER_ADDRESS = 100  # for all phones; a hospital's whole Wi-Fi may share one address
LOCKOUT_DURATION = 15 * 60 * clock.SECOND
# For one phone from a network in which its owner is known: as many at once, then one a minute. In a day that is less
# than MAX_TRIES_PER_PHONE permits elsewhere.
MAX_TRIES_FROM_KNOWN_NETWORK = 120
KNOWN_NETWORK_INTERVAL = 60 * clock.SECOND
TOO_MANY_TRIES_TEXT = "尝试次数过多，请15分钟后再试"
RESET_HINT_BY_KIND = {
    PersonKind.PATIENT: "，或用短信验证码重置密码",
    PersonKind.STAFF: "，或请管理员重置密码",
}


@dataclass(frozen=True, slots=True)
class _Guess:
    """A guess of the password of a phone, and the subjects for which it counts."""

    tenant_id: int
    kind: PersonKind
    phone_blind: bytes
    network: str

    @property
    def of_phone(self) -> str:
        return f"{self.kind}:{self.phone_blind.hex()}"

    @property
    def of_phone_and_network(self) -> str:
        return f"{self.of_phone}:{self.network}"

    @property
    def of_network(self) -> str:
        return _name_network(self.kind, self.network)


def consume_try(tenant_id: int, subject: str, max_tries: int = MAX_TRIES) -> None:
    """Use up one try. To be called before a guess is checked.

    Args:
        subject: what is guessed, such as otp:12.

    Raises:
        ApiError: 429 if none is left.
    """
    mysql.run_transaction(lambda tx: _count_failure(tx, tenant_id, {subject: max_tries}))


def consume_daily_try(tenant_id: int, subject: str, max_tries: int) -> None:
    """Use up one of few tries, which come back after a day without any.

    Raises:
        ApiError: 429 if none is left.
    """
    text = "尝试次数过多，请 24 小时后再试，或到医院前台办理"
    mysql.run_transaction(lambda tx: _count_failure(tx, tenant_id, {subject: max_tries}, text, clock.DAY))


def consume_password_try(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> None:
    """Use up one try for the password of a phone from an address.

    Takes as many statements for a phone that is known in the network as for any other, so that the duration reveals
    nothing about the phone.

    Args:
        phone_blind: blind index of the phone.

    Raises:
        ApiError: 429 if none is left.
    """
    guess = _build_guess(tenant_id, kind, phone_blind, address)
    try:
        mysql.run_transaction(lambda tx: _consume_password_try(tx, guess))
    except ApiError as error:
        if error.kind is errors.TOO_MANY_REQUESTS:
            count_network_failure(tenant_id, kind, guess.network)
        raise


def restore_password_try(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> None:
    """Give back a try because the password was right, although the caller may not sign in."""
    guess = _build_guess(tenant_id, kind, phone_blind, address)
    mysql.run_autocommit(lambda tx: _restore_password_try(tx, guess))


def record_success(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> None:
    """Record that somebody has signed in, entered their password again, or reset it by code.

    The owner of the phone is known in the network from now on, the phone's failures are deleted, and the try is
    returned. With a second factor, to be called only after that was right too.
    """
    guess = _build_guess(tenant_id, kind, phone_blind, address)

    def record(tx: Tx) -> None:
        _restore_password_try(tx, guess)
        known_networks.remember(tx, tenant_id, kind, phone_blind, guess.network)
        _delete(tx, tenant_id, guess.of_phone, guess.of_phone_and_network)

    mysql.run_autocommit(record)


def is_network_locked(tenant_id: int, kind: PersonKind, network: str) -> bool:
    """Return whether there were too many failures and rejected requests from a network."""
    subject, since = _name_network(kind, network), clock.now() - LOCKOUT_DURATION
    return _find_failures(mysql.autocommit, tenant_id, [subject], since).get(subject, 0) >= MAX_TRIES_PER_ADDRESS


def count_network_failure(tenant_id: int, kind: PersonKind, network: str) -> None:
    """Count a failure or a rejected request against its network. If that is locked, nothing is written."""
    subject = _name_network(kind, network)
    with suppress(ApiError):
        failures = mysql.run_transaction(lambda tx: _count_failure(tx, tenant_id, {subject: MAX_TRIES_PER_ADDRESS}))
        if failures[subject] >= MAX_TRIES_PER_ADDRESS:
            _report_guessing(tenant_id, kind)


def build_lockout_error(text: str = TOO_MANY_TRIES_TEXT, duration: int = LOCKOUT_DURATION) -> ApiError:
    """Return the error of a subject that is locked."""
    return ApiError(errors.TOO_MANY_REQUESTS, text, retry_after=duration // clock.SECOND)


def unlock(tenant_id: int, kind: PersonKind, phone_blind: bytes) -> None:
    """Reset the failures of a phone from all networks, after an administrator has set a new password."""
    phone = f"{kind}:{phone_blind.hex()}"
    for table in ("attempts", "quotas"):
        mysql.autocommit.execute(
            f"""
            DELETE FROM {table}
            WHERE tenant_id = %(tenant_id)s AND (subject = %(phone)s OR subject LIKE %(any_network)s)
            """,
            tenant_id=tenant_id,
            phone=phone.encode(),
            any_network=f"{phone}:%".encode(),
        )


def restore_try(tenant_id: int, *subjects: str) -> None:
    """Give back one try that was not a failure."""
    _restore(mysql.autocommit, tenant_id, *subjects)


def clear_failures(tenant_id: int, subject: str) -> None:
    """Delete the failures of a subject, after a right guess."""
    _delete(mysql.autocommit, tenant_id, subject)


def _build_guess(tenant_id: int, kind: PersonKind, phone_blind: bytes, address: str) -> _Guess:
    return _Guess(tenant_id, kind, phone_blind, addresses.get_network(address))


def _consume_password_try(tx: Tx, guess: _Guess) -> None:
    hint = RESET_HINT_BY_KIND[guess.kind]
    if not _is_known(tx, guess):
        limits = {
            guess.of_phone_and_network: MAX_TRIES,
            guess.of_phone: MAX_TRIES_PER_PHONE,
            guess.of_network: MAX_TRIES_PER_ADDRESS,
        }
        failures = _count_failure(tx, guess.tenant_id, limits, TOO_MANY_TRIES_TEXT + hint)
        if failures[guess.of_network] >= MAX_TRIES_PER_ADDRESS:
            _report_guessing(guess.tenant_id, guess.kind)
        return
    if wait := _use_known_quota(tx, guess):
        seconds = -(-wait // clock.SECOND)
        raise ApiError(errors.TOO_MANY_REQUESTS, f"尝试次数过多，请{seconds}秒后再试{hint}", retry_after=seconds)


def _is_known(tx: Tx, guess: _Guess) -> bool:
    return known_networks.is_known(tx, guess.tenant_id, guess.kind, guess.phone_blind, guess.network)


def _use_known_quota(tx: Tx, guess: _Guess) -> int:
    """Use up a try of a phone from a network in which its owner is known; return the microseconds to wait, or 0.

    The network has as many for all such phones together. Their end locks no account, but raises an alarm: one password
    may have been guessed for many accounts.
    """
    phone, network, quota = guess.of_phone_and_network, guess.of_network, _build_known_quota()
    waits = quotas.find_waits(tx, guess.tenant_id, [phone, network], quota)
    if waits[network]:
        _report_guessing(guess.tenant_id, guess.kind)
    if waits[phone]:
        return waits[phone]
    subjects = [phone] if waits[network] else [phone, network]
    return quotas.use_each(tx, guess.tenant_id, subjects, quota)[phone]


def _report_guessing(tenant_id: int, kind: PersonKind) -> None:
    logger.warning("many wrong passwords", extra={"ids": {"tenant_id": tenant_id, "kind": kind}})  # raises an alarm


def _build_known_quota() -> Quota:
    return Quota(MAX_TRIES_FROM_KNOWN_NETWORK, KNOWN_NETWORK_INTERVAL)


def _restore_password_try(tx: Tx, guess: _Guess) -> None:
    if _is_known(tx, guess):
        quotas.give_back(tx, guess.tenant_id, _build_known_quota(), guess.of_phone_and_network, guess.of_network)
    else:
        _restore(tx, guess.tenant_id, guess.of_phone_and_network, guess.of_phone, guess.of_network)


def _count_failure(
    tx: Tx,
    tenant_id: int,
    limits: Mapping[str, int],
    text: str = TOO_MANY_TRIES_TEXT,
    duration: int = LOCKOUT_DURATION,
) -> Mapping[str, int]:
    """Count one failure of each subject.

    Args:
        limits: how many failures each subject may have.
        text: of the error.
        duration: of the lock; after such a time without failures, all of a subject are forgotten.

    Returns:
        The failures of each subject, with this one.

    Raises:
        ApiError: 429 if one of them has as many. Nothing has been written, unless concurrent requests have reached the
            limit: the transaction must be rolled back.
    """
    now, failures = clock.now(), dict[str, int]()
    for is_counted in (False, True):
        failures = _find_failures(tx, tenant_id, limits, now - duration)
        if any(failures.get(subject, 0) >= limit + is_counted for subject, limit in limits.items()):
            raise build_lockout_error(text, duration)
        if not is_counted:
            _increment(tx, tenant_id, limits, now, duration)
    return failures


def _name_network(kind: PersonKind, network: str) -> str:
    return f"{kind}::{network}"


def _find_failures(tx: Tx, tenant_id: int, subjects: Iterable[str], since: int) -> dict[str, int]:
    rows = tx.fetch_all(
        """
        SELECT subject, failures FROM attempts
        WHERE tenant_id = %(tenant_id)s AND subject IN %(subjects)s AND last_failed_at >= %(since)s
        """,
        tenant_id=tenant_id,
        subjects=_encode(*subjects),
        since=since,
    )
    return {row["subject"].decode(): row["failures"] for row in rows}


def _increment(tx: Tx, tenant_id: int, subjects: Iterable[str], now: int, duration: int) -> None:
    """Count one failure of each subject, and lock their rows until the transaction ends."""
    tx.execute_many(
        f"""
        INSERT INTO attempts (tenant_id, subject, failures, last_failed_at)
        VALUES (%(tenant_id)s, %(subject)s, %(one)s, %(now)s)
        ON DUPLICATE KEY UPDATE
            failures = IF(last_failed_at < VALUES(last_failed_at) - {duration}, 0, failures) + 1,
            last_failed_at = VALUES(last_failed_at)
        """,
        [{"tenant_id": tenant_id, "subject": subject.encode(), "one": 1, "now": now} for subject in subjects],
    )


def _restore(tx: Tx, tenant_id: int, *subjects: str) -> None:
    tx.execute(
        """
        UPDATE attempts SET failures = failures - 1
        WHERE tenant_id = %(tenant_id)s AND subject IN %(subjects)s AND failures > 0
        """,
        tenant_id=tenant_id,
        subjects=_encode(*subjects),
    )


def _delete(tx: Tx, tenant_id: int, *subjects: str) -> None:
    tx.execute(
        "DELETE FROM attempts WHERE tenant_id = %(tenant_id)s AND subject IN %(subjects)s",
        tenant_id=tenant_id,
        subjects=_encode(*subjects),
    )


def _encode(*subjects: str) -> list[bytes]:
    return [subject.encode() for subject in subjects]
