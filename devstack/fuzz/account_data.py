"""Accounts for bin/fuzz: the patient's account as each request needs it, and field values by path."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.identity import passwords
from chalicelib.people import account_phones, accounts
from chalicelib.people.consents import ConsentPurpose
from tests.support.factories import PASSWORD, Hospital, Person

LATEST_VERSION = 2**31 - 1  # of the privacy notice: a consent to it counts, whichever versions requests publish
PATIENT_PATH, MANAGER_PATH = "/pati_service/patient_service", "/pati_service/manager_service"


def give_consents(person: Person) -> None:
    """Consent to all purposes, in case a request has published a notice or withdrawn a consent."""
    mysql.run_transaction(lambda tx: _give_consents(tx, person))


def reopen(person: Person) -> None:
    """Reopen the account and its member, in case a request has closed it."""
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _reopen(tx, person))


def build_values(hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Return values of fields by the path that takes them."""
    account = {"user_id": str(hospital.wang.user_id)}
    return {
        f"{MANAGER_PATH}/change_account_phone": {**account, "phone": "13800000098"},
        f"{MANAGER_PATH}/confirm_account": account,
        f"{PATIENT_PATH}/change_phone/code": {"phone": "13800000099"},
    }


def _give_consents(tx: Tx, person: Person) -> None:
    given = """
        SELECT COUNT(*) FROM consents
        WHERE user_id = %(user_id)s AND withdrawn_at IS NULL AND version = %(version)s
    """
    if tx.fetch_value(given, user_id=person.user_id, version=LATEST_VERSION) == len(ConsentPurpose):
        return
    for purpose in ConsentPurpose:
        tx.execute(
            """
            INSERT INTO consents (tenant_id, user_id, purpose, version, address, given_at)
            VALUES (%(tenant_id)s, %(user_id)s, %(purpose)s, %(version)s, '', %(now)s)
            """,
            tenant_id=person.tenant_id,
            user_id=person.user_id,
            purpose=purpose,
            version=LATEST_VERSION,
            now=clock.now(),
        )


def _reopen(tx: Tx, person: Person) -> None:
    account = accounts.get(tx, person.tenant_id, person.user_id)
    if account.closed_at is None:
        return
    tx.execute("UPDATE accounts SET closed_at = NULL WHERE user_id = %(user_id)s", user_id=person.user_id)
    tx.execute("UPDATE members SET live = 1 WHERE member_id = %(member_id)s", member_id=person.member_id)
    account_phones.set_phone(tx, person.tenant_id, person.user_id, person.phone)
    accounts.set_password(tx, person.tenant_id, person.user_id, passwords.hash_password(PASSWORD))
