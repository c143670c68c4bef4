"""Front desk: register_booking and day_bookings."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.people import doctors, formatting
from chalicelib.people.doctors import Profile
from tests.support import booking_client, factories, front_desk_client
from tests.support.booking_client import (
    AFTERNOON,
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    freeze_clock,
    get_iso_date,
    list_rows,
)
from tests.support.client import ApiResponse, get
from tests.support.factories import Person
from tests.support.id_numbers import build_unused_id_number


def list_day(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/day_bookings", person.token, **{"date": get_iso_date(0), **query})


@pytest.fixture
def at_seven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Today at 07:00."""
    freeze_clock(monkeypatch, "07:00")


@pytest.mark.usefixtures("at_seven")
def test_booking_is_registered_by_id_or_code(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(0))
    first, second = department.book_slot(lin, schedule_id, 2), department.book_slot(wang, schedule_id, 3)
    code = department.get_booking(wang, second).data["bookCode"]
    for _ in range(2):  # the same request twice
        assert department.register(book_id=first).data == {"book_id": first, "visi_serialno": "2"}
        assert department.register(book_code=code).data == {"book_id": second, "visi_serialno": "3"}
    found = get(f"{BOOKING_PATH}/books", lin.token).data["list"]
    assert [(one["bookStatus"], one["visiSerialno"]) for one in found] == [(2, "2")]
    assert str(list_rows("patients", department.hospital)[0]["trea_id"]) == first
    registered = [one for one in department.list_notification_jobs() if one[1] == EventType.BOOKING_REGISTERED]
    assert len(registered) == len(set(registered)) == 2
    assert department.cancel(lin, first).error == "该预约已挂号或已失约，不能取消，如需办理请联系医院前台"


