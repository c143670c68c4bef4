"""Which patients are a doctor's own, and what finding out costs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing.bookings import BookingStatus
from chalicelib.people import doctor_patients
from tests.support import booking_client, consult_client, factories
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital, Person
from tests.support.row_reads import count_rows_read

pytestmark = pytest.mark.store


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return booking_client.create_department(hospital)


def get_pati_id(patient: Person) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=patient.member_id))


def is_own(doctor: Person, pati_id: int) -> bool:
    """Return whether both forms of the condition agree that it is."""
    listed = mysql.autocommit.fetch_all(
        doctor_patients.LIST_SQL, **doctor_patients.build_params(doctor.tenant_id, doctor.user_id)
    )
    found = doctor_patients.is_own(mysql.autocommit, doctor.tenant_id, doctor.user_id, pati_id)
    assert found == (pati_id in {row["pati_id"] for row in listed})
    return found


def move_to_department(doctor: Person, dept_id: int) -> None:
    sql = "UPDATE doctors SET dept_id = %(dept_id)s WHERE user_id = %(id)s"
    mysql.autocommit.execute(sql, dept_id=dept_id, id=doctor.user_id)


def test_patient_of_a_session_is_own(hospital: Hospital, department: BookingDepartment) -> None:
    assert not is_own(hospital.chen, get_pati_id(hospital.lin))
    consult_client.create_session(hospital.lin, hospital.chen)
    assert is_own(hospital.chen, get_pati_id(hospital.lin))
    assert not is_own(hospital.zhou, get_pati_id(hospital.lin))
    assert not is_own(hospital.chen, get_pati_id(hospital.wang))
    assert department.hospital is hospital


def test_patient_of_a_booking_is_own_until_it_is_cancelled(hospital: Hospital, department: BookingDepartment) -> None:
    book_id = department.book_slot(hospital.lin, department.create_schedule())
    assert [is_own(one, get_pati_id(hospital.lin)) for one in (hospital.chen, hospital.zhou)] == [True, False]
    booking_client.set_status(book_id, BookingStatus.MISSED)
    assert is_own(hospital.chen, get_pati_id(hospital.lin))
    booking_client.set_status(book_id, BookingStatus.BOOKED)
    assert department.cancel(hospital.lin, book_id).status == 200
    assert not is_own(hospital.chen, get_pati_id(hospital.lin))


def test_patients_of_the_departments_general_clinic_are_own_on_the_day(
    hospital: Hospital, department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = booking_client.create_department(hospital, "外科")
    department.book_slot(hospital.lin, department.create_schedule(doctor_id=None, date=booking_client.get_iso_date(1)))
    pati_id = get_pati_id(hospital.lin)
    assert not is_own(hospital.chen, pati_id)
    move_to_department(hospital.chen, department.dept_id)
    move_to_department(hospital.zhou, elsewhere.dept_id)
    assert not is_own(hospital.chen, pati_id), "it is not of today"
    for ahead, expected in ((1, True), (2, False)):
        with monkeypatch.context() as patch:
            booking_client.freeze_clock(patch, "12:00", ahead)
            assert [is_own(one, pati_id) for one in (hospital.chen, hospital.zhou)] == [expected, False]


def test_file_that_the_doctor_has_created_is_own_on_the_day(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    pati_id = factories.create_patient_file(hospital.lin)
    by = "UPDATE patients SET created_by = %(doctor_id)s WHERE pati_id = %(id)s"
    mysql.autocommit.execute(by, doctor_id=hospital.chen.user_id, id=pati_id)
    assert [is_own(one, pati_id) for one in (hospital.chen, hospital.zhou)] == [True, False]
    tomorrow = clock.now() + clock.DAY
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    assert not is_own(hospital.chen, pati_id)


def test_no_patient_of_another_hospital_is_own(other_hospital: Hospital, department: BookingDepartment) -> None:
    hospital = department.hospital
    consult_client.create_session(hospital.lin, hospital.chen)
    department.book_slot(hospital.lin, department.create_schedule())
    stranger = doctor_patients.is_own(
        mysql.autocommit, other_hospital.tenant_id, hospital.chen.user_id, get_pati_id(hospital.lin)
    )
    assert not stranger


def fill(department: BookingDepartment) -> list[Person]:
    """Create patients, each with a session and a booking with Doctor Zhou."""
    move_to_department(department.hospital.chen, department.dept_id)
    schedule = department.create_schedule(doctor_id=department.hospital.zhou.user_id, slots=60)
    patients = [booking_client.create_patient(department, number) for number in range(40)]
    for number, one in enumerate(patients, 1):
        consult_client.create_session(one, department.hospital.zhou)
        department.book_slot(one, schedule, number)
    return patients


def check_file(doctor: Person, patient: Person) -> Callable[[Tx], bool]:
    pati_id = get_pati_id(patient)
    return lambda tx: doctor_patients.is_own(tx, doctor.tenant_id, doctor.user_id, pati_id)


def check_account(doctor: Person, patient: Person) -> Callable[[Tx], bool]:
    user_ids = [patient.user_id]
    return lambda tx: bool(doctor_patients.list_own_account_ids(tx, doctor.tenant_id, doctor.user_id, user_ids))


@pytest.mark.parametrize("build_check", [check_file, check_account])
def test_the_condition_is_one_query_by_indexes(
    department: BookingDepartment,
    build_check: Callable[[Person, Person], Callable[[Tx], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No table is read as a whole, and what is read does not grow with the doctor's or the hospital's patients."""
    patient = fill(department)[-1]
    for doctor, expected in ((department.hospital.chen, False), (department.hospital.zhou, True)):
        check = build_check(doctor, patient)
        assert mysql.run_autocommit(partial(count, check)) == (expected, True)
        assert [row for row in explain(check, monkeypatch) if row["type"] in ("ALL", "index")] == []


def count(check: Callable[[Tx], bool], tx: Tx) -> tuple[bool, bool]:
    """Return the result, and whether few rows were read for it."""
    found, read = count_rows_read(tx, lambda: check(tx))
    return found, read <= 20


def explain(query: Callable[[Tx], Any], monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """Return the plan of the single statement that a query sends."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def record(_: Tx, sql: str, **params: Any) -> list[Row]:
        sent.append((sql, params))
        return []

    with monkeypatch.context() as patch:
        patch.setattr(Tx, "fetch_all", record)
        patch.setattr(Tx, "fetch_value", record)
        mysql.run_autocommit(query)
    [(sql, params)] = sent
    return mysql.run_autocommit(lambda tx: tx.fetch_all(f"EXPLAIN FORMAT=TRADITIONAL {sql}", **params))
