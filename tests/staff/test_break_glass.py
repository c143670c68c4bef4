"""Doctors open the files of their own patients; any other file, and one in storage, is opened for a logged reason."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.staff import list_store
from tests.support import booking_client, consult_client, staff_client
from tests.support.account_client import get_token_by_key
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number
from tests.support.row_reads import count_rows_read

pytestmark = pytest.mark.store
REASON_TEXT = "该患者不在您的接诊范围内，请填写查阅原因"
STORED_TEXT = "该患者的账号已注销，档案已封存，请填写查阅原因"


def list_entries(hospital: Hospital, **query: Any) -> list[tuple[str, str, bool, str]]:
    """Return name, action, break_glass and reason of the entries of the access log, newest first."""
    listed = staff_client.get_access_log(hospital.admin, page_size=100, **query).data["list"]
    return [(one["user_name"], one["action"], one["break_glass"], one["reason"]) for one in listed]


def search_ids(doctor: Person, **query: Any) -> list[int]:
    return [int(one["pati_id"]) for one in staff_client.search_patients(doctor, **query).data["list"]]


def store_file(pati_id: Any) -> None:
    """Put a file into storage, as closing its last account does."""
    mysql.autocommit.execute("UPDATE patients SET stored_at = %(now)s WHERE pati_id = %(id)s", now=1, id=pati_id)


def is_rejected(response: ApiResponse, text: str = REASON_TEXT) -> bool:
    return (response.status, response.code, response.error) == (403, 10105, text)


def test_doctor_is_rejected_eleven_files_in_a_row(hospital: Hospital) -> None:
    """Red team M5: a doctor read eleven files in 0.17 s, and nothing told this from ordinary work."""
    files = [staff_client.create_patient_file(hospital.desk, pati_name=f"患者{number}") for number in range(11)]
    responses = [staff_client.get_patient_info(hospital.chen, pati_id) for pati_id in files]
    assert [is_rejected(one) for one in responses] == [True] * 11
    assert [one for one in responses if "患者1" in str(one.body)] == []
    assert search_ids(hospital.chen) == []
    assert list_entries(hospital, user_id=hospital.chen.user_id) == []


def test_own_patients_are_opened_without_a_reason(hospital: Hospital, lin: Person, wang: Person) -> None:
    department = booking_client.create_department(hospital)
    consult_client.create_session(lin, hospital.chen)
    department.book_slot(wang, department.create_schedule())
    for patient in (lin, wang):
        sql = "SELECT pati_id FROM members WHERE member_id = %(id)s"
        pati_id = mysql.autocommit.fetch_value(sql, id=patient.member_id)
        assert staff_client.get_patient_info(hospital.chen, pati_id).status == 200
        assert is_rejected(staff_client.get_patient_info(hospital.zhou, pati_id))
        assert staff_client.save_patient(hospital.chen, pati_id=pati_id).status == 200
    read, changed = ("陈医生", "read", False, ""), ("陈医生", "changed", False, "")
    assert list_entries(hospital) == [changed, read, changed, read]
    assert list_entries(hospital, break_glass=1) == []


def test_other_files_are_opened_for_a_reason_that_admins_review(hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    assert staff_client.get_patient_info(hospital.chen, pati_id, reason=" 急诊会诊 ").status == 200
    assert staff_client.save_patient(hospital.chen, pati_id=pati_id, reason="补录地址").status == 200
    assert staff_client.get_patient_info(hospital.desk, pati_id, reason="患者来电").status == 200
    opened = [("陈医生", "changed", True, "补录地址"), ("陈医生", "read", True, "急诊会诊")]
    assert list_entries(hospital, break_glass=1) == opened
    others = [("客服小李", "read", False, "患者来电"), *opened, ("客服小李", "filed", False, "")]
    assert list_entries(hospital) == list_entries(hospital, break_glass=0) == others
    assert list_entries(hospital, break_glass=1, user_id=hospital.zhou.user_id) == []


@pytest.mark.parametrize("reason", ["急", " 急 ", "x" * 256, "a\nb"])
def test_invalid_reason_is_named(hospital: Hospital, reason: str) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    for response in (
        staff_client.get_patient_info(hospital.chen, pati_id, reason=reason),
        staff_client.save_patient(hospital.chen, pati_id=pati_id, reason=reason),
        staff_client.search_patients(hospital.chen, reason=reason),
    ):
        assert (response.status, response.error.partition("：")[0]) == (400, "reason")


@pytest.mark.parametrize("reason", ["", None, "  "])
def test_empty_reason_is_none(hospital: Hospital, reason: Any) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    if reason == "  ":
        assert staff_client.save_patient(hospital.chen, pati_id=pati_id, reason=reason).status == 400
    else:
        assert is_rejected(staff_client.save_patient(hospital.chen, pati_id=pati_id, reason=reason))
    assert list_entries(hospital) == [("客服小李", "filed", False, "")]


def test_rejected_change_changes_nothing(hospital: Hospital) -> None:
    number = build_unused_id_number()
    pati_id = staff_client.create_patient_file(hospital.desk, pati_id_number=number)
    by_id = staff_client.save_patient(hospital.chen, pati_id=pati_id, pati_name="林晓雨", list=[])
    by_number = staff_client.save_patient(hospital.chen, pati_id_number=number, pati_phone="13800000009")
    assert is_rejected(by_id)
    assert is_rejected(by_number), "a form without pati_id changes the file with its document"
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert (found["pati_name"], found["pati_phone"]) == ("林小雨", "13800000001")


def test_key_that_acts_for_a_member_of_staff_is_in_the_access_log(hospital: Hospital) -> None:
    hospital.allow_keys_for_staff()
    desk = hospital.desk.with_token(get_token_by_key(hospital, hospital.desk))
    pati_id = staff_client.create_patient_file(desk)
    assert staff_client.get_patient_info(desk, pati_id).status == 200
    assert staff_client.get_patient_info(hospital.desk, pati_id).status == 200
    entries = staff_client.get_access_log(hospital.admin, pati_id=pati_id).data["list"]
    assert [(one["action"], one["key_id"] != "") for one in entries] == [
        ("read", False),
        ("read", True),
        ("filed", True),
    ]


def test_unknown_file_is_not_found_with_and_without_reason(hospital: Hospital, other_hospital: Hospital) -> None:
    elsewhere = staff_client.create_patient_file(other_hospital.desk)
    for pati_id in (elsewhere, 2**52):
        for query in ({}, {"reason": "会诊"}):
            response = staff_client.get_patient_info(hospital.chen, pati_id, **query)
            assert (response.status, response.code) == (404, 10004)
    assert list_entries(hospital) == []


def test_file_that_a_doctor_creates_is_theirs_on_that_day(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    pati_id = staff_client.create_patient_file(hospital.chen)
    assert staff_client.get_patient_info(hospital.chen, pati_id).status == 200
    assert staff_client.save_patient(hospital.chen, pati_id=pati_id, pati_address="建国路").status == 200
    tomorrow = clock.now() + clock.DAY
    monkeypatch.setattr(clock, "now", lambda: tomorrow)
    token = tokens.issue(hospital.tenant_id, hospital.chen.principal, hospital.chen.role)
    assert is_rejected(staff_client.get_patient_info(hospital.chen.with_token(token), pati_id))


def test_search_lists_own_patients_and_for_a_reason_all(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    consult_client.create_session(lin, hospital.chen)
    department.book_slot(lin, department.create_schedule())
    others = [int(staff_client.create_patient_file(hospital.desk, pati_name=f"林{number}")) for number in range(3)]
    [own] = search_ids(hospital.chen)
    assert search_ids(hospital.chen, pati_name="林") == search_ids(hospital.chen, pati_id=own) == [own]
    assert search_ids(hospital.chen, pati_id=others[0]) == search_ids(hospital.zhou) == []
    assert staff_client.search_patients(hospital.chen, pati_name="林").data["total"] == 1
    assert list_entries(hospital, break_glass=1) == []
    assert search_ids(hospital.chen, pati_name="林", reason="急诊会诊") == [*others[::-1], own]
    assert search_ids(hospital.desk, pati_name="林") == [*others[::-1], own]
    [entry] = staff_client.get_access_log(hospital.admin, break_glass=1).data["list"]
    assert (entry["action"], entry["reason"], entry["pati_id"], entry["pati_name"]) == ("searched", "急诊会诊", "", "")


def test_search_is_not_answered_if_the_log_cannot_be_written(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff_client.create_patient_file(hospital.desk)

    def raise_error(*_: Any, **__: Any) -> None:
        raise mysql.StatementError(1114, "The table 'patient_access' is full")

    monkeypatch.setattr("chalicelib.staff.store.insert_access", raise_error)
    assert staff_client.search_patients(hospital.chen, reason="急诊会诊").status == 500


def test_file_in_storage_needs_a_reason_of_everybody(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    department.book_slot(lin, department.create_schedule())
    [pati_id] = search_ids(hospital.chen)
    store_file(pati_id)
    assert search_ids(hospital.chen) == []
    for who in (hospital.chen, hospital.desk, hospital.admin):
        assert is_rejected(staff_client.get_patient_info(who, pati_id), STORED_TEXT)
        assert is_rejected(staff_client.save_patient(who, pati_id=pati_id), STORED_TEXT)
        assert staff_client.get_patient_info(who, pati_id, reason="司法调取").status == 200
    names = ("管理员", "客服小李", "陈医生")
    assert list_entries(hospital, break_glass=1) == [(name, "read", True, "司法调取") for name in names]


@pytest.mark.parametrize("value", ["x", "2", "1.5"])
def test_invalid_break_glass_is_named(hospital: Hospital, value: str) -> None:
    response = staff_client.get_access_log(hospital.admin, break_glass=value)
    assert (response.status, response.error.partition("：")[0]) == (400, "break_glass")


def test_search_does_not_read_the_hospitals_other_files(hospital: Hospital, lin: Person) -> None:
    """Counted in MySQL: rows that were read for the page and for counting."""
    department = booking_client.create_department(hospital)
    department.book_slot(lin, department.create_schedule())
    for number in range(60):
        staff_client.create_patient_file(hospital.desk, pati_name=f"患者{number}")
    filters: dict[str, Any] = {
        "phone_blind": None,
        "identities": None,
        "pati_id": None,
        "label_id": None,
    }
    (total, found), read = mysql.run_autocommit(
        lambda tx: count_rows_read(
            tx,
            lambda: list_store.list_patients(
                tx, hospital.tenant_id, name_key="", doctor_id=hospital.chen.user_id, limits=(0, 10), **filters
            ),
        )
    )
    assert (total, [one.name for one in found]) == (1, ["林小雨"])
    assert read <= 50
