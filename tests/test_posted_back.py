"""What a response shows can be posted back unchanged, empty values included, and then nothing has changed."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from devstack.fakes import wechat_pay
from devstack.fakes.wechat_pay import WeChatPay
from tests.support.accounts_client import add_member
from tests.support.booking_client import BookingDepartment, create_department, get_iso_date
from tests.support.client import get, post
from tests.support.factories import Hospital, create_patient, create_patient_file
from tests.support.front_desk_client import create_temporary, find_pati_id
from tests.support.id_numbers import build_unused_id_number
from tests.support.payment_client import CONF_PATH, build_conf
from tests.support.wechat_client import APP_ID, WECHAT_PATH, configure

STAFF_PATH, PATIENT_PATH = "/pati_service/manager_service", "/pati_service/patient_service"


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return create_department(hospital)


@pytest.fixture
def pay() -> Iterator[WeChatPay]:
    with wechat_pay.replace_real_server() as running:
        yield running


def check_posted_back(read: str, write: str, token: str, **query: Any) -> None:
    """Read objects, post each of them back, and read them again."""
    before = list_objects(get(read, token, **query).data)
    assert before
    for one in before:
        response = post(write, token, **one)
        assert response.status == 200, response.body
    assert list_objects(get(read, token, **query).data) == before


def list_objects(data: Any) -> list[dict[str, Any]]:
    if isinstance(data, dict) and "page_num" in data:
        return list(data["list"])
    return data if isinstance(data, list) else [data]


def test_profile_of_a_new_account(hospital: Hospital) -> None:
    person = create_patient(hospital.tenant_id, "13800000088", "新来的")
    mysql.autocommit.execute("DELETE FROM members WHERE user_id = %(id)s", id=person.user_id)
    check_posted_back(f"{PATIENT_PATH}/myinfo", f"{PATIENT_PATH}/myinfo", person.token)


def test_new_profiles_of_doctors_and_departments(department: BookingDepartment) -> None:
    admin = department.hospital.admin.token
    assert department.hospital.chen.token
    check_posted_back(f"{STAFF_PATH}/doctor_profiles", f"{STAFF_PATH}/save_doctor", admin)
    check_posted_back(f"{STAFF_PATH}/departments", f"{STAFF_PATH}/save_department", admin)


def test_patient_file(hospital: Hospital) -> None:
    pati_id = create_patient_file(hospital.lin)
    check_posted_back(f"{STAFF_PATH}/pati_info", f"{STAFF_PATH}/patient", hospital.desk.token, pati_id=pati_id)


@pytest.mark.parametrize("birth_year", ["", 1970])
def test_temporary_patient_file(hospital: Hospital, birth_year: Any) -> None:
    """It has no phone, and perhaps no birthday."""
    pati_id = create_temporary(hospital.desk, birth_year=birth_year).data["pati_id"]
    check_posted_back(f"{STAFF_PATH}/pati_info", f"{STAFF_PATH}/patient", hospital.desk.token, pati_id=pati_id)


@pytest.mark.parametrize("has_document", [True, False])
def test_patient_file_of_a_child(hospital: Hospital, has_document: bool) -> None:
    """With a guardian, whom the account has entered."""
    day = clock.today().replace(year=clock.today().year - 3, day=1)
    number = build_unused_id_number(f"{day:%Y%m%d}") if has_document else ""
    guardian = {
        "name": "林大山",
        "IDNo": build_unused_id_number(),
        "phone": "13800000003",
        "relation": 3,
        "consent": True,
    }
    response = add_member(hospital.lin, number, birthday=f"{day}", guardian=guardian)
    assert response.status == 200, response.body
    pati_id = find_pati_id(int(response.data["memberId"]))
    check_posted_back(f"{STAFF_PATH}/pati_info", f"{STAFF_PATH}/patient", hospital.desk.token, pati_id=pati_id)


@pytest.mark.parametrize("doctor_id", [None, ""])
def test_schedule(department: BookingDepartment, doctor_id: Any) -> None:
    assert department.create_schedule(doctor_id=doctor_id, bookfee=0, area="")
    desk = department.hospital.desk.token
    days = {"from_date": get_iso_date(1), "to_date": get_iso_date(1)}
    check_posted_back(f"{STAFF_PATH}/schedules", f"{STAFF_PATH}/save_schedule", desk, **days)


def test_booking_rules(hospital: Hospital) -> None:
    path = f"{STAFF_PATH}/booking_rules"
    check_posted_back(path, f"{STAFF_PATH}/save_booking_rules", hospital.admin.token)


def test_post_at_the_help_desk(hospital: Hospital) -> None:
    post("/message/savePost", hospital.admin.token, userId=hospital.desk.user_id, title="导诊")
    [before] = post("/message/postList", hospital.admin.token).data
    assert post("/message/savePost", hospital.admin.token, **before).status == 200
    assert post("/message/postList", hospital.admin.token).data == [before]


def test_service_info_and_templates(hospital: Hospital) -> None:
    admin = hospital.admin.token
    assert (
        post(
            f"{WECHAT_PATH}/template_id",
            admin,
            wech_temp_type=1,
            wech_temp_id="ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY",
        ).status
        == 200
    )
    for name in ("service_info", "template_id"):
        check_posted_back(f"{WECHAT_PATH}/{name}", f"{WECHAT_PATH}/{name}", admin)


def test_masked_settings(hospital: Hospital, pay: WeChatPay) -> None:
    assert configure(hospital).status == 200
    check_posted_back(f"{WECHAT_PATH}/conf", f"{WECHAT_PATH}/conf", hospital.admin.token)
    merchant = pay.add_merchant(appid=APP_ID)
    assert post(CONF_PATH, hospital.admin.token, **build_conf(merchant)).status == 200
    check_posted_back(CONF_PATH, CONF_PATH, hospital.admin.token)
