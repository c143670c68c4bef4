"""Public calendar: depts, schedule_by_date, schedule_by_doctor, schedule, schedule/left_appo, schedule/info."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import departments, doctors, staff
from chalicelib.people.doctors import Profile
from tests.support.booking_client import AFTERNOON, BookingDepartment, freeze_clock, get_iso_date
from tests.support.factories import Person

CONTRACT_NAMES = {
    "dept_id": "deptId",
    "doctor_id": "doctorId",
    "schedule_id": "scheduleId",
    "page_num": "pageNo",
    "page_size": "pageSize",
}


def test_departments_are_in_the_tenants_order(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    first = mysql.run_transaction(lambda tx: departments.create(tx, department.hospital.tenant_id, "儿科", -1))
    assert department.get_public("depts").data == [
        {"deptId": str(first), "deptName": "儿科"},
        {"deptId": str(department.dept_id), "deptName": "呼吸内科"},
    ]
    assert [one["deptId"] for one in other_department.get_public("depts").data] == [str(other_department.dept_id)]


def test_day_has_an_entry_for_each_doctor_and_type(department: BookingDepartment) -> None:
    profile = Profile(duty_code="4", introduction="从医二十年。", sort=2)
    mysql.run_transaction(
        lambda tx: doctors.update(tx, department.hospital.tenant_id, department.hospital.chen.user_id, profile)
    )
    department.create_schedule()
    department.create_schedule(**{**AFTERNOON, "bookfee": 10})
    department.create_schedule(doctor_id=department.hospital.zhou.user_id)
    department.create_schedule(doctor_id="", type=0, bookfee=0)
    page = department.get_public("schedule_by_date", deptId=department.dept_id, date=get_iso_date(1)).data
    assert [one["doctorName"] for one in page["list"]] == ["", "周医生", "陈医生"]
    assert page["list"][2] == {
        "doctorId": str(department.hospital.chen.user_id),
        "doctorName": "陈医生",
        "doctorAvatar": "",
        "doctorTitle": "主任医师",
        "doctorDesp": "从医二十年。",
        "deptId": str(department.dept_id),
        "deptName": "呼吸内科",
        "deptAvatar": "",
        "deptDesp": "",
        "date": get_iso_date(1),
        "type": 1,
        "status": 1,
        "bookfee": 10,
    }
    second = department.get_public(
        "schedule_by_date", deptId=department.dept_id, date=get_iso_date(1), pageNo=2, pageSize=2
    ).data
    assert (second["page_num"], second["total"], second["pages"]) == (2, 3, 2)
    assert second["list"] == page["list"][2:]
    beyond = department.get_public("schedule_by_date", deptId=department.dept_id, date=get_iso_date(1), pageNo=9).data
    assert (beyond["total"], beyond["list"]) == (3, [])
    department.create_schedule(**{**AFTERNOON, "date": get_iso_date(2), "type": 0})
    department.create_schedule(date=get_iso_date(2))
    found = department.get_public("schedule_by_date", deptId=department.dept_id, date=get_iso_date(2)).data["list"]
    assert [one["type"] for one in found] == [0, 1]


def test_doctors_with_bookable_schedules_are_listed(department: BookingDepartment) -> None:
    department.create_schedule(date=get_iso_date(14))
    department.create_schedule(doctor_id=department.hospital.zhou.user_id, date=get_iso_date(15))
    found = department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"]
    assert [(one["doctorName"], one["status"], one["deptPortrait"]) for one in found] == [("陈医生", 1, "")]


def test_doctor_with_a_full_morning_is_bookable_in_the_afternoon(department: BookingDepartment, lin: Person) -> None:
    morning = department.create_schedule(slots=1)
    department.create_schedule(**AFTERNOON)
    department.book_slot(lin, morning)
    assert (
        department.get_public("schedule_by_date", deptId=department.dept_id, date=get_iso_date(1)).data["list"][0][
            "status"
        ]
        == 1
    )
    assert department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"][0]["status"] == 1


def test_doctor_day_has_two_half_days(department: BookingDepartment) -> None:
    morning = department.create_schedule()
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    assert department.get_public("schedule", **query, date=get_iso_date(1)).data == {
        "date": get_iso_date(1),
        "scheduleAM": {
            "scheduleId": morning,
            "type": 1,
            "bookfee": 12.5,
            "leftCount": 4,
            "scheAdderss": "A 区",
            "releaseTime": "",
        },
        "schedulePM": None,
    }
    assert department.get_public("schedule", **query).data == {
        "date": get_iso_date(0),
        "scheduleAM": None,
        "schedulePM": None,
    }
    assert (
        department.get_public("schedule", deptId=department.dept_id, doctorId="", date=get_iso_date(1)).data[
            "scheduleAM"
        ]
        is None
    )


def test_empty_parameter_equals_an_omitted_one(department: BookingDepartment) -> None:
    department.create_schedule()
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    for path, name in (("schedule", "date"), ("schedule/info", "days")):
        assert department.get_public(path, **query, **{name: ""}).data == department.get_public(path, **query).data


def test_both_spellings_of_parameters_are_accepted(department: BookingDepartment) -> None:
    schedule_id, chen = department.create_schedule(), department.hospital.chen.user_id
    page = {"page_num": 1, "page_size": 5}
    for path, query in (
        ("schedule_by_date", {"dept_id": department.dept_id, "date": get_iso_date(1), **page}),
        ("schedule_by_doctor", {"dept_id": department.dept_id, **page}),
        ("schedule", {"dept_id": department.dept_id, "doctor_id": chen, "date": get_iso_date(1)}),
        ("schedule/left_appo", {"schedule_id": schedule_id}),
        ("schedule/info", {"dept_id": department.dept_id, "doctor_id": chen, "days": 9}),
    ):
        contract_query = {CONTRACT_NAMES.get(name, name): value for name, value in query.items()}
        assert department.get_public(path, **query).data == department.get_public(path, **contract_query).data


def test_slots_divide_the_half_day(department: BookingDepartment) -> None:
    found = department.get_public("schedule/left_appo", scheduleId=department.create_schedule(slots=7)).data
    assert [one["time"] for one in found] == ["08:00", "08:34", "09:08", "09:42", "10:17", "10:51", "11:25"]
    assert [one["serialNo"] for one in found] == [1, 2, 3, 4, 5, 6, 7]


def test_past_slots_do_not_remain(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(0))
    freeze_clock(monkeypatch, "07:59")
    assert department.list_free_serial_nos(schedule_id) == [1, 2, 3, 4]
    freeze_clock(monkeypatch, "10:00")
    assert department.list_free_serial_nos(schedule_id) == [4]
    freeze_clock(monkeypatch, "11:00")
    assert department.list_free_serial_nos(schedule_id) == []
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    assert department.get_public("schedule", **query).data["scheduleAM"]["leftCount"] == 0
    assert department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"][0]["status"] == 2


def test_doctor_info_counts_remaining_slots_of_coming_days(department: BookingDepartment) -> None:
    for ahead in (0, 1, 3, 8, 15):
        department.create_schedule(date=get_iso_date(ahead))
    department.create_schedule(**AFTERNOON)
    query = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}

    def list_remaining(**more: Any) -> list[tuple[str, int]]:
        [one] = department.get_public("schedule/info", **query, **more).data
        assert one["doctorName"] == "陈医生"
        return [(entry["date"], entry["leftCount"]) for entry in one["leftBookCountList"]]

    assert list_remaining() == [(get_iso_date(1), 7), (get_iso_date(3), 4)]
    assert list_remaining(days=30) == [(get_iso_date(1), 7), (get_iso_date(3), 4), (get_iso_date(8), 4)]
    department.save_rules(days_ahead=15)
    assert list_remaining(days=30)[-1] == (get_iso_date(15), 4)
    [clinic] = department.get_public("schedule/info", deptId=department.dept_id).data
    assert (clinic["doctorId"], clinic["leftBookCountList"]) == ("", [])


def test_doctor_who_left_is_not_shown(department: BookingDepartment) -> None:
    schedule_id = department.create_schedule()
    chen = department.hospital.chen
    mysql.run_transaction(lambda tx: staff.set_disabled(tx, chen.tenant_id, chen.user_id, True))
    assert department.get_public("schedule_by_date", deptId=department.dept_id, date=get_iso_date(1)).data["list"] == []
    assert department.get_public("schedule_by_doctor", deptId=department.dept_id).data["list"] == []
    for path, query in (
        ("schedule", {"deptId": department.dept_id, "doctorId": chen.user_id, "date": get_iso_date(1)}),
        ("schedule/info", {"deptId": department.dept_id, "doctorId": chen.user_id}),
    ):
        assert department.get_public(path, **query).status == 404
    assert department.list_free_serial_nos(schedule_id) == []


def test_schedule_of_a_doctor_without_profile_row_is_left_out(department: BookingDepartment) -> None:
    department.create_schedule()
    department.create_schedule(doctor_id="")
    # As if the profile were inserted between the statement that reads doctors and the one that reads schedules.
    mysql.autocommit.execute("DELETE FROM doctors WHERE user_id = %(id)s", id=department.hospital.chen.user_id)
    for path in ("schedule_by_date", "schedule_by_doctor"):
        found = department.get_public(path, deptId=department.dept_id, date=get_iso_date(1)).data["list"]
        assert [one["doctorName"] for one in found] == [""]


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("schedule_by_date", {"date": get_iso_date(1)}, "deptId"),
        ("schedule_by_date", {"deptId": 1}, "date"),
        ("schedule_by_date", {"deptId": "x", "date": get_iso_date(1)}, "deptId"),
        ("schedule_by_date", {"deptId": 1, "date": "2026-02-30"}, "date"),
        ("schedule_by_date", {"deptId": 1, "date": "明天"}, "date"),
        ("schedule_by_date", {"deptId": 1, "date": get_iso_date(1), "pageNo": -1}, "pageNo"),
        ("schedule_by_date", {"deptId": 1, "date": get_iso_date(1), "pageSize": "x"}, "pageSize"),
        ("schedule_by_doctor", {}, "deptId"),
        ("schedule", {"deptId": ""}, "deptId"),
        ("schedule", {"deptId": 1, "doctorId": "x"}, "doctorId"),
        ("schedule", {"deptId": 1, "date": "x"}, "date"),
        ("schedule/left_appo", {}, "scheduleId"),
        ("schedule/left_appo", {"scheduleId": 0}, "scheduleId"),
        ("schedule/info", {}, "deptId"),
        ("schedule/info", {"deptId": 1, "days": -1}, "days"),
        ("schedule/info", {"deptId": 1, "days": 181}, "days"),
    ],
)
def test_invalid_parameter_is_named(
    department: BookingDepartment, path: str, query: dict[str, Any], field: str
) -> None:
    response = department.get_public(path, **query)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")


def test_days_that_cannot_be_booked_are_rejected(department: BookingDepartment) -> None:
    for path in ("schedule_by_date", "schedule"):
        for ahead, why in ((-1, "date：不能早于今天"), (15, "date：只能预约今天起 14 天内的号源")):
            response = department.get_public(path, deptId=department.dept_id, date=get_iso_date(ahead))
            assert (response.status, response.error) == (400, why)
        assert department.get_public(path, deptId=department.dept_id, date=get_iso_date(14)).status == 200
    assert (
        department.list_free_serial_nos(department.create_schedule(date=get_iso_date(15))),
        department.list_free_serial_nos(department.create_schedule(date=get_iso_date(14))),
    ) == ([], [1, 2, 3, 4])


def test_objects_of_another_tenant_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment
) -> None:
    schedule_id = other_department.create_schedule()
    for path, query in (
        ("schedule_by_date", {"deptId": other_department.dept_id, "date": get_iso_date(1)}),
        ("schedule_by_doctor", {"deptId": other_department.dept_id}),
        ("schedule", {"deptId": other_department.dept_id}),
        ("schedule", {"deptId": department.dept_id, "doctorId": other_department.hospital.chen.user_id}),
        ("schedule/left_appo", {"scheduleId": schedule_id}),
        ("schedule/info", {"deptId": other_department.dept_id}),
        ("schedule/info", {"deptId": department.dept_id, "doctorId": other_department.hospital.chen.user_id}),
    ):
        response = department.get_public(path, **query)
        assert (response.status, response.code) == (404, 10004)
