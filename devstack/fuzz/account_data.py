"""Accounts for bin/fuzz: the patient's account as each request needs it, and field values by path."""

from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.identity import passwords, tokens
from chalicelib.identity.sessions import ID_BYTES
from chalicelib.people import account_phones, accounts
from chalicelib.people.consents import ConsentPurpose
from tests.support.factories import PASSWORD, Hospital, Person, add_member, create_patient, create_patient_file

LATEST_VERSION = 2**31 - 1  # of the privacy notice: a consent to it counts, whichever versions requests publish
PATIENT_PATH, MANAGER_PATH = "/pati_service/patient_service", "/pati_service/manager_service"


def build_values(hospital: Hospital) -> dict[str, dict[str, Any]]:
    """Create members and sessions that requests may end, and return field values by the path that takes them."""
    bound = create_patient(hospital.tenant_id, "13800000077", "林大海")
    create_patient_file(bound, "林大海")
    account = {"user_id": str(hospital.wang.user_id)}
    return {
        f"{PATIENT_PATH}/member/remove": {"memberId": str(add_member(hospital.lin, "林大山"))},
        f"{MANAGER_PATH}/unbind_member": {"member_id": str(bound.member_id)},
        f"{PATIENT_PATH}/sessions/end": {"session_id": _begin_session(hospital.lin)},
        f"{MANAGER_PATH}/sessions/end": {"session_id": _begin_session(hospital.chen)},
        f"{MANAGER_PATH}/change_account_phone": {**account, "phone": "13800000098"},
        f"{MANAGER_PATH}/confirm_account": account,
        f"{PATIENT_PATH}/change_phone/code": {"phone": "13800000099"},
    }


def give_consents(person: Person) -> None:
    """Consent to all purposes, in case a request has published a notice or withdrawn a consent."""
    mysql.run_transaction(lambda tx: _give_consents(tx, person))


def reopen(person: Person) -> None:
    """Reopen the account and its member, and forget wrong passwords, in case requests have closed or locked it."""
    mysql.autocommit.execute("DELETE FROM attempts")
    field_encryption.preload_keys()
    mysql.run_transaction(lambda tx: _reopen(tx, person))


def _begin_session(person: Person) -> str:
    """Sign in once more, and return the id of this session."""
    return tokens.hash_token(tokens.issue(person.tenant_id, person.principal, person.role))[:ID_BYTES].hex()


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
