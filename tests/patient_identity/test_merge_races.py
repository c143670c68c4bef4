"""Merging against merging, splitting, booking and registering at the same time."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib.booking.reservations import booking_store
from chalicelib.patient_identity import merge_records, merging
from chalicelib.people.patient_status import PatientStatus
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    merge_patients,
    split_patients,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.pauses import pause_first_call
from tests.support.staff_client import save_patient
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


@pytest.fixture
def verified(hospital: Hospital, number: str) -> int:
    return file_patient(hospital.desk, number)


@pytest.fixture
def declared(wang: Person, number: str) -> Declared:
    """A self-declared file of the same identity, in Wang's account."""
    return declare(wang, number)


def test_two_desks_merge_the_same_files(hospital: Hospital, verified: int, declared: Declared) -> None:
    with pause_first_call(merge_records, "insert") as pause, ThreadPoolExecutor(2) as pool:
        first = pool.submit(merge_patients, hospital.desk, declared.pati_id, verified)
        pause.wait_until_reached()
        second = pool.submit(merge_patients, hospital.admin, declared.pati_id, verified)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert first.result().data == second.result().data
    assert [len(list_rows(table, hospital)) for table in ("patient_merges", "audit_log")] == [1, 1]


def test_two_desks_merge_two_files_in_opposite_directions(hospital: Hospital, verified: int) -> None:
    other = file_patient(hospital.desk, build_unused_id_number())
    with pause_first_call(merge_records, "insert") as pause, ThreadPoolExecutor(2) as pool:
        first = pool.submit(merge_patients, hospital.desk, other, verified)
        pause.wait_until_reached()
        second = pool.submit(merge_patients, hospital.admin, verified, other)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert first.result().status == 200
        assert (second.result().status, second.result().error) == (409, f"目标档案已并入档案 {verified}")
    assert (get_file(other)["merged_into"], get_file(verified)["merged_into"]) == (verified, None)


def test_many_desks_merge_a_ring_of_files(hospital: Hospital, verified: int) -> None:
    """Whatever the order, the merges lead to one file and never in a circle."""
    files = [verified, *(file_patient(hospital.desk, build_unused_id_number()) for _ in range(2))]
    pairs = list(zip(files, [*files[1:], files[0]], strict=True))
    responses = run_in_threads(partial(merge_patients, hospital.desk, *pair) for pair in pairs * 2)
    assert {one.status for one in responses} == {200, 409}
    merged_into = {one: get_file(one)["merged_into"] for one in files}
    assert list(merged_into.values()).count(None) == 1
    for one in files:
        steps = 0
        while merged_into[one]:
            one, steps = merged_into[one], steps + 1
            assert steps < len(files)


def test_split_and_another_merge_of_the_target(hospital: Hospital, verified: int, declared: Declared) -> None:
    """The split waits for the merge, and then takes back what the target's target has."""
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    third = file_patient(hospital.desk, build_unused_id_number())
    with pause_first_call(merge_records, "insert") as pause, ThreadPoolExecutor(2) as pool:
        merging = pool.submit(merge_patients, hospital.desk, verified, third)
        pause.wait_until_reached()
        splitting = pool.submit(split_patients, hospital.admin, merge_id)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (merging.result().status, splitting.result().status) == (200, 200)
    assert find_pati_id(declared.person.member_id) == declared.pati_id
    assert get_file(declared.pati_id)["status"] == PatientStatus.DECLARED


def test_merge_waits_for_a_booking_in_progress(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared
) -> None:
    schedule_id = department.create_schedule()
    with pause_first_call(booking_store, "insert") as pause, ThreadPoolExecutor(2) as pool:
        booking = pool.submit(department.submit, declared.person, schedule_id)
        pause.wait_until_reached()
        merging = pool.submit(merge_patients, hospital.desk, declared.pati_id, verified)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (booking.result().status, merging.result().status) == (200, 200)
    [row] = list_rows("bookings", hospital)
    assert (row["pati_id"], row["is_declared"]) == (verified, 0)


