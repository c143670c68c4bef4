"""The list of doctors for patients."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import doctors, staff
from chalicelib.people.doctors import Profile
from chalicelib.people.roles import Role
from tests.support import factories
from tests.support.client import ApiResponse, get
from tests.support.factories import Hospital, Person

pytestmark = pytest.mark.usefixtures("everyone")

PATH = "/pati_service/manager_service/doctor_list"


def list_doctors(person: Person, **query: Any) -> ApiResponse:
    return get(PATH, person.token, **{"page_num": 1, "page_size": 10, **query})


def get_names(response: ApiResponse) -> list[str]:
    return [one["doctor_name"] for one in response.data["list"]]


def set_profile(doctor: Person, **profile: Any) -> None:
    mysql.run_transaction(lambda tx: doctors.update(tx, doctor.tenant_id, doctor.user_id, Profile(**profile)))


def test_doctors_are_listed_in_the_hospitals_order(hospital: Hospital) -> None:
    set_profile(hospital.chen, sort=2)
    set_profile(hospital.zhou, sort=1)
    for person in (hospital.lin, hospital.chen, hospital.desk, hospital.admin):
        assert get_names(list_doctors(person)) == ["周医生", "陈医生"]


def test_doctors_with_equal_order_are_listed_by_creation(hospital: Hospital) -> None:
    assert get_names(list_doctors(hospital.lin)) == ["陈医生", "周医生"]


def test_doctor_shows_the_profile(hospital: Hospital) -> None:
    set_profile(hospital.chen, title="特聘专家", duty_code="4", expert="呼吸系统疾病", photo_key="1/files/chen.jpg")
    set_profile(hospital.zhou, duty_code="4", sort=9)
    chen, zhou = list_doctors(hospital.lin).data["list"]
    assert "/1/files/chen.jpg?" in chen.pop("doctor_photo_url")
    assert chen == {
        "doctor_id": str(hospital.chen.user_id),
        "doctor_name": "陈医生",
        "doctor_title": "特聘专家",
        "doctor_expert": "呼吸系统疾病",
    }
    assert (zhou["doctor_title"], zhou["doctor_photo_url"], zhou["doctor_expert"]) == ("主任医师", "", "")


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        *(("陈", ["陈医生"]), ("医生", ["陈医生", "周医生"]), ("周医生", ["周医生"]), ("", ["陈医生", "周医生"])),
        *(("李", []), ("%", []), ("_", []), ("\\", []), ("陈%生", []), ("陈_生", []), ("' OR 1=1 --", [])),
    ],
)
def test_doctor_is_found_by_any_part_of_the_name(hospital: Hospital, part: str, expected: list[str]) -> None:
    assert get_names(list_doctors(hospital.lin, doctor_name=part)) == expected


def test_wildcard_in_a_name_is_matched_literally(hospital: Hospital) -> None:
    factories.create_staff(hospital.tenant_id, "13900000009", "王_%\\医生", "doctor")
    for part in ("_", "%", "\\", "_%\\"):
        assert get_names(list_doctors(hospital.lin, doctor_name=part)) == ["王_%\\医生"]


def test_other_roles_and_disabled_doctors_are_not_listed(hospital: Hospital) -> None:
    staff.set_disabled(mysql.autocommit, hospital.tenant_id, hospital.chen.user_id, True)
    staff.set_role(mysql.autocommit, hospital.tenant_id, hospital.zhou.user_id, Role.ADMIN)
    data = list_doctors(hospital.lin).data
    assert (data["list"], data["total"], data["pages"]) == ([], 0, 0)


def test_list_is_paged(hospital: Hospital) -> None:
    for number in range(3):
        factories.create_staff(hospital.tenant_id, f"1390000001{number}", f"医生{number}", "doctor")
    pages = [list_doctors(hospital.lin, page_num=number, page_size="2") for number in (1, 2, 3, 4)]
    assert [get_names(page) for page in pages] == [["陈医生", "周医生"], ["医生0", "医生1"], ["医生2"], []]
    assert [pages[1].data[name] for name in ("page_num", "page_size", "total", "pages")] == [2, 2, 5, 3]
    assert list_doctors(hospital.lin, page_size=1000).data["page_size"] == 100


def test_doctors_of_other_hospitals_are_not_listed(hospital: Hospital, other_hospital: Hospital) -> None:
    factories.create_staff(other_hospital.tenant_id, "13900000009", "客座医生", "doctor")
    assert "客座医生" not in get_names(list_doctors(hospital.lin))


@pytest.mark.parametrize("name", ["page_num", "page_size"])
@pytest.mark.parametrize("value", ["", "0", "-1", "a", "1.5", str(2**53)])
def test_invalid_page_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = list_doctors(hospital.lin, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_page_is_required_and_name_has_a_limit(hospital: Hospital) -> None:
    assert get(PATH, hospital.lin.token).error == "page_num：必填；page_size：必填"
    assert list_doctors(hospital.lin, doctor_name="陈" * 65).error.startswith("doctor_name：")
