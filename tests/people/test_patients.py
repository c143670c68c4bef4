"""Patient files: declared ones, of which there may be many for a person, and verified ones, of which there is one."""

import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from threading import Barrier

import pytest

from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.errors import NOT_FOUND, ApiError, ErrorKind
from chalicelib.people import documents, patient_documents, patients
from chalicelib.people.documents import Document, IdType
from chalicelib.people.patient_status import PatientStatus, VerificationMethod
from chalicelib.people.patients import PatientDetails
from tests.support.factories import Hospital
from tests.support.id_numbers import build_unused_id_number

pytestmark = pytest.mark.store

NUMBER = build_unused_id_number()
DETAILS = PatientDetails(name="林小雨", gender=2, birthday=date(1990, 5, 17), phone="13800000001")
FRONT_DESK = VerificationMethod.FRONT_DESK


@pytest.fixture(autouse=True)
def _load_keys() -> None:
    field_encryption.preload_keys()


def build_card(tenant_id: int, number: str = NUMBER) -> Document:
    return documents.build_document(tenant_id, IdType.RESIDENT_CARD, number)


def insert_declared(hospital: Hospital, number: str = NUMBER, by: int = 1, key: str | None = None) -> int:
    tenant_id = hospital.tenant_id
    document = build_card(tenant_id, number) if number else None
    return mysql.run_transaction(
        lambda tx: patients.insert_declared(tx, tenant_id, DETAILS, document, by, idempotency_key=key)
    )


def insert_verified(hospital: Hospital, number: str = NUMBER) -> int:
    tenant_id, document = hospital.tenant_id, build_card(hospital.tenant_id, number)
    return mysql.run_transaction(lambda tx: patients.insert_verified(tx, tenant_id, DETAILS, document, 1))


def read(hospital: Hospital, pati_id: int) -> patients.Patient:
    return patients.get(mysql.autocommit, hospital.tenant_id, pati_id)


def raises_api_error(kind: ErrorKind) -> "pytest.RaisesExc[ApiError]":
    return pytest.RaisesExc(ApiError, check=lambda error: error.kind is kind)


def raises_duplicate(key: str) -> "pytest.RaisesExc[mysql.DuplicateKeyError]":
    return pytest.RaisesExc(mysql.DuplicateKeyError, check=lambda error: error.key == key)


def test_file_has_its_details(hospital: Hospital) -> None:
    details = replace(DETAILS, province="北京市", cont_relation=2, cont_name="王强", cont_phone="+85291234567")
    pati_id = mysql.run_transaction(lambda tx: patients.insert_declared(tx, hospital.tenant_id, details, None, 1))
    patient = read(hospital, pati_id)
    assert patients.get_details(patient) == details
    assert (patient.status, patient.card_no, patient.photo_key, patient.trea_id) == ("declared", None, "", None)


def test_phones_and_numbers_are_not_stored_in_plain_text(hospital: Hospital) -> None:
    details = replace(DETAILS, cont_phone="13800000002")
    document = build_card(hospital.tenant_id)
    pati_id = mysql.run_transaction(lambda tx: patients.insert_declared(tx, hospital.tenant_id, details, document, 1))
    rows = [
        mysql.autocommit.fetch_one(f"SELECT * FROM {table} WHERE pati_id = %(id)s", id=pati_id)
        for table in ("patients", "patient_documents")
    ]
    values = [value for row in rows if row for value in row.values()]
    texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    assert len(texts) > 20
    for secret in (NUMBER, "13800000001", "13800000002"):
        assert not any(secret.encode() in text for text in texts)


def test_phone_of_the_patient_cannot_be_read_as_the_contacts(hospital: Hospital) -> None:
    patient = read(hospital, insert_declared(hospital))
    with pytest.raises(field_encryption.DecryptionError):
        patients.decrypt_contact_phone(replace(patient, cont_phone_sealed=patient.phone_sealed))


def test_any_number_of_declared_files_claim_one_person(hospital: Hospital) -> None:
    verified = insert_verified(hospital)
    declared = {insert_declared(hospital, by=by) for by in range(3)}
    assert len(declared - {verified}) == 3
    identity = build_card(hospital.tenant_id).identity
    assert patient_documents.find_verified_by_identity(mysql.autocommit, hospital.tenant_id, identity) == verified


def test_verified_file_is_the_only_one_of_its_person(hospital: Hospital, other_hospital: Hospital) -> None:
    first = insert_verified(hospital)
    with raises_duplicate("identity"):
        insert_verified(hospital)
    declared, identity = insert_declared(hospital), build_card(hospital.tenant_id).identity
    with raises_duplicate("identity"):
        mysql.run_transaction(
            lambda tx: patients.mark_verified(tx, hospital.tenant_id, declared, FRONT_DESK, 1, [identity])
        )
    assert read(hospital, declared).status == PatientStatus.DECLARED
    assert insert_verified(other_hospital) != first


def test_verifying_assigns_a_card_number_once(hospital: Hospital) -> None:
    pati_id, identity = insert_declared(hospital), build_card(hospital.tenant_id).identity

    def verify() -> patients.Patient:
        mysql.run_transaction(
            lambda tx: patients.mark_verified(tx, hospital.tenant_id, pati_id, FRONT_DESK, 7, [identity])
        )
        return read(hospital, pati_id)

    patient = verify()
    assert (patient.status, patient.verified_how) == (PatientStatus.VERIFIED, "front_desk")
    assert re.fullmatch("[0-9]{12}", patient.card_no or "")
    assert verify().card_no == patient.card_no