def test_booking_is_registered_on_its_day_only(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    assert department.register(book_id=book_id).error == f"只能在就诊当天（{get_iso_date(1)}）挂号"
    freeze_clock(monkeypatch, "23:59", ahead=1)
    assert department.register(book_id=book_id).status == 200, "late patients are registered"


def test_booking_is_not_registered_the_day_after(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    freeze_clock(monkeypatch, "00:00", ahead=2)
    assert department.register(book_id=book_id).error == f"只能在就诊当天（{get_iso_date(-1)}）挂号"


@pytest.mark.usefixtures("at_seven")
def test_two_tenants_may_use_the_same_code(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.randbelow", lambda _: 7)
    other_booking = other_department.book_slot(
        other_department.hospital.lin, other_department.create_schedule(date=get_iso_date(0))
    )
    own = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    code = department.get_booking(lin, own).data["bookCode"]
    assert code == other_department.get_booking(other_department.hospital.lin, other_booking).data["bookCode"]
    assert [one.register(book_code=code).data["book_id"] for one in (department, other_department)] == [
        own,
        other_booking,
    ]


@pytest.mark.usefixtures("at_seven")
def test_cancelled_booking_or_booking_of_another_tenant_is_not_registered(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person
) -> None:
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    department.cancel(lin, book_id)
    assert department.register(book_id=book_id).error == "该预约已取消或已失约"
    other_booking = other_department.book_slot(
        other_department.hospital.lin, other_department.create_schedule(date=get_iso_date(0))
    )
    assert department.register(book_id=other_booking).status == 404
    assert (
        department.register(
            book_code=other_department.get_booking(other_department.hospital.lin, other_booking).data["bookCode"]
        ).status
        == 404
    )
    assert other_department.get_status(other_department.hospital.lin, other_booking) == 0


@pytest.mark.usefixtures("at_seven")
def test_booking_of_a_stopped_schedule_is_not_registered(
    department: BookingDepartment, lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # the job that cancels its bookings has not run
    schedule_id = department.create_schedule(date=get_iso_date(0))
    registered, waiting = department.book_slot(lin, schedule_id, 1), department.book_slot(wang, schedule_id, 2)
    department.register(book_id=registered)
    department.stop_schedule(schedule_id)
    response = department.register(book_id=waiting)
    assert (response.status, response.error) == (409, "该排班已停诊")
    assert department.register(book_id=registered).status == 200, "a registered booking stays registered"
    assert [department.get_status(lin, registered), department.get_status(wang, waiting)] == [2, 0]


@pytest.mark.parametrize(
    ("which", "field"),
    [
        *(({}, "book_id"), ({"book_id": ""}, "book_id"), ({"book_id": "", "book_code": ""}, "book_id")),
        *(({"book_id": "x"}, "book_id"), ({"book_id": 0}, "book_id")),
        *(({"book_code": "12"}, "book_code"), ({"book_code": "x" * 14}, "book_code"), ({"book_code": 1}, "book_code")),
    ],
)
def test_invalid_field_is_named(department: BookingDepartment, which: dict[str, Any], field: str) -> None:
    response = department.register(**which)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, field)


def test_unknown_booking_is_not_registered(department: BookingDepartment) -> None:
    for which in ({"book_id": 999_999_999}, {"bookCode": "2" * 14}, {"appo_id": "999999999"}):
        response = department.register(**which)
        assert (response.status, response.error) == (404, "预约不存在")


@pytest.mark.store
@pytest.mark.usefixtures("at_seven")
def test_concurrent_registration_and_cancellation_have_one_winner(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    schedule_id = department.create_schedule(date=get_iso_date(0))
    for person, slot in ((lin, 1), (wang, 2)):
        book_id = department.book_slot(person, schedule_id, slot)
        with ThreadPoolExecutor(6) as pool:
            registered = [pool.submit(department.register, book_id=book_id) for _ in range(3)]
            cancelled = [pool.submit(department.cancel, person, book_id) for _ in range(3)]
            results = {one.result().status for one in registered}, {one.result().status for one in cancelled}
        assert results == (({200}, {409}) if department.get_status(person, book_id) == 2 else ({409}, {200}))
    assert len([one for one in department.list_notification_jobs() if one[1] != EventType.BOOKING_MADE]) == 2


def test_day_list_is_ordered_by_time_and_masks_phones(department: BookingDepartment, lin: Person, wang: Person) -> None:
    schedule_id = department.create_schedule()
    second, first = department.book_slot(wang, schedule_id, 3), department.book_slot(lin, schedule_id, 2)
    found = list_day(department.hospital.chen, date=get_iso_date(1)).data
    assert [one["book_id"] for one in found["list"]] == [first, second]
    [row] = [row for row in list_rows("bookings", department.hospital) if str(row["book_id"]) == first]
    assert found["list"][0] == {
        "book_id": first,
        "book_code": row["book_code"],
        "book_status": 0,
        "time": "09:00",
        "serial_no": 2,
        "dept_name": "呼吸内科",
        "doctor_name": "陈医生",
        "type": 1,
        "pati_id": str(row["pati_id"]),
        "pati_name": "林小雨",
        "pati_gender": 2,
        "pati_age": formatting.format_age("1990-05-17", clock.today()),
        "pati_phone": "138****0001",
        "visi_charge": 1,
        "verified": True,
        "conflict": False,
    }
    department.cancel(lin, first)
    page = list_day(department.hospital.desk, date=get_iso_date(1), page_size=1).data
    assert (page["total"], page["list"][0]["book_id"]) == (1, second)


def test_doctors_see_the_general_clinic_of_their_department(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    chen, zhou, desk = department.hospital.chen, department.hospital.zhou, department.hospital.desk
    pediatrics = booking_client.create_department(department.hospital, "儿科")
    for doctor, dept_id in ((chen, department.dept_id), (zhou, pediatrics.dept_id)):
        profile = Profile(dept_id=dept_id)
        mysql.run_transaction(lambda tx: doctors.update(tx, doctor.tenant_id, doctor.user_id, profile))  # noqa: B023  # at once
    own = department.book_slot(lin, department.create_schedule())
    clinic = department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))
    other_department.book_slot(other_department.hospital.lin, other_department.create_schedule(doctor_id=""))

    def list_book_ids(person: Person, **query: Any) -> list[str]:
        return [one["book_id"] for one in list_day(person, date=get_iso_date(1), **query).data["list"]]

    assert [list_book_ids(one) for one in (chen, zhou, desk)] == [[own, clinic], [], [own, clinic]]
    assert list_book_ids(chen, doctor_id=chen.user_id) == [own]
    assert list_book_ids(zhou, dept_id=department.dept_id) == []


def test_doctors_see_their_own_bookings_and_the_front_desk_all(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, wang: Person
) -> None:
    department.book_slot(lin, department.create_schedule())
    department.book_slot(wang, department.create_schedule(**{**AFTERNOON, "doctor_id": ""}))
    chen, zhou, desk = department.hospital.chen, department.hospital.zhou, department.hospital.desk
    assert [list_day(one, date=get_iso_date(1)).data["total"] for one in (chen, zhou, desk)] == [1, 0, 2]
    assert list_day(zhou, date=get_iso_date(1), doctor_id=chen.user_id).status == 404
    assert list_day(desk, date=get_iso_date(1), doctor_id=chen.user_id).data["total"] == 1
    assert list_day(desk, date=get_iso_date(1), dept_id=department.dept_id).data["total"] == 2
    assert list_day(desk, date=get_iso_date(1), dept_id=999_999_999).data["total"] == 0
    assert list_day(other_department.hospital.desk, date=get_iso_date(1)).data["total"] == 0


@pytest.mark.parametrize(
    "wrong", [{"date": ""}, {"date": "x"}, {"dept_id": "x"}, {"doctor_id": -1}, {"page_num": -1}, {"page_size": "x"}]
)
def test_invalid_list_parameter_is_named(department: BookingDepartment, wrong: dict[str, Any]) -> None:
    response = list_day(department.hospital.desk, **wrong)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, next(iter(wrong)))


def test_day_list_shows_unverified_patients_and_conflicts(
    department: BookingDepartment, lin: Person, wang: Person
) -> None:
    """A merge of files can give a patient two bookings in a half-day; person_live is NULL for one of them."""
    mornings = [department.create_schedule(), department.create_schedule(doctor_id=department.hospital.zhou.user_id)]
    first, moved = department.book_slot(lin, mornings[0]), department.book_slot(wang, mornings[1])
    factories.create_patient_file(wang, "王强", is_verified=False)
    third = department.book_slot(wang, mornings[0], 2)
    sql = """
        UPDATE bookings b JOIN bookings k ON k.book_id = %(first)s SET b.pati_id = k.pati_id, b.person_live = NULL,
            b.half_day_live = NULL
        WHERE b.book_id = %(moved)s
    """
    mysql.autocommit.execute(sql, first=first, moved=moved)
    query = {"date": get_iso_date(1)}
    flags = {
        one["book_id"]: (one["verified"], one["conflict"])
        for one in list_day(department.hospital.desk, **query).data["list"]
    }
    assert flags == {first: (True, True), moved: (True, True), third: (False, False)}
    department.cancel(lin, first)
    assert [one["conflict"] for one in list_day(department.hospital.desk, **query).data["list"]] == [False, False]


@pytest.mark.usefixtures("at_seven")
def test_registration_with_the_document_verifies_a_file_in_place(department: BookingDepartment, wang: Person) -> None:
    declared = front_desk_client.declare(wang, build_unused_id_number())
    book_id = department.book_slot(declared.person, department.create_schedule(date=get_iso_date(0)))
    assert department.register(book_id=book_id, document_checked="1").status == 200
    file = front_desk_client.get_file(declared.pati_id)
    assert (file["status"], file["verified_how"], file["trea_id"]) == ("verified", "registration", int(book_id))


@pytest.mark.usefixtures("at_seven")
def test_unverified_file_is_registered_with_the_document_only(department: BookingDepartment, wang: Person) -> None:
    declared = front_desk_client.declare(wang, build_unused_id_number())
    book_id = department.book_slot(declared.person, department.create_schedule(date=get_iso_date(0)))
    for body in ({}, {"document_checked": False}, {"reason": ""}):
        response = department.register(book_id=book_id, **body)
        assert (response.status, response.error) == (409, "身份未核验，请核对证件")
    assert department.get_status(wang, book_id) == 0
    assert list_rows("queue_entries", department.hospital) == []
    assert department.register(book_id=book_id, document_checked=True).status == 200
    assert department.register(book_id=book_id).status == 200, "registered already"
    assert list_rows("audit_log", department.hospital)[-1]["action"] != "register_unverified"


@pytest.mark.usefixtures("at_seven")
def test_registration_that_cannot_verify_needs_a_reason(department: BookingDepartment, wang: Person) -> None:
    number, desk = build_unused_id_number(), department.hospital.desk
    verified = front_desk_client.file_patient(desk, number, pati_name="林大雨")
    declared = front_desk_client.declare(wang, number)
    book_id = department.book_slot(declared.person, department.create_schedule(date=get_iso_date(0)))
    text = f"该证件已登记在档案 {verified}，姓名不同，请核对；如确为同一人请合并档案"
    for body in ({}, {"reason": "新生儿，尚无证件"}):
        response = department.register(book_id=book_id, document_checked=True, **body)
        assert (response.status, response.error) == (409, text)
    assert department.get_status(wang, book_id) == 0
    assert department.register(book_id=book_id, reason="姓名有误，待合并档案").status == 200


@pytest.mark.usefixtures("at_seven")
def test_verification_is_undone_with_a_rejected_registration(department: BookingDepartment, wang: Person) -> None:
    declared = front_desk_client.declare(wang, build_unused_id_number())
    book_id = department.book_slot(declared.person, department.create_schedule())
    assert department.register(book_id=book_id, document_checked=True).status == 409
    assert front_desk_client.get_file(declared.pati_id)["status"] == "declared"


@pytest.mark.usefixtures("at_seven")
def test_reason_registers_a_file_without_a_document(department: BookingDepartment, lin: Person) -> None:
    pati_id = factories.create_patient_file(lin, is_verified=False)
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    assert department.register(book_id=book_id, document_checked=True).error == "该档案没有证件，请先登记证件"
    assert department.register(book_id=book_id, document_checked="x").error.startswith("document_checked：")
    for invalid in ("无", "x" * 256, "a\nb", 1):
        assert department.register(book_id=book_id, reason=invalid).error.startswith("reason：")
    assert department.register(book_id=book_id).error == "身份未核验，请核对证件"
    for _ in range(2):  # the same request twice
        assert department.register(book_id=book_id, reason="新生儿，尚无证件").status == 200
    [entry] = list_rows("audit_log", department.hospital)
    assert [entry[name] for name in ("actor", "action", "subject", "reason", "detail")] == [
        f"user:{department.hospital.desk.user_id}".encode(),
        "register_unverified",
        f"booking:{book_id}".encode(),
        "新生儿，尚无证件",
        f'{{"pati_id": {pati_id}}}',
    ]
    assert front_desk_client.get_file(pati_id)["status"] == "declared"


@pytest.mark.usefixtures("at_seven")
def test_unverified_patient_returns_with_results(department: BookingDepartment, lin: Person) -> None:
    factories.create_patient_file(lin, is_verified=False)
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    department.register(book_id=book_id, reason="急诊，未带证件")
    away = "UPDATE queue_entries SET state = 'away' WHERE book_id = %(book_id)s"
    mysql.autocommit.execute(away, book_id=book_id)
    assert department.register(book_id=book_id).status == 200
    assert [row["state"] for row in list_rows("queue_entries", department.hospital)] == ["waiting"]


@pytest.mark.usefixtures("at_seven")
def test_reason_of_a_verified_patient_is_not_recorded(department: BookingDepartment, lin: Person) -> None:
    book_id = department.book_slot(lin, department.create_schedule(date=get_iso_date(0)))
    assert department.register(book_id=book_id, reason="未带证件").status == 200
    assert list_rows("audit_log", department.hospital) == []
