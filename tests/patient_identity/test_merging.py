"""merge_patients and split_patients: what moves between two files, and comes back."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.migrations import DIRECTORY, split_statements
from chalicelib.people import guardians
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian
from chalicelib.people.patient_status import PatientStatus
from tests.support import accounts_client, consult_client, front_desk_client, staff_client
from tests.support.booking_client import BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    merge_patients,
    split_patients,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.payment_client import ORDER_PATH

# Tables with a column pati_id, and what a merge does with it. A new one needs a decision.
CONSIDERED = {
    "members": "moves",
    "bookings": "moves",
    "charges": "moves",
    "patient_documents": "moves",
    "patient_identities": "moves",
    "guardians": "moves",
    "adm_pati_label_rela": "moves",
    "patients": "the file itself",
    "patient_access": "stays: which file was opened",
}
# What a merge changes, besides times.
COLUMNS = {
    "members": "member_id, user_id, pati_id, live, is_default",
    "bookings": "book_id, user_id, member_id, pati_id, status, live, person_live, is_declared",
    "charges": "charge_id, user_id, pati_id",
    "patient_documents": "document_id, pati_id, is_primary",
    "patient_identities": "identity_blind, pati_id",
    "guardians": "pati_id, name, consented_at",
    "adm_pati_label_rela": "label_id, pati_id, is_group",
    "adm_group_label": "label_id, person_number",
    "patients": "pati_id, status, merged_into, trea_id",
    "consult_sessions": "conversation_id, member_id",
    "conversations": "conversation_id, archived_at",
}
EVENING = "23:00"


def read_state(hospital: Hospital) -> dict[str, Any]:
    return {
        table: mysql.autocommit.fetch_all(
            f"SELECT {names} FROM {table} WHERE tenant_id = %(id)s ORDER BY 1, 2", id=hospital.tenant_id
        )
        for table, names in COLUMNS.items()
    }


def test_every_table_that_refers_to_a_file_is_considered() -> None:
    statements = [one for path in sorted(DIRECTORY.glob("*.sql")) for one in split_statements(path.read_text("utf-8"))]
    tables = {one.split()[2] for one in statements if one.startswith("CREATE TABLE") and " pati_id " in one}
    assert tables == CONSIDERED.keys()


@pytest.fixture
def verified(hospital: Hospital, number: str) -> int:
    """A verified file with a group and a label."""
    group, label = (staff_client.create_label(hospital.desk, *one) for one in (("慢病", 1), ("高血压", 2)))
    labels = staff_client.build_label_list(label)
    return file_patient(hospital.desk, number, pati_group_id=group, list=labels)


@pytest.fixture
def declared(wang: Person, number: str) -> Declared:
    """A self-declared file of the same identity, in Wang's account."""
    return declare(wang, number)


def test_members_and_their_bookings_follow(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared
) -> None:
    book_id = department.book_slot(declared.person, department.create_schedule())
    day_after = department.create_schedule(date=get_iso_date(2))
    department.cancel(declared.person, department.book_slot(declared.person, day_after))
    merged = merge_patients(hospital.desk, declared.pati_id, verified).data
    assert (merged["pati_id"], merged["conflicts"]) == (str(verified), [])
    assert find_pati_id(declared.person.member_id) == verified
    rows = list_rows("bookings", hospital)
    assert [(row["pati_id"], row["is_declared"]) for row in rows] == [(verified, 0), (verified, 1)]
    file = get_file(declared.pati_id)
    assert (file["status"], file["merged_into"]) == (PatientStatus.MERGED, verified)
    assert department.get_booking(declared.person, book_id).status == 200
    department.book_slot(declared.person, day_after)
    assert [row["pati_id"] for row in list_rows("bookings", hospital)] == [verified] * 3


