"""Requests of the front desk about whom patient files are of, and of patients who verify their members."""

from dataclasses import dataclass
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from tests.support import accounts_client, staff_client
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person

STAFF_PATH, MEMBER_PATH = "/pati_service/manager_service", "/pati_service/patient_service/member"
REASON = "已核对证件"


@dataclass(frozen=True)
class Declared:
    """A member with a self-declared file."""

    person: Person  # the account, whose member_id is the declared member
    pati_id: int


def declare(account: Person, number: str, **changed: Any) -> Declared:
    """Let an account add a member, whose file is self-declared."""
    member_id = int(accounts_client.add_member(account, number, **changed).data["memberId"])
    person = Person(account.tenant_id, account.user_id, account.phone, account.role, member_id)
    return Declared(person.with_token(account.token), find_pati_id(member_id))


def find_pati_id(member_id: int) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(member_id)s"
    return int(mysql.autocommit.fetch_value(sql, member_id=member_id))


def file_patient(desk: Person, number: str, **fields: Any) -> int:
    """Create a verified file with a document, as staff, and return its pati_id."""
    return int(staff_client.create_patient_file(desk, pati_id_number=number, **fields))


def get_file(pati_id: int) -> Row:
    row = mysql.autocommit.fetch_one("SELECT * FROM patients WHERE pati_id = %(pati_id)s", pati_id=pati_id)
    assert row is not None
    return row


def verify_patient(desk: Person, pati_id: Any, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/verify_patient", desk.token, pati_id=pati_id, **fields)


def merge_patients(desk: Person, source: Any, target: Any, reason: Any = REASON) -> ApiResponse:
    return post(f"{STAFF_PATH}/merge_patients", desk.token, source=source, target=target, reason=reason)


def split_patients(desk: Person, merge_id: Any, reason: Any = REASON) -> ApiResponse:
    return post(f"{STAFF_PATH}/split_patients", desk.token, merge_id=merge_id, reason=reason)


def list_merges(desk: Person, pati_id: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/patient_merges", desk.token, pati_id=pati_id)


def list_bindings(desk: Person, pati_id: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/patient_bindings", desk.token, pati_id=pati_id)


def list_duplicates(desk: Person, pati_id: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/patient_duplicates", desk.token, pati_id=pati_id)


def unbind_member(desk: Person, member_id: Any, reason: Any = REASON) -> ApiResponse:
    return post(f"{STAFF_PATH}/unbind_member", desk.token, member_id=member_id, reason=reason)


def create_temporary(desk: Person, headers: dict[str, str] | None = None, **fields: Any) -> ApiResponse:
    body = {"gender": 1, "birth_year": 1970, "description": "约 50 岁男性，东门外昏迷", **fields}
    return post(f"{STAFF_PATH}/temporary_patient", desk.token, headers, **body)


def replace_card(desk: Person, pati_id: Any, reason: Any = REASON) -> ApiResponse:
    return post(f"{STAFF_PATH}/replace_card", desk.token, pati_id=pati_id, reason=reason)


def request_member_code(account: Person, member_id: Any) -> ApiResponse:
    return post(f"{MEMBER_PATH}/verification_code", account.token, memberId=member_id)


def verify_member(account: Person, member_id: Any, **proof: Any) -> ApiResponse:
    return post(f"{MEMBER_PATH}/verify", account.token, memberId=member_id, **proof)


def list_own_bindings(account: Person, member_id: Any) -> ApiResponse:
    return get(f"{MEMBER_PATH}/bindings", account.token, memberId=member_id)


def remove_binding(account: Person, member_id: Any, binding_id: Any) -> ApiResponse:
    return post(f"{MEMBER_PATH}/bindings/remove", account.token, memberId=member_id, bindingId=binding_id)
