"""Several files of one account are merged into one, some by mistake: a split leaves the others what is theirs."""

from itertools import permutations
from typing import Any

import pytest

from tests.patient_identity.test_merge_chains import drop_defaults, give_history, list_bookings
from tests.patient_identity.test_merging import read_state
from tests.support import accounts_client, consult_client
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    merge_patients,
    split_patients,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number

pytestmark = pytest.mark.store


@pytest.fixture
def wrong(lin: Person) -> Declared:
    """A member of the account whose file is merged by mistake."""
    return declare(lin, build_unused_id_number())


def merge(hospital: Hospital, source: Declared, target: int) -> str:
    return str(merge_patients(hospital.desk, source.pati_id, target).data["merge_id"])


def read(hospital: Hospital) -> dict[str, Any]:
    return drop_defaults(read_state(hospital))


def test_member_whose_place_was_taken_by_mistake(
    hospital: Hospital, department: BookingDepartment, lin: Person, wrong: Declared, number: str
) -> None:
    """The booking stays on the person's file, and the account keeps its verified member."""
    target, right = file_patient(hospital.desk, number), declare(lin, number)
    give_history(hospital, department, right, 1)
    consult_client.create_session(wrong.person, hospital.chen)
    before = read(hospital)
    first = merge(hospital, wrong, target)
    second = verify_patient(hospital.desk, right.pati_id).data["merge_id"]
    assert list_bookings(hospital) == [(target, wrong.person.member_id)]
    assert split_patients(hospital.desk, first).status == 200
    assert list_bookings(hospital) == [(target, right.person.member_id)]
    assert (find_pati_id(wrong.person.member_id), find_pati_id(right.person.member_id)) == (wrong.pati_id, target)
    verified = {int(one["memberId"]): one["verified"] for one in accounts_client.list_members(lin)}
    assert [verified[one.person.member_id] for one in (wrong, right)] == [False, True]
    sessions = {row["member_id"] for row in read(hospital)["consult_sessions"]}
    assert sessions == {wrong.person.member_id, right.person.member_id}
    assert all(row["archived_at"] is None for row in read(hospital)["conversations"])
    assert split_patients(hospital.desk, second).status == 200
    after = read(hospital)
    assert [after[table] for table in ("members", "consult_sessions", "conversations")] == [
        before[table] for table in ("members", "consult_sessions", "conversations")
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_three_members_of_one_account(
    hospital: Hospital, department: BookingDepartment, lin: Person, wrong: Declared, order: tuple[int, ...]
) -> None:
    """The files are split in any order, and each gets back what it had."""
    target = file_patient(hospital.desk, build_unused_id_number())
    siblings = [wrong, *(declare(lin, build_unused_id_number()) for _ in range(2))]
    for day, one in enumerate(siblings, 1):
        verify_patient(hospital.desk, one.pati_id)
        give_history(hospital, department, one, day)
    before = read(hospital)
    merges = [merge(hospital, one, target) for one in siblings]
    for split_before, index in enumerate(order):
        assert split_patients(hospital.desk, merges[index]).status == 200
        remaining = [siblings[other] for other in sorted(order[split_before + 1 :])]
        live = {row["member_id"] for row in read(hospital)["members"] if row["live"] and row["pati_id"] == target}
        assert live == {other.person.member_id for other in remaining[:1]}
        bookings = {row["member_id"] for row in read(hospital)["bookings"] if row["pati_id"] == target}
        assert bookings == live
    assert read(hospital) == before


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_member_that_a_later_merge_has_replaced_too(
    hospital: Hospital, department: BookingDepartment, lin: Person, wrong: Declared, order: tuple[int, ...]
) -> None:
    """A and D are merged into B, and B into C, of which the account has a member."""
    second, third = file_patient(hospital.desk, build_unused_id_number()), declare(lin, build_unused_id_number())
    verify_patient(hospital.desk, third.pati_id)
    right = declare(lin, build_unused_id_number())
    for day, one in enumerate((wrong, right), 1):
        give_history(hospital, department, one, day)
    consult_client.create_session(third.person, hospital.chen)
    before = read(hospital)
    merges = [merge(hospital, wrong, second), merge(hospital, right, second)]
    merges.append(str(merge_patients(hospital.desk, second, third.pati_id).data["merge_id"]))
    assert set(list_bookings(hospital)) == {(third.pati_id, third.person.member_id)}
    for index in order:
        assert split_patients(hospital.desk, merges[index]).status == 200
    assert read(hospital) == before


def test_member_whose_place_was_taken_by_one_that_was_removed_stays_removed(
    hospital: Hospital, lin: Person, wrong: Declared, number: str
) -> None:
    target, right = file_patient(hospital.desk, number), declare(lin, number)
    first = merge(hospital, wrong, target)
    verify_patient(hospital.desk, right.pati_id)
    assert accounts_client.remove_member(lin, wrong.person.member_id).status == 200
    assert split_patients(hospital.desk, first).status == 200
    present = {int(one["memberId"]) for one in accounts_client.list_members(lin)}
    assert present.isdisjoint((wrong.person.member_id, right.person.member_id))