def give_everything(hospital: Hospital, department: BookingDepartment, declared: Declared) -> None:
    """Let a file have something of everything that a merge moves."""
    desk, person = hospital.desk, declared.person
    visit = department.book_slot(person, department.create_schedule(date=get_iso_date(0), **LATE))
    assert department.register(book_id=visit, reason="急诊，未带证件").status == 200
    booked = department.book_slot(person, department.create_schedule(bookfee=0))
    assert post(ORDER_PATH, person.token, appo_id=booked).data["is_success"]
    consult_client.create_session(person, hospital.chen)
    shared = [one["label_id"] for one in staff_client.list_labels(desk).data["list"]]
    labels = staff_client.build_label_list(staff_client.create_label(desk, "哮喘"), *shared)
    group = staff_client.create_label(desk, "术后", 1)
    fields: dict[str, Any] = {"pati_id": declared.pati_id, "documents": [{"id_type": "03", "id_number": "E12345678"}]}
    assert staff_client.save_patient(desk, **fields, pati_group_id=group, list=labels).status == 200
    guardian = Guardian(name="林大山", id_type=IdType.PASSPORT, number="E7654321", phone="13800000009", cont_relation=3)
    mysql.run_transaction(lambda tx: guardians.save(tx, hospital.tenant_id, declared.pati_id, guardian, None))


LATE = {"half": "PM", "begin": "23:10", "end": "23:40", "slots": 3}


