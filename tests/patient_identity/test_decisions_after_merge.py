"""A split undoes the merge, and nothing that others have decided since."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people.patient_status import PatientStatus
from tests.support import accounts_client, consult_client, front_desk_client, staff_client
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.client import post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    get_file,
    merge_patients,
    split_patients,
)
from tests.support.id_numbers import build_unused_id_number

pytestmark = pytest.mark.store

Unbind = Callable[[Hospital, Declared], Any]


def close_account(person: Person) -> None:
    assert post("/pati_service/patient_service/close_account", person.token, password=PASSWORD).status == 200


def unbind_by_account(_: Hospital, member: Declared) -> Any:
    return accounts_client.remove_member(member.person, member.person.member_id)


def unbind_by_desk(hospital: Hospital, member: Declared) -> Any:
    return front_desk_client.unbind_member(hospital.desk, member.person.member_id)


def unbind_by_owner(hospital: Hospital, member: Declared) -> Any:
    """The owner is the account whose phone is the file's phone."""
    number = build_unused_id_number()
    own = declare(hospital.lin, number)
    front_desk_client.verify_patient(hospital.desk, member.pati_id, pati_phone=hospital.lin.phone)
    merge_patients(hospital.desk, own.pati_id, member.pati_id)
    return front_desk_client.remove_binding(hospital.lin, own.person.member_id, member.person.member_id)


def read_member(member_id: int) -> dict[str, Any]:
    row = mysql.autocommit.fetch_one("SELECT * FROM members WHERE member_id = %(id)s", id=member_id)
    assert row is not None
    return row


def is_archived(hospital: Hospital, session_no: str) -> bool:
    rows = {row["public_id"].decode(): row["archived_at"] is not None for row in list_rows("conversations", hospital)}
    return rows[session_no]


@pytest.fixture
def pair(hospital: Hospital, wang: Person) -> tuple[Declared, Declared]:
    """Two members of one account: one with a verified file, one with a declared file."""
    [first, second] = [declare(wang, build_unused_id_number()) for _ in range(2)]
    assert front_desk_client.verify_patient(hospital.desk, first.pati_id).status == 200
    return first, second


@pytest.mark.parametrize("unbind", [unbind_by_account, unbind_by_desk, unbind_by_owner])
def test_member_whose_successor_was_unbound_stays_removed(
    hospital: Hospital, chen: Person, pair: tuple[Declared, Declared], unbind: Unbind
) -> None:
    first, second = pair
    session = consult_client.create_session(second.person, chen)
    consult_client.create_session(first.person, chen)
    merge_id = merge_patients(hospital.desk, second.pati_id, first.pati_id).data["merge_id"]
    assert unbind(hospital, first).status == 200
    assert split_patients(hospital.desk, merge_id).status == 200
    removed, successor = (read_member(one.person.member_id) for one in (second, first))
    assert (removed["live"], removed["pati_id"]) == (None, second.pati_id)
    assert [removed[name] for name in ("removed_at", "removed_by")] == [
        successor[name] for name in ("removed_at", "removed_by")
    ]
    assert is_archived(hospital, session)
    assert get_file(second.pati_id)["stored_at"] is None, "no account was closed"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_successors_of_merges_in_a_row_count(hospital: Hospital, wang: Person, order: tuple[int, int]) -> None:
    files = [declare(wang, build_unused_id_number()) for _ in range(3)]
    merges = [
        merge_patients(hospital.desk, source.pati_id, target.pati_id).data["merge_id"]
        for source, target in pairwise(files)
    ]
    assert unbind_by_desk(hospital, files[-1]).status == 200
    for place in order:
        assert split_patients(hospital.desk, merges[place]).status == 200
    rows = [read_member(one.person.member_id) for one in files]
    assert [(row["live"], row["pati_id"]) for row in rows] == [(None, one.pati_id) for one in files]


