"""Which identities a verified file owns after a merge: those of the documents that someone has seen, and no others."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import guardians
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian
from chalicelib.people.patient_status import PatientStatus
from tests.support import staff_client
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    STAFF_PATH,
    Declared,
    declare,
    file_patient,
    get_file,
    merge_patients,
    split_patients,
    verify_member,
    verify_patient,
)

PASSPORT = {"id_type": "03", "id_number": "E12345678"}
SHOWN_PASSPORT = {"pati_id_type": "03", "pati_id_number": "E12345678"}


@pytest.fixture
def verified(hospital: Hospital, number: str) -> int:
    return file_patient(hospital.desk, number)


@pytest.fixture
def declared(hospital: Hospital, wang: Person, number: str) -> Declared:
    """A self-declared file of the same identity, with a passport that nobody has seen."""
    declared = declare(wang, number)
    assert staff_client.save_patient(hospital.desk, pati_id=declared.pati_id, documents=[PASSPORT]).status == 200
    return declared


def list_documents(hospital: Hospital, pati_id: int) -> list[tuple[str, bool]]:
    shown = staff_client.get_patient_info(hospital.desk, pati_id).data["documents"]
    return [(one["id_type"], one["verified"]) for one in shown]


def list_owners(hospital: Hospital) -> list[int]:
    return sorted(row["pati_id"] for row in list_rows("patient_identities", hospital))


def test_merge_by_staff_claims_the_documents_and_a_split_releases_them(
    hospital: Hospital, verified: int, declared: Declared
) -> None:
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    assert list_documents(hospital, verified) == [("99", True), ("03", True)]
    assert file_patient(hospital.desk, "E12345678", pati_id_type="03") == verified, "no second file of the person"
    split_patients(hospital.desk, merge_id)
    assert list_documents(hospital, verified) == [("99", True)]
    assert list_documents(hospital, declared.pati_id) == [("99", False), ("03", False)]
    assert list_owners(hospital) == [verified]


def test_document_of_another_verified_file_stays_with_the_source(
    hospital: Hospital, verified: int, declared: Declared
) -> None:
    other = file_patient(hospital.desk, "E12345678", pati_id_type="03")
    merge_patients(hospital.desk, declared.pati_id, verified)
    assert list_documents(hospital, verified) == [("99", True)]
    assert list_owners(hospital) == [verified, other]


def test_verification_by_the_account_attaches_no_unseen_document(
    hospital: Hospital, verified: int, declared: Declared
) -> None:
    card_no = get_file(verified)["card_no"]
    assert verify_member(declared.person, declared.person.member_id, cardNo=card_no).status == 200
    assert get_file(declared.pati_id)["merged_into"] == verified
    assert list_documents(hospital, verified) == [("99", True)]


def test_one_shown_document_does_not_prove_the_others(hospital: Hospital, verified: int, declared: Declared) -> None:
    assert verify_patient(hospital.desk, declared.pati_id).data["pati_id"] == str(verified)
    assert list_documents(hospital, verified) == [("99", True)]


def test_unseen_document_of_a_verified_file_is_verified_when_it_is_shown(
    hospital: Hospital, declared: Declared
) -> None:
    verify_patient(hospital.desk, declared.pati_id)
    assert list_documents(hospital, declared.pati_id) == [("99", True), ("03", False)]
    assert verify_patient(hospital.desk, declared.pati_id, **SHOWN_PASSPORT).status == 200
    assert list_documents(hospital, declared.pati_id) == [("99", True), ("03", True)]
    assert file_patient(hospital.desk, "E12345678", pati_id_type="03") == declared.pati_id


@pytest.mark.parametrize(
    "fields",
    [SHOWN_PASSPORT, {"documents": [PASSPORT]}, {"documents": [{**PASSPORT, "verified": True}]}],
)
def test_unseen_document_is_verified_when_the_file_is_saved_with_it(
    hospital: Hospital, declared: Declared, fields: dict[str, Any]
) -> None:
    verify_patient(hospital.desk, declared.pati_id)
    for _ in range(2):
        assert staff_client.save_patient(hospital.desk, pati_id=declared.pati_id, **fields).status == 200
        assert dict(list_documents(hospital, declared.pati_id)) == {"99": True, "03": True}
    audited = [row["action"] for row in list_rows("audit_log", hospital) if row["action"] == "verify_patient"]
    assert len(audited) == 2, "once for each document"
    assert file_patient(hospital.desk, "E12345678", pati_id_type="03") == declared.pati_id


def test_page_that_posts_back_what_it_has_read_verifies_nothing(hospital: Hospital, declared: Declared) -> None:
    verify_patient(hospital.desk, declared.pati_id)
    read = staff_client.get_patient_info(hospital.desk, declared.pati_id).data
    assert post(f"{STAFF_PATH}/patient", hospital.desk.token, **read).status == 200
    assert list_documents(hospital, declared.pati_id) == [("99", True), ("03", False)]


def test_unseen_document_of_another_verified_file_is_a_conflict_if_it_is_shown(
    hospital: Hospital, declared: Declared
) -> None:
    verify_patient(hospital.desk, declared.pati_id)
    file_patient(hospital.desk, "E12345678", pati_id_type="03")
    response = staff_client.save_patient(hospital.desk, pati_id=declared.pati_id, documents=[PASSPORT])
    assert (response.status, response.error) == (409, "该证件号码已建档")
    unseen = [{**PASSPORT, "verified": False}]
    assert staff_client.save_patient(hospital.desk, pati_id=declared.pati_id, documents=unseen).status == 200


def test_members_of_other_accounts_are_verified_when_the_desk_has_verified_the_file(
    hospital: Hospital, lin: Person, declared: Declared, number: str, run_jobs: Callable[[], None]
) -> None:
    """They were added before; the phone that the patient confirms is their account's."""
    earlier = declare(lin, number)
    run_jobs()
    assert verify_patient(hospital.desk, declared.pati_id, pati_phone=lin.phone).status == 200
    run_jobs()
    assert get_file(earlier.pati_id)["merged_into"] == declared.pati_id