def test_split_gives_everything_back(
    hospital: Hospital,
    department: BookingDepartment,
    verified: int,
    declared: Declared,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    freeze_clock(monkeypatch, EVENING)
    give_everything(hospital, department, declared)
    before = read_state(hospital)
    merged = merge_patients(hospital.desk, declared.pati_id, verified).data
    state = read_state(hospital)
    for table in ("bookings", "charges", "guardians"):
        assert {row["pati_id"] for row in state[table]} == {verified}, table
    assert declared.pati_id not in {row["pati_id"] for row in state["members"]}
    counts = {one["label_name"]: one["person_number"] for kind in (1, 2) for one in list_label_counts(hospital, kind)}
    assert counts == {"慢病": 1, "术后": 0, "高血压": 1, "哮喘": 1}
    files = {row["pati_id"]: row for row in state["patients"]}
    assert files[verified]["trea_id"] == list_rows("bookings", hospital)[0]["book_id"]
    info = staff_client.get_patient_info(hospital.desk, verified).data
    assert [one["id_type"] for one in info["documents"]] == ["99", "03"]
    for _ in range(2):  # splitting again has no effect
        undone = split_patients(hospital.desk, merged["merge_id"]).data
        assert undone == {"source": str(declared.pati_id), "target": str(verified)}
        assert read_state(hospital) == before
    found = mysql.run_autocommit(lambda tx: guardians.find(tx, hospital.tenant_id, declared.pati_id))
    assert (found and found.number, found and found.phone) == ("E7654321", "13800000009")


def list_label_counts(hospital: Hospital, kind: int) -> list[dict[str, Any]]:
    return list(staff_client.list_person_counts(hospital.desk, kind).data["list"])


def test_bookings_made_by_moved_members_go_back_too(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared, lin: Person, number: str
) -> None:
    """The owner's own bookings stay; those of the other account count against it again, missed ones included."""
    owner = declare(lin, number)
    for source in (owner, declared):
        merge_id = merge_patients(hospital.desk, source.pati_id, verified).data["merge_id"]
    department.book_slot(owner.person, department.create_schedule())
    department.book_slot(declared.person, department.create_schedule(date=get_iso_date(2)))
    split_patients(hospital.desk, merge_id)
    rows = list_rows("bookings", hospital)
    assert [(row["pati_id"], row["is_declared"]) for row in rows] == [(verified, 0), (declared.pati_id, 1)]


def test_bookings_in_one_half_day_both_stay(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared, lin: Person, number: str
) -> None:
    owner = declare(lin, number)
    merge_patients(hospital.desk, owner.pati_id, verified)
    mornings = [department.create_schedule(), department.create_schedule(doctor_id=hospital.zhou.user_id)]
    own, other = department.book_slot(owner.person, mornings[0]), department.book_slot(declared.person, mornings[1])
    merged = merge_patients(hospital.desk, declared.pati_id, verified).data
    assert merged["conflicts"] == [other]
    assert [row["person_live"] for row in list_rows("bookings", hospital)] == [1, None]
    clinic = department.create_schedule(doctor_id="")
    assert "同一半天只能预约一次" in department.submit(declared.person, clinic).error
    department.cancel(owner.person, own)
    assert "同一半天只能预约一次" in department.submit(owner.person, clinic).error
    split_patients(hospital.desk, merged["merge_id"])
    assert [row["person_live"] for row in list_rows("bookings", hospital)] == [None, 1]
    department.book_slot(owner.person, clinic)


def test_second_booking_with_a_doctor_on_a_day_stays(
    hospital: Hospital, department: BookingDepartment, verified: int, declared: Declared, lin: Person, number: str
) -> None:
    owner = declare(lin, number)
    afternoon = department.create_schedule(half="PM", begin="14:00", end="17:00")
    department.book_slot(owner.person, department.create_schedule())
    clashing = department.book_slot(declared.person, afternoon)
    merge_patients(hospital.desk, owner.pati_id, verified)
    assert merge_patients(hospital.desk, declared.pati_id, verified).data["conflicts"] == [clashing]


@pytest.fixture
def both_in_one_account(hospital: Hospital, wang: Person) -> tuple[Declared, Declared]:
    """Two files of one person with different documents, as two members of one account."""
    [first, second] = [declare(wang, build_unused_id_number()) for _ in range(2)]
    front_desk_client.verify_patient(hospital.desk, first.pati_id)
    return first, second


def test_member_takes_the_place_of_another_of_its_account(
    hospital: Hospital, department: BookingDepartment, both_in_one_account: tuple[Declared, Declared]
) -> None:
    first, second = both_in_one_account
    only, _ = (consult_client.create_session(second.person, one) for one in (hospital.chen, hospital.zhou))
    consult_client.create_session(first.person, hospital.zhou)
    book_id = department.book_slot(second.person, department.create_schedule())
    mysql.autocommit.execute(
        "UPDATE members SET is_default = member_id = %(id)s WHERE user_id = %(user_id)s",
        id=second.person.member_id,
        user_id=second.person.user_id,
    )
    before = read_state(hospital)
    merge_id = merge_patients(hospital.desk, second.pati_id, first.pati_id).data["merge_id"]
    members = {row["member_id"]: row for row in list_rows("members", hospital)}
    assert (members[second.person.member_id]["live"], members[first.person.member_id]["is_default"]) == (None, 1)
    assert [row["member_id"] for row in list_rows("bookings", hospital)] == [first.person.member_id]
    assert department.get_booking(first.person, book_id).status == 200
    owners = {row["session_no"].decode(): row["member_id"] for row in list_rows("consult_sessions", hospital)}
    assert owners[only] == first.person.member_id, "the consultation continues under the other member"
    archived = [row["archived_at"] is not None for row in list_rows("conversations", hospital)]
    assert archived == [False, True, False], "of the two with one doctor, the other member's continues"
    split_patients(hospital.desk, merge_id)
    restored = read_state(hospital)
    for state in (before, restored):
        for row in state["members"]:
            del row["is_default"]
    assert restored == before


def test_repeated_merge_has_no_effect(hospital: Hospital, verified: int, declared: Declared) -> None:
    results = [merge_patients(hospital.desk, declared.pati_id, verified).data for _ in range(2)]
    assert results[0] == results[1]
    assert [len(list_rows(table, hospital)) for table in ("patient_merges", "audit_log")] == [1, 1]
    assert sum(row["job"] == "notify_file_bound" for row in list_rows("outbox", hospital)) == 1


def test_files_can_be_merged_again_after_a_split(hospital: Hospital, verified: int, declared: Declared) -> None:
    first = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    split_patients(hospital.desk, first)
    second = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    assert first != second
    split_patients(hospital.desk, first)
    assert get_file(declared.pati_id)["merged_into"] == verified, "a split that was done has no effect"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_merges_in_a_row_are_split_in_any_order(
    hospital: Hospital,
    department: BookingDepartment,
    verified: int,
    declared: Declared,
    lin: Person,
    order: tuple[int, int],
) -> None:
    other = declare(lin, build_unused_id_number())
    department.book_slot(other.person, department.create_schedule())
    department.book_slot(declared.person, department.create_schedule(date=get_iso_date(2)))
    before = read_state(hospital)
    merges = [
        merge_patients(hospital.desk, source, target).data["merge_id"]
        for source, target in ((other.pati_id, declared.pati_id), (declared.pati_id, verified))
    ]
    assert {find_pati_id(one.person.member_id) for one in (other, declared)} == {verified}
    for one in order:
        assert split_patients(hospital.desk, merges[one]).status == 200
    assert read_state(hospital) == before


def test_verified_files_are_merged_and_split_with_their_identities(hospital: Hospital, verified: int) -> None:
    number = build_unused_id_number()
    other = file_patient(hospital.desk, number, pati_name="林晓雨")
    merge_id = merge_patients(hospital.desk, other, verified).data["merge_id"]
    for expected in (verified, other):
        found = staff_client.search_patients(hospital.desk, pati_id_number=number).data["list"]
        assert [one["pati_id"] for one in found] == [str(expected)]
        split_patients(hospital.desk, merge_id)
    owners = {row["pati_id"] for row in list_rows("patient_identities", hospital)}
    assert owners == {verified, other}
    assert get_file(other)["status"] == PatientStatus.VERIFIED


def test_file_without_documents_gets_the_primary_one_of_the_other(hospital: Hospital, declared: Declared) -> None:
    bare = int(staff_client.create_patient_file(hospital.desk))
    merge_id = merge_patients(hospital.desk, declared.pati_id, bare).data["merge_id"]
    assert [(row["pati_id"], row["is_primary"]) for row in list_rows("patient_documents", hospital)] == [(bare, 1)]
    split_patients(hospital.desk, merge_id)
    [row] = list_rows("patient_documents", hospital)
    assert (row["pati_id"], row["is_primary"]) == (declared.pati_id, 1)


def test_deleted_label_does_not_come_back(hospital: Hospital, verified: int, declared: Declared) -> None:
    [shared] = [one["label_id"] for one in staff_client.list_labels(hospital.desk).data["list"]]
    staff_client.save_patient(
        hospital.desk, pati_id=declared.pati_id, list=staff_client.build_label_list(shared), pati_id_number=None
    )
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    staff_client.delete_label(hospital.desk, shared)
    assert split_patients(hospital.desk, merge_id).status == 200
    assert {row["is_group"] for row in list_rows("adm_pati_label_rela", hospital)} == {1}


def test_merges_that_make_no_sense_are_rejected(
    hospital: Hospital, verified: int, declared: Declared, lin: Person
) -> None:
    desk, other = hospital.desk, declare(lin, build_unused_id_number())
    temporary = front_desk_client.create_temporary(desk).data["pati_id"]
    cases = [
        (verified, declared.pati_id, "来源档案已核验而目标档案未核验，请交换来源与目标"),
        (verified, verified, "不能将档案并入自身"),
        (declared.pati_id, temporary, "目标是临时档案，请交换来源与目标"),
    ]
    before = read_state(hospital)
    for source, target, error in cases:
        response = merge_patients(desk, source, target)
        assert (response.status, response.error) == (409, error)
    assert read_state(hospital) == before
    merge_patients(desk, declared.pati_id, verified)
    assert merge_patients(desk, declared.pati_id, other.pati_id).error == f"来源档案已并入档案 {verified}"
    assert merge_patients(desk, other.pati_id, declared.pati_id).error == f"目标档案已并入档案 {verified}"
    assert merge_patients(desk, verified, declared.pati_id).error == f"目标档案已并入档案 {verified}"
    assert merge_patients(desk, temporary, verified).status == 200


def test_stored_file_with_a_new_account_is_an_ordinary_one(
    hospital: Hospital, verified: int, declared: Declared
) -> None:
    without_account = int(staff_client.create_patient_file(hospital.desk, pati_name="重复档案"))
    mysql.autocommit.execute("UPDATE patients SET stored_at = 1 WHERE pati_id = %(id)s", id=verified)
    merge_patients(hospital.desk, without_account, verified)
    assert get_file(verified)["stored_at"] == 1
    merge_patients(hospital.desk, declared.pati_id, verified)
    assert get_file(verified)["stored_at"] is None


def test_merged_file_cannot_be_changed(hospital: Hospital, verified: int, declared: Declared) -> None:
    merge_patients(hospital.desk, declared.pati_id, verified)
    response = staff_client.save_patient(hospital.desk, pati_id=declared.pati_id)
    assert response.status == 409


def test_account_with_members_of_both_files_sees_one_member(
    hospital: Hospital, both_in_one_account: tuple[Declared, Declared]
) -> None:
    first, second = both_in_one_account
    merge_patients(hospital.desk, second.pati_id, first.pati_id)
    shown = [one["memberId"] for one in accounts_client.list_members(second.person)]
    assert str(first.person.member_id) in shown
    assert str(second.person.member_id) not in shown
