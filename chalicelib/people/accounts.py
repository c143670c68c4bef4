"""Patients' accounts and their members (就诊人)."""

from datetime import date

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.people import persons

AVATAR = "avatar"  # the place of an upload that becomes its uploader's picture
MAX_MEMBERS = 10


def create(tx: Tx, tenant_id: int, phone: str, password_hash: bytes) -> int:
    """Return the new account's user_id. Raises mysql.DuplicateKeyError("phone") where the tenant has the phone
    already."""
    user_id = persons.create(tx, tenant_id, "patient")
    tx.execute(
        """
        INSERT INTO accounts (user_id, tenant_id, phone, password_hash, created_at)
        VALUES (%(user_id)s, %(tenant_id)s, %(phone)s, %(password_hash)s, %(now)s)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        phone=phone,
        password_hash=password_hash,
        now=clock.now(),
    )
    return user_id


def add_member(
    tx: Tx,
    tenant_id: int,
    user_id: int,
    name: str,
    *,
    gender: int = 0,
    birthday: date | None = None,
    phone: str = "",
    cont_relation: int = 1,
    is_default: bool = False,
    pati_id: int | None = None,
) -> int:
    """Return the new member_id. Raises mysql.DuplicateKeyError("patient") where the account has that patient
    already."""
    return tx.insert(
        """
        INSERT INTO members
            (tenant_id, user_id, pati_id, name, gender, birthday, phone, cont_relation, is_default, created_at)
        VALUES
            (%(tenant_id)s, %(user_id)s, %(pati_id)s, %(name)s, %(gender)s, %(birthday)s, %(phone)s,
             %(cont_relation)s, %(is_default)s, %(now)s)
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        pati_id=pati_id,
        name=name,
        gender=gender,
        birthday=birthday,
        phone=phone,
        cont_relation=cont_relation,
        is_default=is_default,
        now=clock.now(),
    )


def find_by_phone(tx: Tx, tenant_id: int, phone: str) -> int | None:
    """Return the user_id of the account that signs in with this phone."""
    found: int | None = tx.fetch_value(
        "SELECT user_id FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return found


def find_password_hash(tx: Tx, tenant_id: int, phone: str) -> tuple[int, bytes] | None:
    """Return user_id and password hash of the account that signs in with this phone."""
    row = tx.fetch_one(
        "SELECT user_id, password_hash FROM accounts WHERE tenant_id = %(tenant_id)s AND phone = %(phone)s",
        tenant_id=tenant_id,
        phone=phone,
    )
    return (row["user_id"], row["password_hash"]) if row else None


def set_password(tx: Tx, tenant_id: int, user_id: int, password_hash: bytes, instead_of: bytes | None = None) -> bool:
    """False where the hash is no longer the one that was looked at (`instead_of`)."""
    changed = tx.execute(
        """
        UPDATE accounts SET password_hash = %(password_hash)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
          AND (%(instead_of)s IS NULL OR password_hash = %(instead_of)s)
        """,
        password_hash=password_hash,
        user_id=user_id,
        tenant_id=tenant_id,
        instead_of=instead_of,
    )
    return changed == 1


def get(tx: Tx, tenant_id: int, user_id: int, to_change: bool = False) -> Row:
    """Return phone, password_hash, name, gender, birthday and photo_key; locked until the commit where asked for."""
    row = tx.fetch_one(
        f"""
        SELECT phone, password_hash, name, gender, birthday, photo_key FROM accounts
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s {"FOR UPDATE" if to_change else ""}
        """,
        user_id=user_id,
        tenant_id=tenant_id,
    )
    assert row is not None, "a patient's token is of an account, and accounts stay"
    return row


def update_profile(tx: Tx, tenant_id: int, user_id: int, name: str, gender: int, birthday: date) -> None:
    """What somebody says of themselves."""
    tx.execute(
        """
        UPDATE accounts SET name = %(name)s, gender = %(gender)s, birthday = %(birthday)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        name=name,
        gender=gender,
        birthday=birthday,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def set_avatar(tx: Tx, file_id: int) -> None:
    """Make an uploaded picture, once confirmed, the avatar of its uploader, unless a later one is that already."""
    worn = tx.fetch_one(
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
    if worn:
        tx.execute(
            """
            UPDATE accounts SET photo_key = %(object_key)s
            WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
            """,
            object_key=worn["object_key"],
            user_id=int(worn["uploader"].decode().removeprefix("user:")),
            tenant_id=worn["tenant_id"],
        )


def list_members_with_patients(tx: Tx, tenant_id: int, user_id: int) -> list[Row]:
    """Return an account's members as they are listed, the default one first; id_sealed is their patient file's."""
    return tx.fetch_all(
        """
        SELECT m.member_id, m.pati_id, m.name, m.gender, m.birthday, m.phone, m.is_default, p.id_sealed
        FROM members m LEFT JOIN patients p ON p.pati_id = m.pati_id AND p.tenant_id = m.tenant_id
        WHERE m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s
        ORDER BY m.is_default DESC, m.member_id
        """,
        tenant_id=tenant_id,
        user_id=user_id,
    )


def list_member_names(tx: Tx, user_id: int) -> list[Row]:
    """Return member_id and name of an account's members, the first made first."""
    return tx.fetch_all(
        "SELECT member_id, name FROM members WHERE user_id = %(user_id)s ORDER BY member_id", user_id=user_id
    )
