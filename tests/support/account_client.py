"""Requests about an account as a whole: closing it, changing its phone, confirming its owner."""

import json
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import account_states
from tests.accounts.conftest import ReadSms
from tests.support.accounts_client import (
    PATIENT_SERVICE_PATH,
    RESET,
    RESET_CODE,
    post_as_visitor,
    request_code,
    sign_in,
)
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person

MANAGER_PATH = "/pati_service/manager_service"
CLOSE, CLOSE_CODE = f"{PATIENT_SERVICE_PATH}/close_account", f"{PATIENT_SERVICE_PATH}/close_account/code"
CHANGE_PHONE = f"{PATIENT_SERVICE_PATH}/change_phone"
CHANGE_PHONE_CODE = f"{CHANGE_PHONE}/code"
CONFIRM_IDENTITY, START_OVER = f"{PATIENT_SERVICE_PATH}/confirm_identity", f"{PATIENT_SERVICE_PATH}/start_over"
CHANGE_ACCOUNT_PHONE, CONFIRM_ACCOUNT = f"{MANAGER_PATH}/change_account_phone", f"{MANAGER_PATH}/confirm_account"
NEW_PASSWORD = "Anderes-12345"
REASON = "本人持身份证到前台办理"


def get_account(person: Person) -> Any:
    """Return the row of a person's account."""
    [row] = mysql.autocommit.fetch_all("SELECT * FROM accounts WHERE user_id = %(id)s", id=person.user_id)
    return row


def list_audit(hospital: Hospital) -> list[tuple[str, str, str, str]]:
    """Return action, actor, subject and reason of the entries of the audit log."""
    return [
        (row["action"], row["actor"].decode(), row["subject"].decode(), row["reason"])
        for row in list_rows("audit_log", hospital)
    ]


def list_audit_details(hospital: Hospital, action: str, subject: str) -> list[dict[str, Any]]:
    """Return actor, key, reason and detail of the entries of an action and what it was done to."""
    return [
        {
            "actor": row["actor"].decode(),
            "key_id": row["key_id"],
            "reason": row["reason"],
            **(json.loads(row["detail"]) if row["detail"] else {}),
        }
        for row in list_rows("audit_log", hospital)
        if (row["action"], row["subject"].decode()) == (action, subject)
    ]


def leave_unused(person: Person, days: float = 91) -> None:
    """Let the last sign-in to an account be so many days ago."""
    mysql.autocommit.execute(
        "UPDATE accounts SET created_at = %(then)s, last_sign_in_at = %(then)s WHERE user_id = %(user_id)s",
        then=clock.now() - int(days * clock.DAY),
        user_id=person.user_id,
    )


def reset_by_code(hospital: Hospital, phone: str, read_sms: ReadSms) -> None:
    """Set NEW_PASSWORD by a code to the phone."""
    known = len(read_sms(phone, 0))
    assert request_code(hospital, phone, RESET_CODE).status == 200
    code = read_sms(phone, known + 1)[-1]
    assert post_as_visitor(hospital, RESET, phone=phone, verCode=code, newPassword=NEW_PASSWORD).status == 200


def reset_by_another_code(hospital: Hospital, phone: str, read_sms: ReadSms) -> None:
    """Do the same, when codes were requested before."""
    mysql.autocommit.execute("DELETE FROM code_requests WHERE tenant_id = %(id)s", id=hospital.tenant_id)
    reset_by_code(hospital, phone, read_sms)


def start_over(person: Person) -> ApiResponse:
    return post(START_OVER, person.token)


def confirm_account(staff: Person, person: Person) -> ApiResponse:
    return post(CONFIRM_ACCOUNT, staff.token, user_id=person.user_id, reason=REASON)


def get_token_by_key(hospital: Hospital, person: Person) -> str:
    """Return a token that the hospital's own system gets for a person."""
    headers = {"X-Internal-Key": hospital.internal_key}
    return str(post("/inner/get_token", headers=headers, session=person.principal, platform=1).data)


def list_account_changes(hospital: Hospital, person: Person) -> list[tuple[str, str, Any]]:
    """Return action, actor and detail of what the audit log has about an account, apart from issued tokens."""
    return [
        (row["action"], row["actor"].decode(), json.loads(row["detail"] or "{}"))
        for row in list_rows("audit_log", hospital)
        if row["subject"].decode() == person.principal and row["action"] != "issue_token"
    ]


def sign_in_limited(hospital: Hospital, person: Person, read_sms: ReadSms) -> Person:
    """Take over an unused account by its phone; return the person with the token of the limited session."""
    leave_unused(person)
    reset_by_code(hospital, person.phone, read_sms)
    return person.with_token(sign_in(hospital, person.phone, NEW_PASSWORD).data["token"])


def limit(person: Person) -> None:
    """Limit an account without a reset."""
    mysql.run_transaction(lambda tx: account_states.limit(tx, person.tenant_id, person.user_id))


def confirm_identity(person: Person, number: Any, **fields: Any) -> ApiResponse:
    return post(CONFIRM_IDENTITY, person.token, IDNo=number, **fields)


def read_myinfo(person: Person) -> Any:
    return get(f"{PATIENT_SERVICE_PATH}/myinfo", person.token).data


def change_account_phone(staff: Person, person: Person, phone: str) -> ApiResponse:
    return post(CHANGE_ACCOUNT_PHONE, staff.token, user_id=person.user_id, phone=phone, reason=REASON)
