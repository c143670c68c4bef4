"""The phones of patients' accounts: new accounts, changes, decryption.

Apart from accounts.py, so that a function that only finds or locks accounts needs no permission to decrypt.
"""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.people import persons, phones
from chalicelib.people.roles import PersonKind

TABLE_NAME = "accounts"


def create_account(tx: Tx, tenant_id: int, phone: str, password_hash: bytes) -> int:
    """Insert an account and return its user_id. Call field_encryption.preload_keys before the transaction.

    Raises:
        mysql.DuplicateKeyError: key "phone" if the tenant has an account with this phone.
    """
    user_id = persons.create(tx, tenant_id, PersonKind.PATIENT)
    tx.execute(
        """
        INSERT INTO accounts (user_id, tenant_id, phone_sealed, phone_blind, password_hash, created_at)
        VALUES (%(user_id)s, %(tenant_id)s, %(phone_sealed)s, %(phone_blind)s, %(password_hash)s, %(now)s)
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        phone_sealed=phones.seal(tenant_id, TABLE_NAME, user_id, phone),
        phone_blind=phones.compute_blind_index(tenant_id, phone),
        password_hash=password_hash,
        now=clock.now(),
    )
    return user_id


def set_phone(tx: Tx, tenant_id: int, user_id: int, phone: str) -> None:
    """Replace the phone of an account; "" removes it. Call field_encryption.preload_keys before the transaction.

    Raises:
        mysql.DuplicateKeyError: key "phone" if the tenant has another account with this phone.
    """
    tx.execute(
        """
        UPDATE accounts SET phone_sealed = %(phone_sealed)s, phone_blind = %(phone_blind)s
        WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s
        """,
        phone_sealed=phones.seal(tenant_id, TABLE_NAME, user_id, phone),
        phone_blind=phones.compute_blind_index(tenant_id, phone) if phone else None,
        user_id=user_id,
        tenant_id=tenant_id,
    )


def require(tenant_id: int, user_id: int) -> str:
    """Return the phone of an account.

    Raises:
        ApiError: 409 if it has none: another person has the number now (account_states.py).
    """
    sql = "SELECT phone_sealed FROM accounts WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s"
    phone_sealed = mysql.autocommit.fetch_value(sql, user_id=user_id, tenant_id=tenant_id)
    if phone_sealed is None:
        raise ApiError(errors.CONFLICT, "账号没有手机号，请到医院前台办理")
    return unseal(tenant_id, user_id, phone_sealed)


def unseal(tenant_id: int, user_id: int, phone_sealed: bytes | None) -> str:
    """Return the phone from accounts.phone_sealed, "" for None. Not inside a transaction, unless keys are loaded."""
    return phones.unseal(tenant_id, TABLE_NAME, user_id, phone_sealed)