def test_booking_that_waits_for_a_merge_is_made_for_the_merged_file(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared
) -> None:
    schedule_id = department.create_schedule()
    with pause_first_call(merge_records, "insert") as pause, ThreadPoolExecutor(2) as pool:
        merging = pool.submit(merge_patients, hospital.desk, declared.pati_id, verified)
        pause.wait_until_reached()
        booking = pool.submit(department.submit, declared.person, schedule_id)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (merging.result().status, booking.result().status) == (200, 200)
    [row] = list_rows("bookings", hospital)
    assert (row["pati_id"], row["is_declared"]) == (verified, 0)


def test_booking_that_waits_for_a_split_is_made_for_the_own_file(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared
) -> None:
    schedule_id = department.create_schedule()
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    with pause_first_call(merge_records, "mark_split") as pause, ThreadPoolExecutor(2) as pool:
        splitting = pool.submit(split_patients, hospital.desk, merge_id)
        pause.wait_until_reached()
        booking = pool.submit(department.submit, declared.person, schedule_id)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (splitting.result().status, booking.result().status) == (200, 200)
    [row] = list_rows("bookings", hospital)
    assert (row["pati_id"], row["is_declared"]) == (declared.pati_id, 1)


@pytest.mark.parametrize("document_checked", [False, True])
def test_registration_that_waits_for_a_merge_is_a_visit_of_the_merged_file(
    hospital: Hospital,
    department: BookingDepartment,
    verified: int,
    declared: Declared,
    monkeypatch: pytest.MonkeyPatch,
    document_checked: bool,
) -> None:
    freeze_clock(monkeypatch, "07:00")
    book_id = department.book_slot(declared.person, department.create_schedule(date=get_iso_date(0)))
    with pause_first_call(merge_records, "insert") as pause, ThreadPoolExecutor(2) as pool:
        merging = pool.submit(merge_patients, hospital.desk, declared.pati_id, verified)
        pause.wait_until_reached()
        registering = pool.submit(department.register, book_id=book_id, document_checked=document_checked)
        wait_until(is_row_lock_waiting)
        pause.end()
        assert (merging.result().status, registering.result().status) == (200, 200)
    assert get_file(verified)["trea_id"] == int(book_id)
    assert get_file(declared.pati_id)["trea_id"] is None


def test_two_desks_verify_two_files_of_one_identity(hospital: Hospital, lin: Person, wang: Person, number: str) -> None:
    """One of them is the verified file; the other is merged into it."""
    files = [declare(person, number).pati_id for person in (lin, wang)]
    responses = run_in_threads(partial(verify_patient, hospital.desk, one) for one in files)
    assert [one.status for one in responses] == [200, 200]
    assert len({one.data["pati_id"] for one in responses}) == 1
    assert sorted(get_file(one)["status"] for one in files) == [PatientStatus.MERGED, PatientStatus.VERIFIED]
    assert len(list_rows("patient_identities", hospital)) == 1


@pytest.mark.parametrize("changed", ["number", "name"])
def test_file_that_is_saved_before_it_is_locked_is_verified_as_it_is_then(
    hospital: Hospital, wang: Person, number: str, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """The identity that it had is not its own any more, and is left to its real owner."""
    declared, other = declare(wang, number), build_unused_id_number()
    form: dict[str, Any] = {"number": {"pati_id_number": other}, "name": {"pati_name": "王真主"}}[changed]
    real, saved = merging.lock_files, list[int]()

    def save_first(*args: Any) -> Any:
        if not saved:
            saved.append(
                save_patient(hospital.desk, pati_id=declared.pati_id, **{"pati_id_number": number, **form}).status
            )
        return real(*args)

    owner = file_patient(hospital.desk, number, pati_name="王真主") if changed == "name" else None
    monkeypatch.setattr(merging, "lock_files", save_first)
    verified = verify_patient(hospital.desk, declared.pati_id)
    assert saved == [200]
    if owner:
        assert verified.data["pati_id"] == str(owner), "the file that has the name now"
    else:
        assert verified.data["pati_id"] == str(declared.pati_id)
        assert file_patient(hospital.desk, number) != declared.pati_id
