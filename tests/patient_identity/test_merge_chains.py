"""Merges in a row, A into B and B into C: what each file gets back, whichever is split first."""

from itertools import pairwise
from typing import Any

import pytest

from chalicelib.adapters import mysql
from tests.patient_identity.test_merging import read_state
from tests.support import consult_client, front_desk_client, staff_client
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    merge_patients,
    split_patients,
    verify_member,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.staff_client import build_label_list, create_label, create_patient_file, save_patient

pytestmark = pytest.mark.store
Files = tuple[int, int, int]


@pytest.fixture
def files(hospital: Hospital) -> Files:
    """Three files without documents: A, B and C."""
    first, second, third = (int(create_patient_file(hospital.desk, pati_name=f"林小雨{name}")) for name in "ABC")
    return first, second, third


def merge_in_a_row(hospital: Hospital, files: Files) -> tuple[str, str]:
    """Merge A into B and B into C; return the ids of the merges."""
    first, second = (merge_patients(hospital.desk, *pair).data["merge_id"] for pair in pairwise(files))
    return first, second


def set_labels(hospital: Hospital, pati_id: int, *labels: Any, group: Any = "") -> None:
    labelled = save_patient(hospital.desk, pati_id=pati_id, list=build_label_list(*labels), pati_group_id=group)
    assert labelled.status == 200


def list_labels(hospital: Hospital) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for row in list_rows("adm_pati_label_rela", hospital):
        found.setdefault(row["pati_id"], set()).add(str(row["label_id"]))
    return found


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_labels_that_each_file_had_itself(hospital: Hospital, files: Files, order: tuple[int, int]) -> None:
    shared, own = (create_label(hospital.desk, name) for name in ("高血压", "哮喘"))
    groups = [create_label(hospital.desk, name, 1) for name in ("慢病", "术后")]
    set_labels(hospital, files[0], shared, own, group=groups[0])
    set_labels(hospital, files[2], shared, group=groups[1])
    before, counts = list_labels(hospital), list_rows("adm_group_label", hospital)
    merges = merge_in_a_row(hospital, files)
    assert list_labels(hospital) == {files[2]: {shared, own, groups[1]}}
    for one in order:
        assert split_patients(hospital.desk, merges[one]).status == 200
    assert list_labels(hospital) == before
    assert list_rows("adm_group_label", hospital) == counts


def test_label_that_was_removed_between_the_merges_is_not_taken_from_the_last_file(
    hospital: Hospital, files: Files
) -> None:
    label = create_label(hospital.desk, "高血压")
    for pati_id in (files[0], files[2]):
        set_labels(hospital, pati_id, label)
    first = merge_patients(hospital.desk, *files[:2]).data["merge_id"]
    set_labels(hospital, files[1])
    merge_patients(hospital.desk, *files[1:])
    split_patients(hospital.desk, first)
    assert list_labels(hospital) == {files[2]: {label}}


def test_file_that_was_merged_again_keeps_what_it_has(hospital: Hospital, lin: Person) -> None:
    """A was split from the row and then merged into C itself: what B takes back is B's."""
    numbers = [build_unused_id_number() for _ in range(3)]
    first, second, third = (declare(lin, number, name=f"林小雨{number[-3:]}") for number in numbers)
    set_labels(hospital, first.pati_id, create_label(hospital.desk, "高血压"))
    ids: Files = (first.pati_id, second.pati_id, third.pati_id)
    merges = merge_in_a_row(hospital, ids)
    split_patients(hospital.desk, merges[0])
    merge_patients(hospital.desk, first.pati_id, third.pati_id)
    before = read_state(hospital)
    split_patients(hospital.desk, merges[1])
    for table in ("patient_documents", "adm_pati_label_rela", "members"):
        changed = {tuple(row.values()) for row in before[table]} ^ {
            tuple(row.values()) for row in read_state(hospital)[table]
        }
        assert all(row[0] in (second.person.member_id, *list_document_ids(ids[1])) for row in changed), table
    assert find_pati_id(second.person.member_id) == second.pati_id


def list_document_ids(pati_id: int) -> list[int]:
    sql = "SELECT document_id FROM patient_documents WHERE pati_id = %(id)s"
    return [row["document_id"] for row in mysql.autocommit.fetch_all(sql, id=pati_id)]


@pytest.fixture
def card_of_first(hospital: Hospital) -> tuple[str, int, str]:
    """The card of A, the pati_id of C and the number of its document, after A was merged into B and B into C."""
    numbers = [build_unused_id_number() for _ in range(3)]
    first, second, third = (file_patient(hospital.desk, number) for number in numbers)
    card_no = get_file(first)["card_no"]
    merge_in_a_row(hospital, (first, second, third))
    return card_no, third, numbers[2]


def test_card_of_the_first_file_verifies_a_member_of_the_last(
    card_of_first: tuple[str, int, str], wang: Person
) -> None:
    card_no, last, number = card_of_first
    declared = declare(wang, number)
    assert verify_member(wang, declared.person.member_id, cardNo=card_no).status == 200
    assert find_pati_id(declared.person.member_id) == last