def test_taken_card_number_is_drawn_again(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = iter([5, 5, 6])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(draws))
    numbers = [build_unused_id_number() for _ in range(2)]
    assert [read(hospital, insert_verified(hospital, number)).card_no for number in numbers] == [
        "000000000005",
        "000000000006",
    ]


@pytest.mark.parametrize("_round", range(3))
def test_one_of_concurrent_requests_verifies_a_person(hospital: Hospital, _round: int) -> None:
    number, barrier = build_unused_id_number(), Barrier(8)

    def create(_: int) -> int:
        barrier.wait()
        try:
            return insert_verified(hospital, number)
        except mysql.DuplicateKeyError:
            return 0

    with ThreadPoolExecutor(8) as pool:
        assert sorted(map(bool, pool.map(create, range(8)))) == [False] * 7 + [True]


def test_documents_with_the_same_citizen_number_are_one_identity(hospital: Hospital) -> None:
    pati_id, register = (
        insert_verified(hospital),
        documents.build_document(hospital.tenant_id, IdType.HOUSEHOLD_REGISTER, NUMBER),
    )
    mysql.run_transaction(lambda tx: patient_documents.add(tx, hospital.tenant_id, pati_id, register, 1, claim=True))
    found = patient_documents.list_of_patient(mysql.autocommit, hospital.tenant_id, pati_id)
    assert [(one.id_type, one.is_primary, patient_documents.decrypt_number(one)) for one in found] == [
        ("01", True, NUMBER),
        ("02", False, NUMBER),
    ]
    assert len(patient_documents.list_identities(mysql.autocommit, hospital.tenant_id, pati_id)) == 1


def test_document_of_another_persons_verified_file_cannot_be_claimed(hospital: Hospital) -> None:
    insert_verified(hospital)
    other = insert_verified(hospital, build_unused_id_number())
    with raises_duplicate("identity"):
        mysql.run_transaction(
            lambda tx: patient_documents.add(
                tx, hospital.tenant_id, other, build_card(hospital.tenant_id), 1, claim=True
            )
        )
    assert len(patient_documents.list_of_patient(mysql.autocommit, hospital.tenant_id, other)) == 1


def test_document_is_added_once(hospital: Hospital) -> None:
    pati_id, document = insert_declared(hospital, ""), build_card(hospital.tenant_id)
    added = {
        mysql.run_transaction(lambda tx: patient_documents.add(tx, hospital.tenant_id, pati_id, document, 1))
        for _ in range(2)
    }
    assert len(added) == 1


def test_identities_without_a_document_are_released(hospital: Hospital) -> None:
    pati_id = insert_verified(hospital)
    [document] = patient_documents.list_of_patient(mysql.autocommit, hospital.tenant_id, pati_id)
    patient_documents.delete(mysql.autocommit, hospital.tenant_id, document.document_id)
    assert patient_documents.release_identities(mysql.autocommit, hospital.tenant_id, pati_id) == 0
    assert insert_verified(hospital) != pati_id


def test_number_of_another_document_cannot_be_read(hospital: Hospital) -> None:
    first, second = (
        patient_documents.list_of_patient(mysql.autocommit, hospital.tenant_id, insert_declared(hospital, number))[0]
        for number in (NUMBER, build_unused_id_number())
    )
    with pytest.raises(field_encryption.DecryptionError):
        patient_documents.decrypt_number(replace(first, number_sealed=second.number_sealed))


def test_file_of_another_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    own, other_id = insert_declared(hospital), other_hospital.tenant_id
    with raises_api_error(NOT_FOUND):
        read(other_hospital, own)
    with raises_api_error(NOT_FOUND):
        mysql.run_transaction(lambda tx: patients.update(tx, other_id, own, DETAILS))
    assert patients.find_current_id(mysql.autocommit, other_id, own) is None


def test_idempotency_key_cannot_be_used_twice(hospital: Hospital) -> None:
    insert_declared(hospital, "", 1, "k")
    with raises_duplicate("idempotency_key"):
        insert_declared(hospital, "", 1, "k")
    insert_declared(hospital, "", 2, "k")


def test_update_writes_all_details(hospital: Hospital) -> None:
    pati_id = insert_declared(hospital)
    details = PatientDetails(
        name="Ｌｉｎ·晓雨",
        gender=1,
        birthday=date(1991, 1, 1),
        phone="+85291234567",
        county="朝阳区",
        cont_name="王强",
        cont_relation=3,
        cont_phone="13800000002",
    )
    mysql.run_transaction(lambda tx: patients.update(tx, hospital.tenant_id, pati_id, details))
    assert patients.get_details(read(hospital, pati_id)) == details
    key = "SELECT name_key FROM patients WHERE pati_id = %(id)s"
    assert mysql.autocommit.fetch_value(key, id=pati_id) == "lin晓雨"


def test_merged_file_leads_to_the_one_that_replaces_it(hospital: Hospital) -> None:
    first, second, third = (insert_declared(hospital) for _ in range(3))
    merge = "UPDATE patients SET merged_into = %(target)s WHERE pati_id = %(source)s"
    mysql.autocommit.execute(merge, source=first, target=second)
    mysql.autocommit.execute(merge, source=second, target=third)
    current = [patients.find_current_id(mysql.autocommit, hospital.tenant_id, one) for one in (first, third)]
    assert current == [third, third]


def test_latest_visit_is_stored(hospital: Hospital) -> None:
    pati_id = insert_declared(hospital)
    mysql.run_transaction(lambda tx: patients.set_latest_visit(tx, hospital.tenant_id, pati_id, 77))
    assert read(hospital, pati_id).trea_id == 77
