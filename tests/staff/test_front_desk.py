"""The front desk: verify_patient, unbind_member, temporary_patient, replace_card, patient_duplicates, patient_bindings.

Merging and splitting are tested in tests/patient_identity.
"""

from datetime import date
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.people.patient_status import PatientStatus
from tests.support import accounts_client, booking_client, front_desk_client, staff_client
from tests.support.booking_client import list_rows
from tests.support.client import post
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    REASON,
    STAFF_PATH,
    create_temporary,
    declare,
    file_patient,
    find_pati_id,
    get_file,
    list_bindings,
    list_duplicates,
    merge_patients,
    replace_card,
    unbind_member,
    verify_member,
    verify_patient,
)
from tests.support.id_numbers import build_unused_id_number
from tests.support.threads import run_in_threads


@pytest.fixture(autouse=True)
def jobs_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """No member is verified in between."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


@pytest.fixture
def number() -> str:
    return build_unused_id_number()


def list_audit(hospital: Hospital) -> list[tuple[str, str, str]]:
    return [(row["action"], row["subject"].decode(), row["reason"]) for row in list_rows("audit_log", hospital)]


def test_declared_file_is_verified_by_its_own_document(hospital: Hospital, lin: Person, number: str) -> None:
    declared = declare(lin, number)
    for _ in range(2):  # a double click
        verified = verify_patient(hospital.desk, declared.pati_id, reason="首次就诊").data
        file = get_file(declared.pati_id)
        [binding] = verified.pop("bindings")
        assert verified == {"pati_id": str(declared.pati_id), "card_no": file["card_no"], "merge_id": ""}
    assert (file["status"], file["verified_by"]) == (PatientStatus.VERIFIED, hospital.desk.user_id)
    assert (file["verified_how"], len(file["card_no"])) == ("front_desk", 12)
    assert (binding["member_id"], binding["phone"]) == (str(declared.person.member_id), "138****0001")
    assert list_audit(hospital) == [("verify_patient", f"patient:{declared.pati_id}", "首次就诊")]


def test_document_in_hand_is_added(hospital: Hospital, lin: Person, number: str) -> None:
    declared = declare(lin, number)
    passport = {"pati_id_type": "03", "pati_id_number": "e12345678"}
    assert verify_patient(hospital.desk, declared.pati_id, **passport).status == 200
    info = staff_client.get_patient_info(hospital.desk, declared.pati_id).data
    assert [(one["id_type"], one["id_number"]) for one in info["documents"]] == [("99", number), ("03", "E12345678")]
    assert len(list_rows("patient_identities", hospital)) == 1, "only the passport was in hand"
    verify_patient(hospital.desk, declared.pati_id)
    assert len(list_rows("patient_identities", hospital)) == 2


def test_confirmed_phone_decides_whose_account_owns_the_file(hospital: Hospital, wang: Person, number: str) -> None:
    """A stranger has declared the person with his own phone, which proves nothing until the desk has asked for it."""
    declared = declare(wang, number, phone=wang.phone)
    for _ in range(2):  # a double click
        [binding] = verify_patient(hospital.desk, declared.pati_id).data["bindings"]
        assert binding["is_owner"] is False
    info = staff_client.get_patient_info(hospital.desk, declared.pati_id).data
    assert (info["pati_phone"], info["phone_confirmed"]) == (wang.phone, False)
    [binding] = verify_patient(hospital.desk, declared.pati_id, pati_phone=wang.phone).data["bindings"]
    assert binding["is_owner"] is True
    [binding] = verify_patient(hospital.desk, declared.pati_id).data["bindings"]
    assert binding["is_owner"] is True, "a confirmed phone stays confirmed"
    new = {"pati_phone": "+852 9123 4567", "reason": "本人到场"}
    [binding] = verify_patient(hospital.desk, declared.pati_id, **new).data["bindings"]
    assert binding["is_owner"] is False
    assert staff_client.get_patient_info(hospital.desk, declared.pati_id).data["pati_phone"] == "+85291234567"


def test_file_of_a_verified_person_is_merged(hospital: Hospital, lin: Person, number: str) -> None:
    verified, declared = file_patient(hospital.desk, number), declare(lin, number)
    results = [verify_patient(hospital.desk, declared.pati_id).data]
    assert (results[0]["pati_id"], results[0]["card_no"]) == (str(verified), get_file(verified)["card_no"])
    assert find_pati_id(declared.person.member_id) == verified
    again = verify_patient(hospital.desk, declared.pati_id)
    assert (again.status, again.error) == (409, f"该档案已并入档案 {verified}")


def test_verified_files_are_merged_by_hand_only(hospital: Hospital, number: str) -> None:
    verified, other = file_patient(hospital.desk, number), file_patient(hospital.desk, build_unused_id_number())
    response = verify_patient(hospital.desk, other, pati_id_number=number)
    assert (response.status, response.error) == (
        409,
        f"该证件属于另一已核验的档案 {verified}，如确为同一人请合并档案",
    )


def test_file_without_document_needs_one(hospital: Hospital, number: str) -> None:
    bare = staff_client.create_patient_file(hospital.desk)
    assert verify_patient(hospital.desk, bare).error == "该档案没有证件，请先登记证件"
    assert verify_patient(hospital.desk, bare, pati_id_number=number).status == 200


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"pati_id": "x"}, "pati_id："),
        ({"pati_id": None}, "pati_id："),
        ({"pati_id_number": "123"}, "pati_id_number：身份证号码应为18位"),
        ({"pati_id_number": "110105199105170021"}, "pati_id_number："),
        ({"pati_id_type": "77", "pati_id_number": "123"}, "pati_id_type：证件类型不存在"),
        ({"pati_phone": "123"}, "pati_phone："),
        ({"reason": "x"}, "reason："),
    ],
)
def test_invalid_verification_is_named(hospital: Hospital, fields: dict[str, Any], error: str) -> None:
    body = {"pati_id": staff_client.create_patient_file(hospital.desk), **fields}
    response = post(f"{STAFF_PATH}/verify_patient", hospital.desk.token, **body)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(error)


def test_document_that_contradicts_the_file_is_rejected(hospital: Hospital, lin: Person, number: str) -> None:
    declared = declare(lin, number)
    other = build_unused_id_number("19910518")
    response = verify_patient(hospital.desk, declared.pati_id, pati_id_number=other)
    assert (response.status, response.error) == (400, "pati_id_number：出生日期与身份证号码不一致")
    assert get_file(declared.pati_id)["status"] == PatientStatus.DECLARED


def test_files_of_others_are_not_found(hospital: Hospital, other_hospital: Hospital, number: str) -> None:
    elsewhere = file_patient(other_hospital.desk, number)
    for named in (elsewhere, 999_999_999):
        for response in (
            verify_patient(hospital.desk, named),
            verify_patient(hospital.desk, named, pati_id_number=number),
            front_desk_client.list_merges(hospital.desk, named),
            list_bindings(hospital.desk, named),
            list_duplicates(hospital.desk, named),
            replace_card(hospital.desk, named),
        ):
            assert response.status == 404


def test_member_is_unbound(hospital: Hospital, wang: Person, number: str) -> None:
    declared = declare(wang, number)
    verify_patient(hospital.desk, declared.pati_id)
    department = booking_client.create_department(hospital)
    book_id = department.book_slot(declared.person, department.create_schedule())
    for _ in range(2):  # a double click
        assert unbind_member(hospital.desk, declared.person.member_id).data is None
    assert list_bindings(hospital.desk, declared.pati_id).data == []
    assert str(declared.person.member_id) not in [one["memberId"] for one in accounts_client.list_members(wang)]
    assert department.get_booking(wang, book_id).status == 200, "there is no owner to take it over"
    assert list_audit(hospital)[1:] == [("unbind_member", f"patient:{declared.pati_id}", REASON)]


def test_bookings_of_an_unbound_member_move_to_the_owner(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    verified = file_patient(hospital.desk, number, pati_phone=lin.phone)
    owner, other = declare(lin, number), declare(wang, number)
    for one in (owner, other):
        merge_patients(hospital.desk, one.pati_id, verified)
    department = booking_client.create_department(hospital)
    book_id = department.book_slot(other.person, department.create_schedule())
    unbind_member(hospital.desk, other.person.member_id)
    assert department.get_booking(lin, book_id).status == 200
    assert [(row["user_id"], row["member_id"]) for row in list_rows("bookings", hospital)] == [
        (lin.user_id, owner.person.member_id)
    ]


def test_members_of_others_are_not_unbound(hospital: Hospital, other_hospital: Hospital, number: str) -> None:
    elsewhere = declare(other_hospital.lin, number).person
    for named in (elsewhere.member_id, 999_999_999):
        assert unbind_member(hospital.desk, named).status == 404
    without_file = hospital.lin.member_id
    assert unbind_member(hospital.desk, without_file).error == "该就诊人没有档案"


def test_temporary_file_is_created_and_merged(hospital: Hospital, number: str) -> None:
    created = create_temporary(hospital.desk).data
    pati_id = int(created["pati_id"])
    assert created["pati_name"] == f"无名氏{pati_id}"
    file = get_file(pati_id)
    assert (file["status"], file["gender"], file["birthday"]) == (PatientStatus.TEMPORARY, 1, date(1970, 1, 1))
    info = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert (info["status"], info["description"]) == ("temporary", "约 50 岁男性，东门外昏迷")
    found = staff_client.search_patients(hospital.desk, pati_name="无名氏").data["list"]
    assert [one["pati_id"] for one in found] == [str(pati_id)]
    verified = file_patient(hospital.desk, number)
    assert merge_patients(hospital.desk, pati_id, verified).status == 200
    assert staff_client.search_patients(hospital.desk, pati_name="无名氏").data["list"] == []
    assert list_audit(hospital)[0] == ("create_temporary_patient", f"patient:{pati_id}", "")


def test_temporary_file_is_verified_once_it_has_a_name(hospital: Hospital, number: str) -> None:
    pati_id = int(create_temporary(hospital.desk, gender=2, birth_year="").data["pati_id"])
    passport = {"pati_id_type": "03", "pati_id_number": "E12345678"}
    response = verify_patient(hospital.desk, pati_id, **passport)
    assert (response.status, response.error) == (
        409,
        "临时档案请先补全患者姓名，再核验；或并入该患者已有的档案",
    )
    assert staff_client.save_patient(hospital.desk, pati_id=pati_id).status == 200
    assert verify_patient(hospital.desk, pati_id, pati_id_number=number).data["pati_id"] == str(pati_id)
    assert get_file(pati_id)["status"] == PatientStatus.VERIFIED


@pytest.mark.store
def test_double_click_creates_one_temporary_file(hospital: Hospital) -> None:
    responses = run_in_threads([lambda: create_temporary(hospital.desk)] * 3)
    assert len({one.data["pati_id"] for one in responses}) == 1
    keyed = [create_temporary(hospital.desk, {"Idempotency-Key": key}).data["pati_id"] for key in "aab"]
    assert len(set(keyed)) == 2
    assert create_temporary(hospital.admin).data["pati_id"] not in keyed
    assert create_temporary(hospital.desk, description="约 50 岁男性，西门外").data["pati_id"] not in keyed


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"gender": 3}, "gender："),
        ({"birth_year": 1899}, "birth_year："),
        ({"birth_year": "x"}, "birth_year："),
        ({"birth_year": 2099}, "birth_year：不能晚于今年"),
        ({"description": ""}, "description："),
        ({"description": "x" * 256}, "description："),
    ],
)
def test_invalid_temporary_file_is_named(hospital: Hospital, fields: dict[str, Any], error: str) -> None:
    response = create_temporary(hospital.desk, **fields)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(error)


def test_new_card_replaces_the_former_one(
    hospital: Hospital, lin: Person, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified, declared = file_patient(hospital.desk, number), declare(lin, number)
    former = get_file(verified)["card_no"]
    first, second = (replace_card(hospital.desk, verified).data["card_no"] for _ in range(2))
    assert former != first == second == get_file(verified)["card_no"], "a double click gives one card"
    assert verify_member(lin, declared.person.member_id, cardNo=former).status == 400
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + 6 * clock.SECOND)
    assert replace_card(hospital.desk, verified).data["card_no"] != first
    assert list_audit(hospital) == [("replace_card", f"patient:{verified}", REASON)] * 2


def test_only_verified_files_have_cards(hospital: Hospital, lin: Person, number: str) -> None:
    response = replace_card(hospital.desk, declare(lin, number).pati_id)
    assert (response.status, response.error) == (409, "该档案未核验，核验后才有就诊卡")


def test_duplicates_have_the_same_identity_name_or_phone(
    hospital: Hospital, lin: Person, wang: Person, number: str
) -> None:
    own = declare(lin, number).pati_id
    by_identity = declare(wang, number, name="林大雨", phone=wang.phone).pati_id
    verified = file_patient(hospital.desk, build_unused_id_number(), pati_name="林 小雨", pati_phone="13800000099")
    by_phone = int(staff_client.create_patient_file(hospital.desk, pati_name="林大山", pati_phone="13800000001"))
    file_patient(hospital.desk, build_unused_id_number(), pati_name="别人", pati_phone="13800000098")
    found = {one["pati_id"]: one for one in list_duplicates(hospital.desk, own).data}
    assert {pati_id: one["same"] for pati_id, one in found.items()} == {
        str(verified): ["name_and_birthday"],
        str(by_identity): ["identity"],
        str(by_phone): ["phone"],
    }
    assert next(iter(found)) == str(verified), "verified files first"
    assert found[str(by_identity)]["pati_phone"] == "138****0002"
    merge_patients(hospital.desk, by_identity, own)
    assert str(by_identity) not in [one["pati_id"] for one in list_duplicates(hospital.desk, own).data]


@pytest.mark.parametrize("path", ["unbind_member", "replace_card"])
@pytest.mark.parametrize("reason", ["", None, "x", "x" * 256])
def test_reason_is_required(hospital: Hospital, path: str, reason: Any) -> None:
    body = {"pati_id": 1, "member_id": 1, "reason": reason}
    response = post(f"{STAFF_PATH}/{path}", hospital.desk.token, **body)
    assert (response.status, response.error.partition("：")[0]) == (400, "reason")


def test_registration_with_the_document_verifies_the_file(
    hospital: Hospital, lin: Person, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As verify_patient does, in the transaction of the registration; tests/booking has the registration itself."""
    booking_client.freeze_clock(monkeypatch, "07:00")
    department = booking_client.create_department(hospital)
    declared, verified = declare(lin, number), file_patient(hospital.desk, number)
    schedule_id = department.create_schedule(date=booking_client.get_iso_date(0))
    book_id = department.book_slot(declared.person, schedule_id)
    for _ in range(2):
        assert department.register(book_id=book_id, document_checked=True).status == 200
    [merge] = list_rows("patient_merges", hospital)
    assert (merge["how"], merge["merged_by"]) == ("registration", hospital.desk.user_id)
    assert get_file(verified)["trea_id"] == int(book_id)
    sql = "SELECT pati_id FROM bookings WHERE book_id = %(book_id)s"
    assert mysql.autocommit.fetch_value(sql, book_id=book_id) == verified
