"""Patients' accounts. Their members (就诊人) are in members.py."""

from dataclasses import dataclass
from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.people import names

AVATAR = "avatar"  # files.place of an upload that becomes the uploader's avatar


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who signs in with a phone, and the hash of their password."""

    user_id: int
    password_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A patient's account. An account without a profile has name "", one that has lost its phone no phone."""

    phone_sealed: bytes | None  # see account_phones.py
    phone_blind: bytes | None
    password_hash: bytes
    name: str
    gender: int
    birthday: date | None
    photo_key: str  # S3 key of the avatar, "" for none
    identity_locked_at: int | None  # None: sessions are not limited (account_states.py)
    closed_at: int | None


def find_by_phone(tx: Tx, tenant_id: int, phone_blind: bytes) -> int | None:
    """Return the user_id of the account with this phone, or None."""
    user_id: int | None = tx.fetch_value(
        "SELECT user_id FROM accounts WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s",
        tenant_id=tenant_id,
        phone_blind=phone_blind,
    )
    return user_id


def find_credentials(tx: Tx, tenant_id: int, phone_blind: bytes) -> Credentials | None:
    """Return the credentials of the account with this phone, or None."""
    row = tx.fetch_one(
        "SELECT user_id, password_hash FROM accounts WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s",
        tenant_id=tenant_id,
        phone_blind=phone_blind,
    )
    return Credentials(**row) if row else None


def find_created_since(tx: Tx, tenant_id: int, phone_blind: bytes, since: int) -> Credentials | None:
    """Return the credentials of the account with this phone if it was created after a time, or None."""
    row = tx.fetch_one(
        """
        SELECT user_id, password_hash FROM accounts
        WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s AND created_at > %(since)s
        """,
        tenant_id=tenant_id,
        phone_blind=phone_blind,
        since=since,
    )
    return Credentials(**row) if row else None


def set_password(
    tx: Tx, tenant_id: int, user_id: int, password_hash: bytes, expected_hash: bytes | None = None
) -> bool:
    """Replace an account's password hash.

    Args:
        expected_hash: the present hash; None replaces any.

    Returns:
        False if the present hash is not `expected_hash`.
    """
    changed = tx.execute(
        """
        UPDATE accounts SET password_hash = %(password_hash)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
          AND (%(expected_hash)s IS NULL OR password_hash = %(expected_hash)s)
        """,
        password_hash=password_hash,
        user_id=user_id,
        tenant_id=tenant_id,
        expected_hash=expected_hash,
    )
    return changed == 1


def record_sign_in(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Store that the owner of an account signs in now."""
    tx.execute(
        """
        UPDATE accounts SET last_sign_in_at = %(now)s WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        now=clock.now(),
    )


def get(tx: Tx, tenant_id: int, user_id: int, for_update: bool = False) -> Account:
    """Return a patient's account, which must exist.

    Args:
        for_update: lock the row until the end of the transaction.

    Raises:
        ApiError: 401 if the account is locked by a request that began before it was closed.
    """
    row = tx.fetch_one(
        f"""
        SELECT phone_sealed, phone_blind, password_hash, name, gender, birthday, photo_key, identity_locked_at,
               closed_at
        FROM accounts
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s {"FOR UPDATE" if for_update else ""}
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    assert row is not None, "a patient's token belongs to an account, and accounts are not deleted"
    if for_update and row["closed_at"] is not None:
        raise ApiError(errors.INVALID_TOKEN)
    return Account(**{**row, "photo_key": row["photo_key"].decode()})


def update_profile(tx: Tx, tenant_id: int, user_id: int, name: str | None, gender: int, birthday: date | None) -> None:
    """Set the owner's own details of an account; None leaves one as it is."""
    tx.execute(
        """
        UPDATE accounts
        SET name = COALESCE(%(name)s, name), name_key = COALESCE(%(name_key)s, name_key),
            gender = %(gender)s, birthday = COALESCE(%(birthday)s, birthday)
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        name=name,
        name_key=names.build_key(name) if name else None,
        gender=gender,
        birthday=birthday,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def set_avatar(tx: Tx, file_id: int) -> None:
    """Make a confirmed picture the avatar of its uploader, unless a later upload is already confirmed."""
    file = tx.fetch_one(
        """
        SELECT f.tenant_id, f.uploader, f.object_key FROM files f
        WHERE f.file_id = %(file_id)s AND f.object_key IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM files later
            WHERE later.tenant_id = f.tenant_id AND later.uploader = f.uploader AND later.place = f.place
              AND later.file_id > f.file_id AND later.object_key IS NOT NULL
        )
        """,
        file_id=file_id,
    )
    if file:
        tx.execute(
            """
            UPDATE accounts SET photo_key = %(object_key)s
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
            """,
            object_key=file["object_key"],
            user_id=int(file["uploader"].decode().removeprefix("user:")),
            tenant_id=file["tenant_id"],
        )
