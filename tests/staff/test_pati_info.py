"""Reading a patient file, and the access log."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import chalicelib
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import patients
from chalicelib.staff import store
from tests.support import staff_client
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number


def list_entries(person: Person, **query: Any) -> list[tuple[str, str, str]]:
    listed = staff_client.get_access_log(person, **query).data["list"]
    return [(one["user_name"], one["pati_id"], one["action"]) for one in listed]


def test_file_is_unmasked(hospital: Hospital) -> None:
    number = build_unused_id_number()
    found = staff_client.get_patient_info(
        hospital.desk, staff_client.create_patient_file(hospital.desk, pati_id_number=number)
    ).data
    assert (found["pati_id_number"], found["pati_phone"]) == (number, "13800000001")
    assert found["pati_age"].endswith("岁")
    assert found["pati_create_time"][:10] == clock.today().isoformat()


def test_photo_and_latest_visit_are_shown(hospital: Hospital) -> None:
    pati_id = int(staff_client.create_patient_file(hospital.desk))
    photo = "UPDATE patients SET photo_key = '1/files/a.jpg' WHERE pati_id = %(id)s"
    mysql.autocommit.execute(photo, id=pati_id)
    patients.set_latest_visit(mysql.autocommit, hospital.tenant_id, pati_id, 12)
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert "/1/files/a.jpg?" in found["pati_photo"]
    assert found["trea_id"] == "12"


def test_city_equal_to_the_province_is_written_once(hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(
        hospital.desk, pati_province="北京市", pati_city="北京市", pati_county="朝阳区"
    )
    assert staff_client.get_patient_info(hospital.desk, pati_id).data["pati_splice_address"] == "北京市朝阳区"


def test_file_of_another_hospital_is_not_found_and_not_logged(hospital: Hospital, other_hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    response = staff_client.get_patient_info(other_hospital.admin, pati_id)
    assert (response.status, response.code, response.error) == (404, 10004, "患者不存在")
    assert list_entries(other_hospital.admin) == []
    assert list_entries(hospital.admin) == [("客服小李", pati_id, "filed")]


@pytest.mark.parametrize("pati_id", ["", "0", "-1", "a", "1.5", str(2**53)])
def test_invalid_pati_id_is_named(hospital: Hospital, pati_id: str) -> None:
    response = staff_client.get_patient_info(hospital.desk, pati_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "pati_id")


def test_every_read_and_change_is_logged_newest_first(hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    for _ in range(2):
        staff_client.get_patient_info(hospital.chen, pati_id, reason="会诊")
    staff_client.save_patient(hospital.admin, pati_id=pati_id, pati_name="林晓雨")
    assert list_entries(hospital.admin) == [
        ("管理员", pati_id, "changed"),
        ("陈医生", pati_id, "read"),
        ("陈医生", pati_id, "read"),
        ("客服小李", pati_id, "filed"),
    ]
    (latest, *_) = staff_client.get_access_log(hospital.admin).data["list"]
    assert (latest["user_id"], latest["pati_name"]) == (str(hospital.admin.user_id), "林晓雨")
    assert latest["at"][:10] == clock.today().isoformat()


def test_file_is_not_shown_if_the_log_cannot_be_written(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)

    def raise_error(*_: Any) -> None:
        raise mysql.StatementError(1114, "The table 'patient_access' is full")

    monkeypatch.setattr(store, "insert_access", raise_error)
    response = staff_client.get_patient_info(hospital.chen, pati_id, reason="会诊")
    assert (response.status, response.code) == (500, 10002)
    assert staff_client.save_patient(hospital.admin, pati_id=pati_id, pati_name="林晓雨").status == 500
    monkeypatch.undo()
    assert staff_client.get_patient_info(hospital.chen, pati_id, reason="会诊").data["pati_name"] == "林小雨"


def test_log_is_filtered_by_patient_and_by_staff(hospital: Hospital) -> None:
    lin, wang = (
        staff_client.create_patient_file(hospital.desk),
        staff_client.create_patient_file(hospital.desk, pati_name="王强"),
    )
    staff_client.get_patient_info(hospital.chen, lin, reason="会诊")
    staff_client.get_patient_info(hospital.chen, wang, reason="会诊")
    assert list_entries(hospital.admin, pati_id=lin) == [("陈医生", lin, "read"), ("客服小李", lin, "filed")]
    assert list_entries(hospital.admin, user_id=hospital.chen.user_id) == [
        ("陈医生", wang, "read"),
        ("陈医生", lin, "read"),
    ]
    assert list_entries(hospital.admin, user_id=hospital.chen.user_id, pati_id=lin) == [("陈医生", lin, "read")]
    assert list_entries(hospital.admin, user_id=hospital.zhou.user_id) == []


def test_log_is_paged(hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    for _ in range(4):
        staff_client.get_patient_info(hospital.chen, pati_id, reason="会诊")
    pages = [staff_client.get_access_log(hospital.admin, page_num=number, page_size=2).data for number in (1, 2, 3, 4)]
    assert [(one["total"], one["pages"], len(one["list"])) for one in pages] == [
        *((5, 3, 2), (5, 3, 2), (5, 3, 1), (5, 3, 0)),
    ]
    ids = [int(entry["entry_id"]) for page in pages for entry in page["list"]]
    assert ids == sorted(set(ids), reverse=True)


@pytest.mark.parametrize("name", ["pati_id", "user_id", "page_num", "page_size"])
@pytest.mark.parametrize("value", ["-1", "a", "1.5", str(2**53)])
def test_invalid_field_of_the_log_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = staff_client.get_access_log(hospital.admin, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_no_statement_changes_or_deletes_an_entry() -> None:
    sources = Path(chalicelib.__file__ or "").parent.rglob("*.py")
    texts = [
        one.value
        for path in sources
        for one in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and "patient_access" in one.value
    ]
    assert len(texts) >= 2
    assert [text for text in texts if re.search(r"\b(?:UPDATE|DELETE|REPLACE|TRUNCATE)\b", text)] == []
