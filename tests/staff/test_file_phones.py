"""The phone that proves whose a verified file is, as staff change it: verify_patient and patient."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people.patient_status import PatientStatus
from tests.support import staff_client
from tests.support.account_client import list_audit_details
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    declare,
    file_patient,
    find_pati_id,
    get_file,
    list_bindings,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number


@pytest.fixture(autouse=True)
def jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No member is verified in between."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def number() -> str:
    return build_unused_id_number()


def list_phone_changes(hospital: Hospital, pati_id: int) -> list[dict[str, Any]]:
    return list_audit_details(hospital, "change_file_phone", f"patient:{pati_id}")


@pytest.mark.store
def test_another_phone_of_a_verified_file_needs_a_reason_and_is_audited(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    pati_id = file_patient(hospital.desk, number, pati_phone=wang.phone)
    rejected = verify_patient(hospital.desk, pati_id, pati_phone=lin.phone)
    assert (rejected.status, rejected.code) == (403, 10105)
    assert rejected.error == "该档案已有确认过的手机号，更换后原手机号的账号不再是档案本人，请填写原因"
    assert staff_client.get_patient_info(hospital.desk, pati_id).data["pati_phone"] == wang.phone
    for _ in range(2):  # a double click
        assert verify_patient(hospital.desk, pati_id, pati_phone=lin.phone, reason="本人换号").status == 200
    assert verify_patient(hospital.desk, pati_id, pati_phone=lin.phone).status == 200, "nothing is replaced"
    assert list_phone_changes(hospital, pati_id) == [
        {
            "actor": hospital.desk.principal,
            "key_id": None,
            "reason": "本人换号",
            "cause": "verify_patient",
            "owner_before": wang.user_id,
            "owner_after": lin.user_id,
        }
    ]


def test_another_phone_of_the_file_into_which_one_is_merged_needs_a_reason(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    pati_id, declared = file_patient(hospital.desk, number, pati_phone=wang.phone), declare(lin, number)
    assert verify_patient(hospital.desk, declared.pati_id, pati_phone=lin.phone).code == 10105
    assert get_file(declared.pati_id)["status"] == PatientStatus.DECLARED, "nothing has changed"
    assert verify_patient(hospital.desk, declared.pati_id, pati_phone=lin.phone, reason="本人换号").status == 200
    assert [one["owner_after"] for one in list_phone_changes(hospital, pati_id)] == [lin.user_id]


def test_first_verification_needs_no_reason(hospital: Hospital, lin: Person, wang: Person, number: str) -> None:
    """The phone of a self-declared file has proved nothing yet."""
    declared = declare(wang, number, phone=wang.phone)
    [binding] = verify_patient(hospital.desk, declared.pati_id, pati_phone=lin.phone).data["bindings"]
    assert binding["is_owner"] is False


def test_key_that_acts_for_the_front_desk_is_in_the_audit_log(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    hospital.allow_keys_for_staff()
    pati_id = file_patient(hospital.desk, number, pati_phone=wang.phone)
    headers = {"X-Internal-Key": hospital.internal_key}
    token = str(post("/inner/get_token", headers=headers, session=hospital.desk.principal, platform=1).data)
    desk = hospital.desk.with_token(token)
    assert verify_patient(desk, pati_id, pati_phone=lin.phone, reason="本人换号").status == 200
    [entry] = list_phone_changes(hospital, pati_id)
    assert entry["key_id"]


def test_identity_that_a_file_loses_is_in_the_audit_log(hospital: Hospital, number: str) -> None:
    """The last one takes the verification with it, and so the owner."""
    pati_id = file_patient(hospital.desk, number)
    staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_id_number=build_unused_id_number())
    staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_id_number="", reason="证件登记错误")
    assert get_file(pati_id)["status"] == PatientStatus.DECLARED
    common = {"actor": hospital.desk.principal, "key_id": None}
    assert list_audit_details(hospital, "release_identities", f"patient:{pati_id}") == [
        {**common, "reason": "", "identities_before": 2, "identities_after": 1},
        {**common, "reason": "证件登记错误", "identities_before": 1, "identities_after": 0},
    ]


@pytest.mark.store
def test_verification_opens_the_file(hospital: Hospital, number: str) -> None:
    """Every opening is in the access log, and a file in storage needs a reason."""
    pati_id = file_patient(hospital.desk, number)
    verify_patient(hospital.desk, pati_id)
    mysql.autocommit.execute("UPDATE patients SET stored_at = 1 WHERE pati_id = %(id)s", id=pati_id)
    assert verify_patient(hospital.desk, pati_id).code == 10105
    assert verify_patient(hospital.desk, pati_id, reason="本人到场").status == 200
    entries = staff_client.get_access_log(hospital.admin, pati_id=pati_id).data["list"]
    assert [(one["action"], one["break_glass"], one["reason"]) for one in entries] == [
        ("changed", True, "本人到场"),
        ("changed", False, ""),
        ("filed", False, ""),
    ]


@pytest.mark.store
def test_form_with_another_phone_confirms_it_at_the_front_desk_only(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    """A doctor enters a phone for calls; otherwise the doctor could become the owner of a patient's file."""
    pati_id = file_patient(hospital.chen, number, pati_phone=wang.phone)
    assert not staff_client.get_patient_info(hospital.desk, pati_id).data["phone_confirmed"]

    def save(person: Person, phone: str) -> bool:
        assert staff_client.save_patient(person, pati_id=pati_id, pati_id_number=number, pati_phone=phone).status == 200
        info = staff_client.get_patient_info(hospital.desk, pati_id).data
        assert info["pati_phone"] == phone
        return bool(info["phone_confirmed"])

    assert save(hospital.desk, lin.phone)
    assert not save(hospital.chen, wang.phone)
    assert not save(hospital.chen, "13800000033")
    assert not save(hospital.desk, "13800000033"), "unchanged"
    assert save(hospital.admin, wang.phone)
    changes = [(one["cause"], one["owner_before"], one["owner_after"]) for one in list_phone_changes(hospital, pati_id)]
    assert changes == [
        ("save_patient", None, lin.user_id),
        ("save_patient", lin.user_id, None),
        ("save_patient", None, None),
        ("save_patient", None, wang.user_id),
    ]


@pytest.mark.parametrize(("creator", "is_owner"), [("chen", False), ("desk", True), ("admin", True)])
def test_phone_of_a_new_file_is_confirmed_by_the_front_desk_only(
    hospital: Hospital, wang: Person, number: str, creator: str, is_owner: bool
) -> None:
    pati_id, declared = file_patient(getattr(hospital, creator), number, pati_phone=wang.phone), declare(wang, number)
    outbox.run_due_jobs(Queue.INTERNAL)
    assert find_pati_id(declared.person.member_id) == (pati_id if is_owner else declared.pati_id)
    assert [one["is_owner"] for one in list_bindings(hospital.desk, pati_id).data] == ([True] if is_owner else [])
