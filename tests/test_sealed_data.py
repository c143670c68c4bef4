"""No column of the database contains a phone or the number of a document in plain text, whatever people do."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from app import migrate
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import sms_codes
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from tests.support import booking_client, consult_client, helpdesk_client, staff_client
from tests.support.accounts_client import (
    CHANGE,
    MEMBER,
    MYINFO,
    PATIENT_SERVICE_PATH,
    REGISTER_CODE,
    RESET,
    RESET_CODE,
    add_member,
    list_members,
    post_as_visitor,
    register,
    request_code,
    sign_in,
)
from tests.support.client import get, post
from tests.support.factories import Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.id_numbers import build_id_number
from tests.support.sms_provider import Provider, provider
from tests.support.stored_values import find_stored

__all__ = ["fast_hashes", "provider"]
pytestmark = [pytest.mark.store, pytest.mark.usefixtures("fast_hashes")]

PASSWORD, NEW_PASSWORD = "Neues-12345", "Anderes-12345"
ACCOUNT, MEMBERS, GUARDIANS, FILES, CONTACTS = (f"1371234567{n}" for n in range(5))
STAFF, ADMIN, ABROAD = "13712345676", "13712345677", "+85291234567"
OWN_NUMBER, FILES_NUMBER = build_id_number("19871103", 42), build_id_number("19620228", 41)
GUARDIANS_NUMBER, PASSPORT, PERMIT = build_id_number("19871103", 44), "E98765432", "H12345678"
SECRETS = [
    *(ACCOUNT, MEMBERS, GUARDIANS, FILES, CONTACTS, STAFF, ADMIN, ABROAD.removeprefix("+")),
    *(OWN_NUMBER, FILES_NUMBER, GUARDIANS_NUMBER, PASSPORT, PERMIT),
]


def find_secrets(tenant_id: int) -> dict[str, list[str]]:
    return {secret: found for secret in SECRETS if (found := find_stored(tenant_id, secret))}


@pytest.fixture
def patient(hospital: Hospital, provider: Provider) -> Person:
    """A person who has signed up, mistyped a password, reset and changed it."""
    assert request_code(hospital, ACCOUNT, REGISTER_CODE).status == 200
    assert find_secrets(hospital.tenant_id) == {}, "while the job waits"
    outbox.run_due_jobs(Queue.EXTERNAL)
    user_id = register(hospital, provider.sent[-1][1], ACCOUNT, PASSWORD).data["userId"]
    assert sign_in(hospital, ACCOUNT, "wrong").status == 401
    provider.wait(61)
    assert request_code(hospital, ACCOUNT, RESET_CODE).status == 200
    outbox.run_due_jobs(Queue.EXTERNAL)
    reset = {"phone": ACCOUNT, "verCode": provider.sent[-1][1], "newPassword": NEW_PASSWORD}
    assert post_as_visitor(hospital, RESET, **reset).status == 200
    token = sign_in(hospital, ACCOUNT, NEW_PASSWORD).data["token"]
    assert post(CHANGE, token, oldPassword="wrong", newPassword=PASSWORD).status == 400
    token = sign_in(hospital, ACCOUNT, NEW_PASSWORD).data["token"]
    return Person(hospital.tenant_id, int(user_id), ACCOUNT).with_token(token)


def test_a_day_stores_no_phone_and_no_document_number(hospital: Hospital, patient: Person, provider: Provider) -> None:
    members = create_members(patient)
    create_files(hospital)
    create_staff_members(hospital)
    sms_codes.request_member_code(hospital.tenant_id, members[0], "203.0.113.7", "user:1")
    use_services(hospital, Person(hospital.tenant_id, patient.user_id, ACCOUNT, member_id=members[0]), patient.token)
    assert find_secrets(hospital.tenant_id) == {}, "while jobs wait"
    for queue in Queue:
        outbox.run_due_jobs(queue)
    assert find_secrets(hospital.tenant_id) == {}
    assert get(MYINFO, patient.token).data["phone"] == ACCOUNT
    assert provider.sent[-1][0] == FILES, "the verified file's phone"


def create_members(patient: Person) -> list[int]:
    """Add oneself, a child with a guardian, and somebody with a passport; return their ids."""
    own = add_member(patient, OWN_NUMBER, phone=MEMBERS)
    guardian = {"name": "林大山", "IDNo": GUARDIANS_NUMBER, "phone": GUARDIANS, "relation": 3, "consent": True}
    child: dict[str, Any] = {
        "name": "林小宝",
        "gender": 1,
        "birthday": f"{clock.today() - timedelta(days=400)}",
        "IDNo": "",
    }
    responses = [
        own,
        post(MEMBER, patient.token, **child, phone=MEMBERS, guardian=guardian),
        add_member(patient, "19700101", IDNo=PASSPORT, idType="03", birthday="1970-01-01", phone=ABROAD),
    ]
    assert [one.status for one in responses] == [200] * 3
    assert {one["phone"] for one in list_members(patient)} == {MEMBERS, ABROAD}
    return [int(one.data["memberId"]) for one in responses]


def create_files(hospital: Hospital) -> None:
    """Let the front desk create the file whose identity the patient claims, change it, and search."""
    fields: dict[str, Any] = {"pati_name": "林小雨", "pati_birthday": "1987-11-03", "pati_phone": FILES}
    fields |= {"pati_id_number": OWN_NUMBER, "cont_name": "王强", "cont_relation": 2, "cont_phone": CONTACTS}
    pati_id = staff_client.create_patient_file(hospital.desk, **fields)
    more = [{"id_type": "06", "id_number": PERMIT}]
    changed = staff_client.save_patient(hospital.desk, pati_id=pati_id, documents=more, **fields)
    other: dict[str, Any] = {
        "pati_name": "周老先生",
        "pati_gender": 1,
        "pati_birthday": "1962-02-28",
        "pati_id_number": FILES_NUMBER,
    }
    assert [changed.status, staff_client.save_patient(hospital.desk, **other).status] == [200, 200]
    for query in ({"pati_phone": FILES}, {"pati_id_number": OWN_NUMBER}):
        found = staff_client.search_patients(hospital.desk, **query).data["list"]
        assert found[0]["pati_id"] == pati_id
    assert staff_client.get_patient_info(hospital.admin, pati_id).data["cont_phone"] == CONTACTS


def create_staff_members(hospital: Hospital) -> None:
    """Let an admin create a member of staff, who mistypes a password, and an operator add an administrator."""
    new: dict[str, Any] = {"phone": STAFF, "name": "周客服", "role": "service_staff", "password": PASSWORD}
    created = post(f"{staff_client.STAFF_PATH}/staff", hospital.admin.token, **new)
    assert created.status == 200, created.error
    post_as_visitor(hospital, f"{staff_client.STAFF_PATH}/login", phone=STAFF, password="wrong")
    mysql.autocommit.execute(
        "UPDATE tenants SET external_id = %(name)s WHERE tenant_id = %(tenant_id)s",
        name=f"sealed-{hospital.tenant_id}".encode(),
        tenant_id=hospital.tenant_id,
    )
    spec = {"external_id": f"sealed-{hospital.tenant_id}", "name": "仁和医院", "admin_name": "院长"}
    assert migrate({"hospital": {**spec, "admin_phone": ADMIN}}, None)["admin_password"]


def use_services(hospital: Hospital, patient: Person, token: str) -> None:
    """Chat, book, ask the help desk, and request an export."""
    patient = patient.with_token(token)
    department = booking_client.create_department(hospital)
    assert department.submit(patient, department.create_schedule()).status == 200
    assert consult_client.send_as_patient(patient, hospital.chen, "医生您好").status == 200
    helpdesk_client.HelpDesk(hospital).create_post(hospital.desk)
    assert helpdesk_client.request_assignment(patient).status == 200
    listed = helpdesk_client.call_messagecenter(hospital.desk, "conversationList", userType=1, phone=ACCOUNT)
    assert [one["phone"] for one in listed.data] == ["137****5670"]
    assert post(f"{PATIENT_SERVICE_PATH}/export", token).status == 200


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_search_finds_what_is_stored(hospital: Hospital, shift: int) -> None:
    """The check itself: plain text, hex, and Base64 wherever the value begins in it."""
    encoded = base64.b64encode(b"x" * shift + ACCOUNT.encode() + b"yz").decode()
    mysql.autocommit.execute(
        """
        INSERT INTO departments (tenant_id, name, introduction, photo_key, created_at)
        VALUES (%(tenant_id)s, %(name)s, %(introduction)s, %(photo_key)s, 0)
        """,
        tenant_id=hospital.tenant_id,
        name=f"科室{ACCOUNT}",
        introduction=f'{{"payload": "{encoded}"}}',
        photo_key=ACCOUNT.encode().hex().encode(),
    )
    expected = ["departments.introduction", "departments.name", "departments.photo_key"]
    assert find_stored(hospital.tenant_id, ACCOUNT) == expected