def test_closed_account_gets_nothing_back(hospital: Hospital, chen: Person, pair: tuple[Declared, Declared]) -> None:
    first, second = pair
    sessions = [consult_client.create_session(one.person, chen) for one in (second, first)]
    merge_id = merge_patients(hospital.desk, second.pati_id, first.pati_id).data["merge_id"]
    close_account(first.person)
    assert get_file(first.pati_id)["stored_at"]
    assert split_patients(hospital.desk, merge_id).status == 200
    assert [is_archived(hospital, one) for one in sessions] == [True, True]
    assert read_member(second.person.member_id)["live"] is None
    [stored_at] = {get_file(one.pati_id)["stored_at"] for one in pair}
    assert stored_at == list_rows("accounts", hospital)[0]["closed_at"]


def test_file_whose_account_was_closed_while_merged_is_stored(hospital: Hospital, lin: Person, wang: Person) -> None:
    source, target = declare(lin, build_unused_id_number()), declare(wang, build_unused_id_number())
    merge_id = merge_patients(hospital.desk, source.pati_id, target.pati_id).data["merge_id"]
    close_account(lin)
    assert get_file(target.pati_id)["stored_at"] is None, "another account has it"
    split_patients(hospital.desk, merge_id)
    assert get_file(source.pati_id)["stored_at"]
    assert get_file(target.pati_id)["stored_at"] is None


def test_stored_file_that_lends_its_place_is_stored_again(hospital: Hospital, lin: Person, wang: Person) -> None:
    stored, other = declare(lin, build_unused_id_number()), declare(wang, build_unused_id_number())
    close_account(lin)
    before = get_file(stored.pati_id)["stored_at"]
    merge_id = merge_patients(hospital.desk, other.pati_id, stored.pati_id).data["merge_id"]
    assert before
    assert get_file(stored.pati_id)["stored_at"] is None, "an account has it"
    split_patients(hospital.desk, merge_id)
    assert get_file(stored.pati_id)["stored_at"] == before
    assert get_file(other.pati_id)["stored_at"] is None


def test_file_without_an_account_is_not_stored_with_another(hospital: Hospital, lin: Person) -> None:
    walk_in, declared = file_patient(hospital.desk, build_unused_id_number()), declare(lin, build_unused_id_number())
    merge_id = merge_patients(hospital.desk, declared.pati_id, walk_in).data["merge_id"]
    close_account(lin)
    assert get_file(walk_in)["stored_at"]
    split_patients(hospital.desk, merge_id)
    assert [get_file(one)["stored_at"] is None for one in (walk_in, declared.pati_id)] == [True, False]


def test_new_bookings_stay_with_their_patient(
    hospital: Hospital, department: BookingDepartment, pair: tuple[Declared, Declared]
) -> None:
    first, second = pair
    days = [department.create_schedule(date=get_iso_date(ahead)) for ahead in (1, 2)]
    department.book_slot(second.person, days[0])
    merge_id = merge_patients(hospital.desk, second.pati_id, first.pati_id).data["merge_id"]
    department.book_slot(first.person, days[1])
    assert unbind_by_desk(hospital, first).status == 200
    split_patients(hospital.desk, merge_id)
    bookings = [(row["member_id"], row["pati_id"], row["live"]) for row in list_rows("bookings", hospital)]
    assert bookings == [(one.person.member_id, one.pati_id, 1) for one in (second, first)]


def test_source_whose_documents_were_removed_is_not_verified(hospital: Hospital) -> None:
    numbers = [build_unused_id_number() for _ in range(2)]
    source, target = (file_patient(hospital.desk, one) for one in numbers)
    merge_id = merge_patients(hospital.desk, source, target).data["merge_id"]
    staff_client.save_patient(hospital.desk, pati_id=target, pati_id_number=numbers[1], documents=[])
    other = file_patient(hospital.desk, numbers[0])
    split_patients(hospital.desk, merge_id)
    assert [get_file(one)["status"] for one in (source, target, other)] == [
        PatientStatus.DECLARED,
        PatientStatus.VERIFIED,
        PatientStatus.VERIFIED,
    ]
