"""Documents, verification and guardians of patient files, as staff enter, find and see them."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.staff import list_store
from tests.support import front_desk_client, staff_client
from tests.support.accounts_client import add_member, list_members
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.row_reads import count_rows_read
from tests.support.staff_client import create_patient_file, get_patient_info, save_patient, search_patients

pytestmark = pytest.mark.store

PASSPORT: dict[str, Any] = {"pati_id_type": "03", "pati_id_number": "E12345678"}
GUARDIAN = {"name": "林大山", "IDNo": build_id_number(order=3), "phone": "13800000003", "relation": 3, "consent": True}


def list_documents(person: Person, pati_id: str) -> list[tuple[str, str]]:
    return [(one["id_type"], one["id_number"]) for one in get_patient_info(person, pati_id).data["documents"]]


def get_status(person: Person, pati_id: str) -> tuple[str, bool, bool]:
    data = get_patient_info(person, pati_id).data
    return data["status"], data["verified"], data["card_no"] != ""


def find(person: Person, **query: Any) -> list[str]:
    return [one["pati_id"] for one in search_patients(person, **query).data["list"]]


def test_file_with_a_document_is_verified_and_one_without_is_not(hospital: Hospital) -> None:
    verified = create_patient_file(hospital.desk, pati_id_number=build_unused_id_number())
    declared = create_patient_file(hospital.chen)
    assert get_status(hospital.desk, verified) == ("verified", True, True)
    assert get_status(hospital.desk, declared) == ("declared", False, False)
    listed = {one["pati_id"]: (one["status"], one["verified"]) for one in search_patients(hospital.desk).data["list"]}
    assert listed == {verified: ("verified", True), declared: ("declared", False)}


def test_any_document_verifies_a_new_file(hospital: Hospital) -> None:
    documents = [{"id_type": "03", "id_number": "E12345678"}, {"id_type": "06", "id_number": "H12345678"}]
    pati_id = create_patient_file(hospital.desk, documents=documents)
    assert get_status(hospital.desk, pati_id) == ("verified", True, True)
    assert create_patient_file(hospital.desk, documents=documents) == pati_id, "a double click"
    assert list_documents(hospital.desk, pati_id) == [("03", "E12345678"), ("06", "H12345678")]
    response = save_patient(hospital.desk, documents=documents[:1], pati_name="王五")
    assert (response.status, response.error) == (
        409,
        "该证件号码已用另一姓名建档；如是不同国家的证件，请登记各自的签发国",
    )


UNSEEN = {"verified": False}


def list_seen(person: Person, pati_id: str) -> list[tuple[str, bool]]:
    return [(one["id_number"], one["verified"]) for one in get_patient_info(person, pati_id).data["documents"]]


def test_unseen_document_does_not_verify_a_new_file(hospital: Hospital) -> None:
    unseen = [{"id_type": "03", "id_number": "E12345678", **UNSEEN}]
    pati_id = create_patient_file(hospital.desk, documents=unseen)
    assert create_patient_file(hospital.desk, documents=unseen) == pati_id, "a double click"
    assert get_status(hospital.desk, pati_id) == ("declared", False, False)
    assert list_seen(hospital.desk, pati_id) == [("E12345678", False)]
    assert list_rows("patient_identities", hospital) == []
    other = create_patient_file(hospital.desk, documents=[{**unseen[0], "id_number": "E87654321"}])
    verified = create_patient_file(hospital.desk, **PASSPORT)
    assert len({pati_id, other, verified}) == 3
    assert get_status(hospital.desk, verified) == ("verified", True, True)


def test_form_may_say_that_its_first_document_is_unseen(hospital: Hospital) -> None:
    unseen = [{"id_type": "03", "id_number": "E12345678", **UNSEEN}]
    pati_id = create_patient_file(hospital.desk, **PASSPORT, documents=unseen)
    assert get_status(hospital.desk, pati_id) == ("declared", False, False)
    seen = {"id_type": "06", "id_number": "H12345678"}
    verified = create_patient_file(hospital.desk, **PASSPORT, documents=[*unseen, seen])
    assert get_status(hospital.desk, verified) == ("verified", True, True)
    assert list_seen(hospital.desk, verified) == [("E12345678", False), ("H12345678", True)]


def test_seen_document_verifies_a_new_file_and_the_unseen_ones_stay_so(hospital: Hospital) -> None:
    number = build_unused_id_number()
    documents = [{"id_type": "03", "id_number": "E12345678", **UNSEEN}, {"id_type": "99", "id_number": number}]
    pati_id = create_patient_file(hospital.desk, documents=documents)
    assert create_patient_file(hospital.desk, documents=documents) == pati_id, "a double click"
    assert list_seen(hospital.desk, pati_id) == [(number, True), ("E12345678", False)]
    assert create_patient_file(hospital.desk, **PASSPORT) != pati_id, "the passport is still anybody's"


def test_unseen_document_of_a_verified_file_is_a_conflict(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, **PASSPORT)
    before = get_patient_info(hospital.desk, pati_id).data
    unseen = [{"id_type": "03", "id_number": "E12345678", **UNSEEN}]
    response = save_patient(hospital.desk, documents=unseen, pati_phone="13800000099")
    assert (response.status, response.error) == (409, "该证件号码已建档")
    assert find(hospital.desk) == [pati_id]
    assert get_patient_info(hospital.desk, pati_id).data == before


def test_doctors_do_not_see_card_numbers(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, pati_id_number=build_unused_id_number())
    assert get_patient_info(hospital.chen, pati_id, reason="会诊").data["card_no"] == ""
    assert get_patient_info(hospital.admin, pati_id).data["card_no"] != ""


def test_self_declared_file_neither_prevents_nor_joins_a_verified_one(hospital: Hospital, lin: Person) -> None:
    number = build_unused_id_number()
    add_member(lin, number, name="林大雨")
    declared = list_members(lin)[-1]["bindPatiId"]
    verified = create_patient_file(hospital.desk, pati_id_number=number)
    assert verified != declared
    assert set(find(hospital.desk, pati_id_number=number)) == {verified, declared}
    assert get_status(hospital.desk, declared) == ("declared", False, False)


def test_verified_file_is_found_by_an_equivalent_name_and_keeps_the_filed_one(hospital: Hospital) -> None:
    number = build_unused_id_number()
    pati_id = create_patient_file(hospital.desk, pati_name="古丽·艾山", pati_id_number=number)
    for name in ("古丽•艾山", "古丽.艾山", "古丽 艾山"):
        assert create_patient_file(hospital.admin, pati_name=name, pati_id_number=number) == pati_id
    assert get_patient_info(hospital.desk, pati_id).data["pati_name"] == "古丽·艾山"
    save_patient(hospital.desk, pati_id=pati_id, pati_name="古丽•艾山")
    assert get_patient_info(hospital.desk, pati_id).data["pati_name"] == "古丽•艾山", "with the id, it is a correction"


def test_renewed_passport_is_added_and_shown_first(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.desk, **PASSPORT)
    renewed: dict[str, Any] = {"pati_id_type": "03", "pati_id_number": "EA0000001"}
    save_patient(hospital.desk, pati_id=pati_id, **renewed)
    assert list_documents(hospital.desk, pati_id) == [("03", "EA0000001"), ("03", "E12345678")]
    for fields in (PASSPORT, renewed):
        assert create_patient_file(hospital.desk, **fields) == pati_id, "both numbers are this person's"
    found = get_patient_info(hospital.desk, pati_id).data
    assert (found["pati_id_type"], found["pati_id_number"]) == ("03", "EA0000001"), "the form's document is shown first"


def test_another_citizen_number_corrects_the_former_one(hospital: Hospital) -> None:
    wrong, right = build_unused_id_number(), build_unused_id_number()
    pati_id = create_patient_file(hospital.desk, pati_id_number=wrong)
    save_patient(hospital.desk, pati_id=pati_id, pati_id_number=right)
    assert list_documents(hospital.desk, pati_id) == [("99", right)]
    assert create_patient_file(hospital.desk, pati_id_number=wrong) != pati_id
    assert get_status(hospital.desk, pati_id) == ("verified", True, True)


def test_further_documents_are_replaced_as_a_list(hospital: Hospital) -> None:
    number = build_unused_id_number()
    documents = [{"id_type": "03", "id_number": "e 12345678"}, {"id_type": "06", "id_number": "H1234567801"}]
    pati_id = create_patient_file(hospital.desk, pati_id_number=number, documents=documents)
    stored = [("99", number), ("03", "E12345678"), ("06", "H12345678")]
    assert list_documents(hospital.desk, pati_id) == stored
    save_patient(hospital.desk, pati_id=pati_id)
    save_patient(hospital.desk, pati_id=pati_id, documents=documents)
    assert list_documents(hospital.desk, pati_id) == stored
    save_patient(hospital.desk, pati_id=pati_id, documents=documents[1:])
    assert list_documents(hospital.desk, pati_id) == [stored[0], stored[2]]
    save_patient(hospital.desk, pati_id=pati_id, documents=[])
    assert list_documents(hospital.desk, pati_id) == [stored[0]]
    assert create_patient_file(hospital.desk, **PASSPORT) != pati_id, "the passport is no longer this file's"


def test_removing_the_first_document_shows_the_next_one(hospital: Hospital) -> None:
    passport = [{"id_type": "03", "id_number": "E12345678"}]
    pati_id = create_patient_file(hospital.desk, pati_id_number=build_unused_id_number(), documents=passport)
    save_patient(hospital.desk, pati_id=pati_id, pati_id_number="")
    assert list_documents(hospital.desk, pati_id) == [("03", "E12345678")]
    assert get_status(hospital.desk, pati_id) == ("verified", True, True)
    save_patient(hospital.desk, pati_id=pati_id, pati_id_number="")
    assert list_documents(hospital.desk, pati_id) == []
    assert get_status(hospital.desk, pati_id)[:2] == ("declared", False), "nothing proves whose it is"


def test_changing_a_declared_file_does_not_verify_it(hospital: Hospital, lin: Person) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    pati_id = list_members(lin)[-1]["bindPatiId"]
    save_patient(hospital.desk, pati_id=pati_id, pati_id_number=number, documents=[])
    assert get_status(hospital.desk, pati_id) == ("declared", False, False)


@pytest.mark.parametrize(
    "build",
    [lambda number: {"pati_id_number": number}, lambda number: {"documents": [{"id_type": "02", "id_number": number}]}],
)
def test_document_of_another_verified_file_is_a_conflict(
    hospital: Hospital, build: Callable[[str], dict[str, Any]]
) -> None:
    number = build_unused_id_number()
    create_patient_file(hospital.desk, pati_id_number=number)
    others = [create_patient_file(hospital.desk, **fields) for fields in (PASSPORT, {})]
    before = [get_patient_info(hospital.desk, one).data for one in others]
    for other in others:
        response = save_patient(hospital.desk, pati_id=other, **build(number))
        assert (response.status, response.code, response.error) == (409, 10005, "该证件号码已建档")
    assert [get_patient_info(hospital.desk, one).data for one in others] == before
    if "documents" in build(number):
        new = {"pati_id_type": "03", "pati_id_number": "E99999999", **build(number)}
        assert save_patient(hospital.desk, **new).status == 409


def test_conflict_is_in_the_audit_log(hospital: Hospital) -> None:
    """It tells staff that the hospital has a file with this document."""
    number = build_unused_id_number()
    owner = create_patient_file(hospital.desk, pati_id_number=number)
    other = create_patient_file(hospital.desk, **PASSPORT)
    assert save_patient(hospital.chen, pati_id_number=number, pati_name="王五").status == 409
    assert save_patient(hospital.desk, pati_id=other, pati_id_number=number).status == 409
    assert front_desk_client.verify_patient(hospital.desk, other, pati_id_number=number).status == 409
    rows = [row for row in list_rows("audit_log", hospital) if row["action"] == "document_conflict"]
    entries = [(row["actor"].decode(), row["subject"].decode(), json.loads(row["detail"])) for row in rows]
    desk, subject = hospital.desk.principal, f"patient:{owner}"
    assert entries == [
        (hospital.chen.principal, subject, {"file": None}),
        (desk, subject, {"file": int(other)}),
        (desk, subject, {"file": int(other)}),
    ]


def test_merged_file_cannot_be_changed_and_leads_to_the_other(hospital: Hospital) -> None:
    first, second = (create_patient_file(hospital.desk, pati_name=name) for name in ("林小雨", "林大雨"))
    merge = "UPDATE patients SET status = 'merged', merged_into = %(target)s WHERE pati_id = %(source)s"
    mysql.autocommit.execute(merge, source=first, target=second)
    response = save_patient(hospital.desk, pati_id=first)
    assert (response.status, response.error) == (409, f"该档案已合并到患者号 {second}")
    assert find(hospital.desk) == find(hospital.desk, pati_id=first) == find(hospital.desk, pati_id=second) == [second]
    assert get_patient_info(hospital.desk, first).data["merged_into"] == second
    assert staff_client.list_person_counts(hospital.desk).data["person_numbers"] == 1


def test_file_is_found_by_number_phone_card_and_bar_code(hospital: Hospital, other_hospital: Hospital) -> None:
    documents = [{"id_type": "06", "id_number": "H12345678"}]
    pati_id = create_patient_file(hospital.desk, **PASSPORT, documents=documents, pati_phone="+85291234567")
    create_patient_file(hospital.desk, pati_id_number=build_unused_id_number())
    card_no = get_patient_info(hospital.desk, pati_id).data["card_no"]
    queries: list[dict[str, Any]] = [
        {"pati_id_number": "e12345678"},
        {"pati_id_number": "Ｅ１２３４５６７８", "pati_id_type": "03"},
        {"pati_id_number": "H1234567802"},
        {"pati_id_number": "H12345678", "pati_id_type": "06"},
        {"pati_phone": "+852 9123 4567"},
        {"pati_phone": "0085291234567"},
        {"card_no": card_no},
        {"pati_id": pati_id},
        {"pati_id": pati_id, "card_no": card_no, "pati_name": "林", "pati_phone": "+85291234567"},
    ]
    assert [find(hospital.desk, **query) for query in queries] == [[pati_id]] * len(queries)
    assert [find(other_hospital.desk, **query) for query in queries] == [[]] * len(queries)
    others: list[dict[str, Any]] = [
        {"pati_id_number": "E12345678", "pati_id_type": "06"},
        {"pati_id_number": "?"},
        {"pati_id_number": "1" * 40},
        {"card_no": "000000000000"},
        {"pati_id": 999_999_999},
    ]
    assert [find(hospital.desk, **query) for query in others] == [[]] * len(others)


@pytest.mark.parametrize("typed", ["古丽", "古丽艾", "古丽•艾山", "古丽·", "ＧＵＬＩ", "guli a"])
def test_names_are_found_however_they_are_typed(hospital: Hospital, typed: str) -> None:
    name = "Guli·Aishan" if typed[0] in "Ｇg" else "古丽·艾山"
    pati_id = create_patient_file(hospital.desk, pati_name=name)
    create_patient_file(hospital.desk, pati_name="王强")
    assert find(hospital.desk, pati_name=typed) == [pati_id]


def test_eight_concurrent_requests_with_two_documents_of_one_person_create_one_file(hospital: Hospital) -> None:
    number, start = build_unused_id_number(), Barrier(8)

    def save(place: int) -> str:
        start.wait()
        return create_patient_file(hospital.desk, pati_id_number=number, pati_id_type=("01", "02")[place % 2])

    with ThreadPoolExecutor(8) as pool:
        [pati_id] = set(pool.map(save, range(8)))
    assert sorted(list_documents(hospital.desk, pati_id)) == [("02", number), ("99", number)]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"pati_id_type": "08", "pati_id_number": "1234567"}, "pati_id_type"),
        ({"pati_id_type": "06", "pati_id_number": "C12345678"}, "pati_id_number"),
        ({"documents": [{"id_type": "03", "id_number": "1"}]}, "documents.id_number"),
        ({"documents": [{"id_type": "98", "id_number": "E12345678"}]}, "documents.id_type"),
        ({"documents": [{"id_type": "03"}]}, "documents.0.id_number"),
        ({"documents": "E12345678"}, "documents"),
        ({"documents": [{"id_type": "02", "id_number": build_id_number("19900518")}]}, "documents.id_number"),
        ({"documents": [{"id_type": "03", "id_number": "E12345678"}] * 21}, "documents"),
        ({"guardian": {**GUARDIAN, "consent": False}}, "guardian.consent"),
        ({"guardian": {**GUARDIAN, "IDNo": "1"}}, "guardian.IDNo"),
        ({"pati_phone": "+8613"}, "pati_phone"),
        ({"cont_phone": "+"}, "cont_phone"),
    ],
)
def test_invalid_field_is_named_and_creates_no_file(hospital: Hospital, fields: dict[str, Any], named: str) -> None:
    response: ApiResponse = save_patient(hospital.desk, **fields)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, named)
    assert find(hospital.desk) == []


@pytest.mark.usefixtures("everyone")
def test_member_who_was_added_before_the_file_is_verified_when_it_is_created(
    hospital: Hospital, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    number = build_unused_id_number()
    for person in (lin, wang):
        add_member(person, number)
    outbox.run_due_jobs()
    pati_id = create_patient_file(hospital.desk, pati_id_number=number, pati_phone="13800000077")
    outbox.run_due_jobs()
    assert [list_members(one)[-1]["verified"] for one in (lin, wang)] == [False, False]
    save_patient(hospital.desk, pati_id=pati_id, pati_phone=lin.phone)
    outbox.run_due_jobs()
    found = [list_members(one)[-1] for one in (lin, wang)]
    assert [(one["verified"], one["bindPatiId"] == pati_id) for one in found] == [(True, True), (False, False)]


@pytest.mark.parametrize(
    "search",
    [
        {"identities": [b"\x01" * 32]},
        {"phone_blind": b"\x01" * 32},
        {"name_key": "古丽"},
    ],
)
def test_search_reads_few_rows_of_a_large_hospital(hospital: Hospital, search: dict[str, Any]) -> None:
    names = [f"患者{number}" for number in range(500)]
    rows = [{"tenant_id": hospital.tenant_id, "name": name, "now": 1} for name in names]
    sql = """
        INSERT INTO patients (tenant_id, name, name_key, created_at, changed_at)
        VALUES (%(tenant_id)s, %(name)s, %(name)s, %(now)s, %(now)s)
    """
    defaults: dict[str, Any] = {"name_key": "", "phone_blind": None, "identities": None, "pati_id": None}
    filters = {**defaults, **search, "label_id": None, "doctor_id": None, "limits": (0, 10)}

    def count(tx: mysql.Tx) -> int:
        tx.execute_many(sql, rows)
        tx.execute("ANALYZE TABLE patients, patient_documents")
        _, read = count_rows_read(tx, lambda: list_store.list_patients(tx, hospital.tenant_id, **filters))
        return read

    assert mysql.run_autocommit(count) < 50