def test_document_that_was_left_behind_in_a_row_of_merges_comes_back(
    hospital: Hospital, verified: int, declared: Declared, lin: Person, number: str
) -> None:
    between = declare(lin, number)
    merge_id = merge_patients(hospital.desk, declared.pati_id, between.pati_id).data["merge_id"]
    verify_patient(hospital.desk, between.pati_id)
    split_patients(hospital.desk, merge_id)
    assert get_file(between.pati_id)["merged_into"] == verified
    assert list_documents(hospital, declared.pati_id) == [("99", False), ("03", False)]


def test_split_takes_the_guardian_of_no_other_file(hospital: Hospital, verified: int, declared: Declared) -> None:
    """Files 1 → 2 → 3: the guardian of 1 stayed with 2, because 3 has another."""

    def save_guardian(pati_id: int, name: str) -> None:
        guardian = Guardian(name=name, id_type=IdType.PASSPORT, number="E7654321", phone="13800000009", cont_relation=3)
        mysql.run_transaction(lambda tx: guardians.save(tx, hospital.tenant_id, pati_id, guardian, None))

    between = int(staff_client.create_patient_file(hospital.desk))
    save_guardian(declared.pati_id, "林大山")
    save_guardian(verified, "林大海")
    merge_id = merge_patients(hospital.desk, declared.pati_id, between).data["merge_id"]
    merge_patients(hospital.desk, between, verified)
    split_patients(hospital.desk, merge_id)
    found = {row["pati_id"]: row["name"] for row in list_rows("guardians", hospital)}
    assert found == {declared.pati_id: "林大山", verified: "林大海"}


def test_file_that_owns_nothing_after_a_split_is_not_verified(
    hospital: Hospital, verified: int, declared: Declared
) -> None:
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    mysql.autocommit.execute("DELETE FROM patient_documents WHERE pati_id = %(id)s AND id_type <> '03'", id=verified)
    split_patients(hospital.desk, merge_id)
    assert (get_file(verified)["status"], list_owners(hospital)) == (PatientStatus.DECLARED, [])


def test_bookings_of_a_file_that_loses_its_verification_count_against_the_account(
    hospital: Hospital, department: BookingDepartment, lin: Person, number: str
) -> None:
    declared = declare(lin, number)
    verify_patient(hospital.desk, declared.pati_id)
    department.book_slot(declared.person, department.create_schedule())
    assert [row["is_declared"] for row in list_rows("bookings", hospital)] == [0]
    form: dict[str, Any] = {"pati_id": declared.pati_id, "pati_id_number": "", "reason": "证件登记错误"}
    for _ in range(2):  # a double click
        assert staff_client.save_patient(hospital.desk, **form).status == 200
    assert get_file(declared.pati_id)["status"] == PatientStatus.DECLARED
    assert [row["is_declared"] for row in list_rows("bookings", hospital)] == [1]
