"""A hospital has one file for each person."""

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


def lin(tenant_id: int, number: str = NUMBER, name: str = "林小雨") -> PatientDetails:
    known = patients.build_id_number(tenant_id, number) if number else None
    return PatientDetails(name=name, gender=2, birthday=date(1990, 5, 17), phone="13800000001", id_number=known)


def filed(tenant_id: int, details: PatientDetails, by: int = 1, key: str | None = None) -> int:
    return mysql.run_transaction(lambda tx: patients.get_or_create(tx, tenant_id, details, by, key))


def read(tenant_id: int, pati_id: int) -> patients.Patient:
    return patients.get(mysql.autocommit, tenant_id, pati_id)


def refused(kind: ErrorKind) -> "pytest.RaisesExc[ApiError]":
    return pytest.RaisesExc(ApiError, check=lambda error: error.kind is kind)


def test_a_file_says_what_was_filed_and_opens_its_number(hospital: Hospital) -> None:
    pati_id = filed(hospital.tenant_id, replace(lin(hospital.tenant_id), province="北京市", cont_relation=2))
    found = read(hospital.tenant_id, pati_id)
    assert (found.name, found.gender, found.birthday) == ("林小雨", 2, date(1990, 5, 17))
    assert (found.province, found.cont_relation, found.photo_key, found.trea_id) == ("北京市", 2, "", None)
    assert (found.id_type, patients.get_id_number(found)) == ("99", NUMBER)


def test_the_number_itself_is_nowhere_in_the_table(hospital: Hospital) -> None:
    pati_id = filed(hospital.tenant_id, lin(hospital.tenant_id))
    row = mysql.autocommit.fetch_one("SELECT * FROM patients WHERE pati_id = %(id)s", id=pati_id)
    assert row
    assert NUMBER not in str(row)
    assert NUMBER.encode() not in row["id_sealed"]


def test_the_same_number_is_the_same_person(hospital: Hospital) -> None:
    assert filed(hospital.tenant_id, lin(hospital.tenant_id)) == filed(
        hospital.tenant_id, lin(hospital.tenant_id), by=2
    )


def test_01_and_99_are_one_kind_of_document(hospital: Hospital) -> None:
    first = filed(hospital.tenant_id, lin(hospital.tenant_id))
    older = replace(lin(hospital.tenant_id), id_number=patients.build_id_number(hospital.tenant_id, NUMBER, "01"))
    assert filed(hospital.tenant_id, older) == first


def test_the_same_number_under_another_name_is_a_conflict(hospital: Hospital) -> None:
    filed(hospital.tenant_id, lin(hospital.tenant_id))
    with refused(CONFLICT):
        filed(hospital.tenant_id, lin(hospital.tenant_id, name="林大雨"))


def test_another_hospital_has_a_file_of_its_own(hospital: Hospital, other_hospital: Hospital) -> None:
    here, there = (filed(one.tenant_id, lin(one.tenant_id)) for one in (hospital, other_hospital))
    assert here != there
    with refused(NOT_FOUND):
        read(other_hospital.tenant_id, here)
    with refused(NOT_FOUND):
        mysql.run_transaction(
            lambda tx: patients.update(
                tx, other_hospital.tenant_id, here, lin(other_hospital.tenant_id, build_unused_id_number())
            )
        )


def test_people_without_a_number_are_not_taken_for_each_other(hospital: Hospital) -> None:
    first, second = (filed(hospital.tenant_id, lin(hospital.tenant_id, "")) for _ in range(2))
    assert first != second
    assert patients.get_id_number(read(hospital.tenant_id, first)) == ""


@pytest.mark.parametrize("side_by_side", range(3))
def test_filed_by_eight_at_once_it_is_one_file(hospital: Hospital, side_by_side: int) -> None:
    details, start = lin(hospital.tenant_id, build_unused_id_number()), Barrier(8)

    def file(by: int) -> int:
        start.wait()
        return filed(hospital.tenant_id, details, by + side_by_side)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(file, range(8)))) == 1


def test_an_idempotency_key_is_refused_twice_even_without_a_number(hospital: Hospital) -> None:
    filed(hospital.tenant_id, lin(hospital.tenant_id, ""), 1, "k")
    with pytest.raises(mysql.DuplicateKeyError) as duplicate:
        filed(hospital.tenant_id, lin(hospital.tenant_id, ""), 1, "k")
    assert duplicate.value.key == "idempotency_key"
    filed(hospital.tenant_id, lin(hospital.tenant_id, ""), 2, "k")


def test_a_file_that_is_changed_seals_its_new_number(hospital: Hospital) -> None:
    pati_id, other = filed(hospital.tenant_id, lin(hospital.tenant_id)), build_unused_id_number()
    mysql.run_transaction(
        lambda tx: patients.update(tx, hospital.tenant_id, pati_id, lin(hospital.tenant_id, other, "林晓雨"))
    )
    found = read(hospital.tenant_id, pati_id)
    assert (found.name, patients.get_id_number(found)) == ("林晓雨", other)
    mysql.run_transaction(lambda tx: patients.update(tx, hospital.tenant_id, pati_id, lin(hospital.tenant_id, "")))
    assert patients.get_id_number(read(hospital.tenant_id, pati_id)) == ""


def test_nobody_takes_the_number_of_another_file(hospital: Hospital) -> None:
    filed(hospital.tenant_id, lin(hospital.tenant_id))
    other = filed(hospital.tenant_id, lin(hospital.tenant_id, build_unused_id_number(), "王小雨"))
    with refused(CONFLICT):
        mysql.run_transaction(lambda tx: patients.update(tx, hospital.tenant_id, other, lin(hospital.tenant_id)))


def test_the_latest_visit_is_noted(hospital: Hospital) -> None:
    pati_id = filed(hospital.tenant_id, lin(hospital.tenant_id))
    mysql.run_transaction(lambda tx: patients.set_latest_visit(tx, hospital.tenant_id, pati_id, 77))
    assert read(hospital.tenant_id, pati_id).trea_id == 77
