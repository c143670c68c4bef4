"""Patient files: one for each person in a hospital."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from threading import Barrier

import pytest

from chalicelib.adapters import mysql
from chalicelib.errors import CONFLICT, NOT_FOUND, ApiError, ErrorKind
from chalicelib.people import patients
from chalicelib.people.patients import PatientDetails
from tests.support.factories import Hospital
from tests.support.id_numbers import build_unused_id_number

pytestmark = pytest.mark.store

NUMBER = build_unused_id_number()


def build_details(tenant_id: int, number: str = NUMBER, name: str = "林小雨") -> PatientDetails:
    id_number = patients.build_id_number(tenant_id, number) if number else None
    return PatientDetails(name=name, gender=2, birthday=date(1990, 5, 17), phone="13800000001", id_number=id_number)


def get_or_create(tenant_id: int, details: PatientDetails, by: int = 1, key: str | None = None) -> int:
    return mysql.run_transaction(lambda tx: patients.get_or_create(tx, tenant_id, details, by, key))


def read(tenant_id: int, pati_id: int) -> patients.Patient:
    return patients.get(mysql.autocommit, tenant_id, pati_id)


def raises_api_error(kind: ErrorKind) -> "pytest.RaisesExc[ApiError]":
    return pytest.RaisesExc(ApiError, check=lambda error: error.kind is kind)


def test_file_has_the_details_and_its_number_can_be_decrypted(hospital: Hospital) -> None:
    pati_id = get_or_create(
        hospital.tenant_id, replace(build_details(hospital.tenant_id), province="北京市", cont_relation=2)
    )
    patient = read(hospital.tenant_id, pati_id)
    assert (patient.name, patient.gender, patient.birthday) == ("林小雨", 2, date(1990, 5, 17))
    assert (patient.province, patient.cont_relation, patient.photo_key, patient.trea_id) == ("北京市", 2, "", None)
    assert (patient.id_type, patients.get_id_number(patient)) == ("99", NUMBER)


def test_number_is_not_stored_in_plain_text(hospital: Hospital) -> None:
    pati_id = get_or_create(hospital.tenant_id, build_details(hospital.tenant_id))
    row = mysql.autocommit.fetch_one("SELECT * FROM patients WHERE pati_id = %(id)s", id=pati_id)
    assert row
    assert NUMBER not in str(row)
    assert NUMBER.encode() not in row["id_sealed"]


def test_same_number_is_the_same_file(hospital: Hospital) -> None:
    assert get_or_create(hospital.tenant_id, build_details(hospital.tenant_id)) == get_or_create(
        hospital.tenant_id, build_details(hospital.tenant_id), by=2
    )


def test_types_01_and_99_are_the_same(hospital: Hospital) -> None:
    first = get_or_create(hospital.tenant_id, build_details(hospital.tenant_id))
    older = replace(
        build_details(hospital.tenant_id), id_number=patients.build_id_number(hospital.tenant_id, NUMBER, "01")
    )
    assert get_or_create(hospital.tenant_id, older) == first


def test_same_number_with_another_name_is_a_conflict(hospital: Hospital) -> None:
    get_or_create(hospital.tenant_id, build_details(hospital.tenant_id))
    with raises_api_error(CONFLICT):
        get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, name="林大雨"))


def test_other_hospital_has_a_separate_file(hospital: Hospital, other_hospital: Hospital) -> None:
    own, other = (get_or_create(one.tenant_id, build_details(one.tenant_id)) for one in (hospital, other_hospital))
    assert own != other
    with raises_api_error(NOT_FOUND):
        read(other_hospital.tenant_id, own)
    with raises_api_error(NOT_FOUND):
        mysql.run_transaction(
            lambda tx: patients.update(
                tx, other_hospital.tenant_id, own, build_details(other_hospital.tenant_id, build_unused_id_number())
            )
        )


def test_files_without_a_number_are_separate(hospital: Hospital) -> None:
    first, second = (get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, "")) for _ in range(2))
    assert first != second
    assert patients.get_id_number(read(hospital.tenant_id, first)) == ""


@pytest.mark.parametrize("round_number", range(3))
def test_concurrent_requests_create_one_file(hospital: Hospital, round_number: int) -> None:
    details, barrier = build_details(hospital.tenant_id, build_unused_id_number()), Barrier(8)

    def create(by: int) -> int:
        barrier.wait()
        return get_or_create(hospital.tenant_id, details, by + round_number)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(create, range(8)))) == 1


def test_idempotency_key_cannot_be_used_twice(hospital: Hospital) -> None:
    get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, ""), 1, "k")
    with pytest.raises(mysql.DuplicateKeyError) as duplicate:
        get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, ""), 1, "k")
    assert duplicate.value.key == "idempotency_key"
    get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, ""), 2, "k")


def test_update_encrypts_the_new_number(hospital: Hospital) -> None:
    pati_id, other = get_or_create(hospital.tenant_id, build_details(hospital.tenant_id)), build_unused_id_number()
    mysql.run_transaction(
        lambda tx: patients.update(tx, hospital.tenant_id, pati_id, build_details(hospital.tenant_id, other, "林晓雨"))
    )
    patient = read(hospital.tenant_id, pati_id)
    assert (patient.name, patients.get_id_number(patient)) == ("林晓雨", other)
    mysql.run_transaction(
        lambda tx: patients.update(tx, hospital.tenant_id, pati_id, build_details(hospital.tenant_id, ""))
    )
    assert patients.get_id_number(read(hospital.tenant_id, pati_id)) == ""


def test_update_to_the_number_of_another_file_is_a_conflict(hospital: Hospital) -> None:
    get_or_create(hospital.tenant_id, build_details(hospital.tenant_id))
    other = get_or_create(hospital.tenant_id, build_details(hospital.tenant_id, build_unused_id_number(), "王小雨"))
    with raises_api_error(CONFLICT):
        mysql.run_transaction(
            lambda tx: patients.update(tx, hospital.tenant_id, other, build_details(hospital.tenant_id))
        )


def test_latest_visit_is_stored(hospital: Hospital) -> None:
    pati_id = get_or_create(hospital.tenant_id, build_details(hospital.tenant_id))
    mysql.run_transaction(lambda tx: patients.set_latest_visit(tx, hospital.tenant_id, pati_id, 77))
    assert read(hospital.tenant_id, pati_id).trea_id == 77