def test_card_of_the_first_file_finds_the_last(
    hospital: Hospital, other_hospital: Hospital, card_of_first: tuple[str, int, str]
) -> None:
    card_no, last, _ = card_of_first

    def find(desk: Person, **query: Any) -> list[str]:
        return [one["pati_id"] for one in staff_client.search_patients(desk, card_no=card_no, **query).data["list"]]

    assert find(hospital.desk) == find(hospital.desk, pati_id=last) == [str(last)]
    assert find(hospital.desk, pati_id=create_patient_file(hospital.desk, pati_name="王强")) == []
    assert find(other_hospital.desk) == []


def test_each_file_has_a_primary_document_after_a_split(hospital: Hospital, lin: Person) -> None:
    """The first document of B was A's; B got one of its own meanwhile."""
    declared = declare(lin, build_unused_id_number())
    other = int(create_patient_file(hospital.desk))
    merge_id = merge_patients(hospital.desk, declared.pati_id, other).data["merge_id"]
    passport: dict[str, Any] = {"documents": [{"id_type": "03", "id_number": "E12345678"}]}
    assert save_patient(hospital.desk, pati_id=other, **passport).status == 200
    split_patients(hospital.desk, merge_id)
    primary = {row["pati_id"]: row["is_primary"] for row in list_rows("patient_documents", hospital)}
    assert primary == {declared.pati_id: 1, other: 1}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_file_whose_primary_document_was_moved_and_another_one_was_not(
    hospital: Hospital, lin: Person, wang: Person, order: tuple[int, int]
) -> None:
    """B's passport, which nobody has seen, stays with B, when C gets its primary document."""
    number = build_unused_id_number()
    first, second = declare(wang, build_unused_id_number()), declare(lin, number)
    passport = {"id_type": "03", "id_number": "E7654321", "verified": False}
    saved = save_patient(hospital.desk, pati_id=second.pati_id, pati_id_number=number, documents=[passport])
    assert saved.status == 200
    file_patient(hospital.desk, number, pati_id_type="02")
    before = list_rows("patient_documents", hospital)
    merges = [merge_patients(hospital.desk, first.pati_id, second.pati_id).data["merge_id"]]
    merges.append(front_desk_client.verify_patient(hospital.desk, second.pati_id).data["merge_id"])
    for one in order:
        assert split_patients(hospital.desk, merges[one]).status == 200
    assert list_rows("patient_documents", hospital) == before


def list_bookings(hospital: Hospital) -> list[tuple[int, int]]:
    return [(row["pati_id"], row["member_id"]) for row in list_rows("bookings", hospital)]


def give_history(hospital: Hospital, department: BookingDepartment, declared: Declared, day: int) -> None:
    """Let a member have a booking to come, and consultations with both doctors."""
    department.book_slot(declared.person, department.create_schedule(date=get_iso_date(day)))
    for doctor in (hospital.chen, hospital.zhou):
        consult_client.create_session(declared.person, doctor)


def drop_defaults(state: dict[str, Any]) -> dict[str, Any]:
    for row in state["members"]:
        del row["is_default"]  # which member is the default one is not restored
    return state


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("with_second", [True, False])
def test_members_of_one_account_in_all_files(
    hospital: Hospital,
    department: BookingDepartment,
    lin: Person,
    order: tuple[int, int],
    with_second: bool,
) -> None:
    """The account's member of A is replaced by that of B, or only later by that of C."""
    first, third = (declare(lin, build_unused_id_number()) for _ in range(2))
    second = declare(lin, build_unused_id_number()).pati_id if with_second else int(create_patient_file(hospital.desk))
    give_history(hospital, department, first, 1)
    consult_client.create_session(third.person, hospital.chen)
    before = drop_defaults(read_state(hospital))
    merges = merge_in_a_row(hospital, (first.pati_id, second, third.pati_id))
    assert list_bookings(hospital) == [(third.pati_id, third.person.member_id)]
    for one in order:
        assert split_patients(hospital.desk, merges[one]).status == 200
    assert drop_defaults(read_state(hospital)) == before


def test_booking_that_stays_holds_its_half_day_again(
    hospital: Hospital, department: BookingDepartment, lin: Person, wang: Person
) -> None:
    """It clashed with a booking that has left with its member; otherwise two requests could book beside it."""
    number = build_unused_id_number()
    verified, declared = declare(lin, number), declare(wang, number)
    front_desk_client.verify_patient(hospital.desk, verified.pati_id)
    mornings = [department.create_schedule(), department.create_schedule(doctor_id=hospital.zhou.user_id)]
    department.book_slot(declared.person, mornings[0])
    department.book_slot(verified.person, mornings[1])
    target = int(create_patient_file(hospital.desk, pati_id_number=build_unused_id_number()))
    merges = [merge_patients(hospital.desk, one.pati_id, target).data["merge_id"] for one in (declared, verified)]
    assert [row["person_live"] for row in list_rows("bookings", hospital)] == [1, None]
    split_patients(hospital.desk, merges[0])
    bookings = [(row["pati_id"], row["person_live"]) for row in list_rows("bookings", hospital)]
    assert bookings == [(declared.pati_id, 1), (target, 1)]


def test_splitting_is_repeated_without_effect(hospital: Hospital, files: Files) -> None:
    merges = merge_in_a_row(hospital, files)
    responses: list[ApiResponse] = [split_patients(hospital.desk, merges[0]) for _ in range(2)]
    assert responses[0].data == responses[1].data
    assert get_file(files[1])["merged_into"] == files[2]
