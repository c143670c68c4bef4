"""Departments and doctors' profiles: departments, save_department, department_photo, doctor_profiles, save_doctor,
doctor_photo."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.files.confirmation import NOT_UPLOADED_TEXT
from tests.support import file_samples, multipart_forms
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.staff_client import STAFF_PATH
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.usefixtures("everyone")

PNG = file_samples.build_file("png", 100)
PICTURE = {"file_extension": "png", "file_type": "image/png"}


def save_department(person: Person, name: Any = "内科", **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/save_department", person.token, name=name, **fields)


def request_department_photo_form(person: Person, dept_id: Any, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/department_photo", person.token, dept_id=dept_id, **{**PICTURE, **fields})


def list_departments(person: Person) -> list[tuple[str, int]]:
    return [(one["name"], one["order"]) for one in get(f"{STAFF_PATH}/departments", person.token).data]


def save_doctor(person: Person, doctor_id: Any, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/save_doctor", person.token, doctor_id=doctor_id, **fields)


def list_profiles(person: Person, **query: Any) -> list[dict[str, Any]]:
    return list(get(f"{STAFF_PATH}/doctor_profiles", person.token, **query).data["list"])


def request_photo_form(person: Person, doctor_id: Any, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/doctor_photo", person.token, doctor_id=doctor_id, **{**PICTURE, **fields})


def test_departments_are_listed_in_the_given_order(hospital: Hospital) -> None:
    for name, order in (("内科", 3), ("外科", 1), ("儿科", 3)):
        save_department(hospital.admin, name, order=order)
    for person in (hospital.chen, hospital.desk, hospital.admin):
        assert list_departments(person) == [("外科", 1), ("内科", 3), ("儿科", 3)]


def test_department_is_renamed_and_reordered(hospital: Hospital) -> None:
    dept_id = save_department(hospital.admin).data["dept_id"]
    for _ in range(2):
        assert save_department(hospital.admin, "呼吸内科", dept_id=dept_id, order=2).data == {"dept_id": dept_id}
    assert list_departments(hospital.admin) == [("呼吸内科", 2)]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"file_extension": "pdf", "file_type": ""}, "file_extension"),
        ({"file_size": -1}, "file_size"),
        ({"dept_id": ""}, "dept_id"),
    ],
)
def test_department_photo_must_be_a_picture(hospital: Hospital, fields: dict[str, Any], name: str) -> None:
    dept_id = save_department(hospital.admin).data["dept_id"]
    response = request_department_photo_form(hospital.admin, **{"dept_id": dept_id, **fields})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_department_name_is_unique(hospital: Hospital, other_hospital: Hospital) -> None:
    save_department(hospital.admin)
    other = save_department(hospital.admin, "外科").data["dept_id"]
    for response in (save_department(hospital.admin, order=5), save_department(hospital.admin, dept_id=other)):
        assert (response.status, response.error) == (409, "科室名称已存在")
    assert save_department(other_hospital.admin).status == 200


@pytest.mark.usefixtures("frozen_clock")
def test_double_click_creates_one_department(hospital: Hospital) -> None:
    responses = run_in_threads([lambda: save_department(hospital.admin, order=3)] * 4)
    assert len({one.data["dept_id"] for one in responses}) == 1
    assert list_departments(hospital.admin) == [("内科", 3)]
    mysql.autocommit.execute(
        "UPDATE departments SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s", id=hospital.tenant_id
    )
    assert save_department(hospital.admin, order=3).status == 409


def test_department_shows_saved_fields_and_keeps_absent_ones(hospital: Hospital) -> None:
    dept_id = save_department(hospital.admin, order=3, introduction="咳嗽、哮喘").data["dept_id"]
    form = request_department_photo_form(hospital.admin, dept_id).data
    fields = {"dept_id": dept_id, "photo_file_id": form["file_id"]}
    response = save_department(hospital.admin, **fields)
    assert (response.status, response.error) == (409, NOT_UPLOADED_TEXT)
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), PNG).status == 204
    for _ in range(2):
        assert save_department(hospital.admin, "呼吸内科", **fields).status == 200
    other = save_department(hospital.admin, "外科").data["dept_id"]
    assert save_department(hospital.admin, "外科", **{**fields, "dept_id": other}).status == 404, "another's photo"
    [first, found] = get(f"{STAFF_PATH}/departments", hospital.chen.token).data
    assert (first["introduction"], first["photo_url"]) == ("", "")
    assert (found["name"], found["order"], found["introduction"]) == ("呼吸内科", 3, "咳嗽、哮喘")
    tomorrow = (clock.today() + timedelta(1)).isoformat()
    add = {"dept_id": dept_id, "date": tomorrow, "half": "AM", "begin": "08:00", "end": "12:00", "slots": 4}
    post(f"{STAFF_PATH}/save_schedule", hospital.desk.token, **add)
    for path, picture in (
        ("schedule_by_date", "deptAvatar"),
        ("schedule_by_doctor", "deptPortrait"),
        ("schedule/info", "deptPortrait"),
    ):
        pending = {"deptId": dept_id, "date": tomorrow}
        shown = get(f"/pati_service/tenant_service/{path}", hospital.lin.token, **pending).data
        [one] = shown if isinstance(shown, list) else shown["list"]
        assert one["deptDesp"] == "咳嗽、哮喘"
        assert multipart_forms.send_request("GET", one[picture]).body == PNG
    save_department(hospital.admin, "呼吸内科", dept_id=dept_id, photo_file_id="", introduction="")
    assert get(f"{STAFF_PATH}/departments", hospital.chen.token).data[1]["photo_url"] == ""


def test_department_of_another_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    dept_id = save_department(hospital.admin).data["dept_id"]
    assert save_department(other_hospital.admin, "改名", dept_id=dept_id).status == 404
    assert request_department_photo_form(other_hospital.admin, dept_id).error == "科室不存在"
    assert save_doctor(other_hospital.admin, other_hospital.chen.user_id, dept_id=dept_id).error == "科室不存在"
    assert list_departments(other_hospital.admin) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("name", one) for one in (None, "", " ", "x" * 65, 5)),
        *(("order", one) for one in (-1, "a", 10**9, True)),
        *(("introduction", one) for one in ("x" * 4001, "a\x00", 5)),
        ("photo_file_id", "a"),
        ("dept_id", "a"),
    ],
)
def test_invalid_field_of_a_department_is_named(hospital: Hospital, name: str, value: Any) -> None:
    response = save_department(hospital.admin, **{"name": "内科", name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)
    assert list_departments(hospital.admin) == []


def test_profile_shows_saved_fields_and_keeps_absent_ones(hospital: Hospital) -> None:
    dept_id, chen = save_department(hospital.admin).data["dept_id"], hospital.chen.user_id
    profile = {
        "dept_id": dept_id,
        "duty_code": "4",
        "title": "特聘专家",
        "expert": "呼吸",
        "introduction": "二十年",
        "order": 5,
    }
    for _ in range(2):
        assert save_doctor(hospital.admin, chen, **profile).data is None
    (found,) = list_profiles(hospital.admin, doctor_name="陈")
    assert found == {
        **profile,
        "doctor_id": str(chen),
        "doctor_name": "陈医生",
        "dept_name": "内科",
        "photo_url": "",
    }
    save_doctor(hospital.admin, chen, title="", dept_id="", duty_code=3)
    (changed,) = list_profiles(hospital.admin, doctor_name="陈")
    assert changed == {**found, "title": "", "dept_id": "", "dept_name": "", "duty_code": "3"}


def test_uploaded_photo_is_shown(hospital: Hospital) -> None:
    chen = hospital.chen.user_id
    form = request_photo_form(hospital.admin, chen).data
    fields = {"photo_file_id": form["file_id"]}
    response = save_doctor(hospital.admin, chen, **fields)
    assert (response.status, response.error) == (409, NOT_UPLOADED_TEXT)
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), PNG).status == 204
    for _ in range(2):
        assert save_doctor(hospital.admin, chen, **fields).status == 200
    (found,) = list_profiles(hospital.admin, doctor_name="陈")
    assert multipart_forms.send_request("GET", found["photo_url"]).body == PNG
    listed = get(f"{STAFF_PATH}/doctor_list", hospital.lin.token, page_num=1, page_size=10, doctor_name="陈").data[
        "list"
    ]
    assert multipart_forms.send_request("GET", listed[0]["doctor_photo_url"]).body == PNG
    assert save_doctor(hospital.admin, hospital.zhou.user_id, **fields).status == 404, "it is Chen's photo"
    save_doctor(hospital.admin, chen, photo_file_id="")
    assert list_profiles(hospital.admin, doctor_name="陈")[0]["photo_url"] == ""


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"file_extension": "pdf", "file_type": "application/pdf"}, "file_extension"),
        ({"file_type": 7}, "file_type"),
        ({"file_size": -1}, "file_size"),
        ({"file_size": 5 * 1024 * 1024 + 1}, "file_size"),
        ({"doctor_id": "a"}, "doctor_id"),
    ],
)
def test_photo_must_be_a_picture_of_at_most_5_mb(hospital: Hospital, fields: dict[str, Any], name: str) -> None:
    response = request_photo_form(hospital.admin, **{"doctor_id": hospital.chen.user_id, **fields})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_only_doctors_of_the_hospital_have_a_profile(hospital: Hospital, other_hospital: Hospital) -> None:
    for user_id in (hospital.desk.user_id, hospital.lin.user_id, other_hospital.chen.user_id):
        for response in (
            save_doctor(hospital.admin, user_id, title="院长"),
            request_photo_form(hospital.admin, user_id),
        ):
            assert (response.status, response.error) == (404, "医生不存在")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("doctor_id", ["", "a", 0, True, None]),
        ("dept_id", ["a", -1]),
        ("duty_code", ["5", "主任", 5, True]),
        ("title", ["x" * 65, 5]),
        ("expert", ["x" * 256]),
        ("introduction", ["x" * 4001]),
        ("order", [-1, "a"]),
        ("photo_file_id", ["a", -1]),
    ],
)
def test_invalid_field_is_named_and_changes_nothing(hospital: Hospital, name: str, values: list[Any]) -> None:
    before = list_profiles(hospital.admin)
    for value in values:
        response = save_doctor(
            hospital.admin, **{"doctor_id": hospital.chen.user_id, "introduction": "新", name: value}
        )
        assert (response.status, response.error.partition("：")[0]) == (400, name), value
    assert list_profiles(hospital.admin) == before
