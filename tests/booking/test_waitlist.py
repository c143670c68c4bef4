"""The waitlist (候补): join, position, offers, confirmation, lapse. Races are in test_waitlist_races.py."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.jobs import scheduled, site_messages
from chalicelib.booking.waitlist import offering
from chalicelib.notifications.event_types import EventType
from tests.support import factories
from tests.support.booking_client import (
    AFTERNOON,
    BOOKING_PATH,
    STAFF_PATH,
    BookingDepartment,
    create_patient,
    create_second_account,
    freeze_clock,
    get_iso_date,
    list_rows,
    mark_paid,
)
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person
from tests.support.inbox_client import list_texts
from tests.support.wechat_notifications import list_jobs

pytestmark = pytest.mark.usefixtures("nine_o_clock")


@pytest.fixture
def schedule_id(department: BookingDepartment, lin: Person) -> str:
    """A half-day in three days whose only slot Lin has booked."""
    found = department.create_schedule(slots=1, date=get_iso_date(3))
    department.book_slot(lin, found)
    return found


@pytest.fixture
def people(department: BookingDepartment) -> list[Person]:
    return [create_patient(department, number) for number in range(3)]


def get_lins_booking(department: BookingDepartment) -> str:
    return str(list_rows("bookings", department.hospital)[0]["book_id"])


def run_offer_jobs(department: BookingDepartment) -> None:
    for payload in list_jobs(department, "offer_waitlist"):
        offering.offer_free_slots(department.hospital.tenant_id, payload)


def list_states(department: BookingDepartment) -> list[str]:
    return [row["state"] for row in list_rows("waitlist_entries", department.hospital)]


def free_slot(department: BookingDepartment, lin: Person) -> None:
    assert department.cancel(lin, get_lins_booking(department)).status == 200
    run_offer_jobs(department)


def get_offer(department: BookingDepartment, person: Person) -> str:
    """Return the bookId that the waitlist gave."""
    [one] = [one for one in department.list_waitlist(person) if one["state"] == "offered"]
    return str(one["bookId"])


def test_position_is_shown(department: BookingDepartment, schedule_id: str, people: list[Person]) -> None:
    for at, person in enumerate(people):
        [entry] = department.join_waitlist(person, schedule_id).data
        assert (entry["state"], entry["position"], entry["doctorName"]) == ("waiting", at + 1, "陈医生")
        assert department.join_waitlist(person, schedule_id).data == [entry], "a double click"
    first = department.list_waitlist(people[0])[0]["entryId"]
    for _ in range(2):
        assert department.leave_waitlist(people[0], first).data is None
    assert [department.list_waitlist(one)[0]["position"] for one in people] == [0, 1, 2]
    staff = get(f"{STAFF_PATH}/waitlist", department.hospital.desk.token, schedule_id=schedule_id).data["list"]
    assert [(one["memberName"], one["state"]) for one in staff] == [
        *(("患者0", "left"), ("患者1", "waiting"), ("患者2", "waiting"))
    ]


def test_free_slot_is_given_to_the_first_in_line(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person]
) -> None:
    for person in people:
        department.join_waitlist(person, schedule_id)
    free_slot(department, lin)
    book_id = get_offer(department, people[0])
    booking = department.get_booking(people[0], book_id).data
    assert (booking["bookStatus"], booking["confirmBy"]) == (0, f"{get_iso_date(0)} 09:30:00")
    assert list_states(department) == ["offered", "waiting", "waiting"]
    for payload in list_jobs(department, "notify_booking"):
        site_messages.notify_holder(lin.tenant_id, payload)
    expected = f"候补成功：患者0，{get_iso_date(3)} 08:00，呼吸内科 陈医生。请在 {get_iso_date(0)} 09:30 前确认"
    assert list_texts(people[0])[0].startswith(expected)
    for _ in range(2):
        assert department.confirm(people[0], book_id).data is None
    assert department.get_booking(people[0], book_id).data["confirmBy"] == ""
    assert list_states(department) == ["accepted", "waiting", "waiting"]
    scheduled.cancel_unconfirmed()
    assert department.get_status(people[0], book_id) == 0


def test_what_lapses_or_is_declined_passes_on(
    department: BookingDepartment,
    lin: Person,
    schedule_id: str,
    people: list[Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for person in people:
        department.join_waitlist(person, schedule_id)
    free_slot(department, lin)
    lapsed = get_offer(department, people[0])
    freeze_clock(monkeypatch, "09:30")
    assert department.confirm(people[0], lapsed).error == "已过确认时间，号源将让给下一位候补患者，您可重新候补"
    scheduled.cancel_unconfirmed()
    run_offer_jobs(department)
    assert department.get_booking(people[0], lapsed).data["cancelReason"] == "lapsed"
    declined = get_offer(department, people[1])
    department.cancel(people[1], declined)
    assert department.confirm(people[1], declined).error == "该预约已取消，请重新预约或候补"
    run_offer_jobs(department)
    mark_paid(get_offer(department, people[2]))
    freeze_clock(monkeypatch, "11:00")
    assert scheduled.cancel_unconfirmed() == 0
    offering.offer_all()
    assert list_states(department) == ["lapsed", "declined", "accepted"]
    freeze_clock(monkeypatch, "00:10", ahead=5)
    scheduled.mark_missed()
    missed = [row["user_id"] for row in list_rows("bookings", department.hospital) if row["status"] == 3]
    assert missed == [people[2].user_id], "neither the lapse nor the declined one is a missed visit"


def test_passers_by_do_not_get_what_is_for_waitlist(
    department: BookingDepartment, lin: Person, wang: Person, schedule_id: str, people: list[Person]
) -> None:
    department.join_waitlist(people[0], schedule_id)
    department.cancel(lin, get_lins_booking(department))
    other = department.book_slot(wang, department.create_schedule(date=get_iso_date(3), **AFTERNOON))
    expected = "该半天有患者在候补，空出的号源候补优先，可加入候补"
    for response in (
        department.submit(wang, schedule_id),
        department.reschedule(wang, other, schedule_id),
        department.book_for_patient(get_file(lin), schedule_id),
        post(f"{BOOKING_PATH}/book/presubmit", wang.token, scheduleId=schedule_id, serialNo=1),
    ):
        assert (response.status, response.error) == (409, expected)
    assert department.list_free_serial_nos(schedule_id) == []
    department.leave_waitlist(people[0], department.list_waitlist(people[0])[0]["entryId"])
    assert department.list_free_serial_nos(schedule_id) == [1], "nobody waits any more"


def get_file(person: Person) -> int:
    found = mysql.autocommit.fetch_value("SELECT pati_id FROM members WHERE member_id = %(id)s", id=person.member_id)
    return int(found)


def test_nothing_is_given_in_quiet_hours(
    department: BookingDepartment,
    lin: Person,
    wang: Person,
    schedule_id: str,
    people: list[Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    department.join_waitlist(people[0], schedule_id)
    for time in ("22:00", "06:59"):
        freeze_clock(monkeypatch, time, ahead=int(time == "06:59"))
        if time == "22:00":
            department.cancel(lin, get_lins_booking(department))
        run_offer_jobs(department)
        offering.offer_all()
        assert list_states(department) == ["waiting"]
        assert department.submit(wang, schedule_id).status == 409, "it is kept until the morning"
    freeze_clock(monkeypatch, "07:00")
    offering.offer_all()
    assert list_states(department) == ["offered"]


def test_nothing_is_given_shortly_before_the_slot(
    department: BookingDepartment,
    lin: Person,
    wang: Person,
    people: list[Person],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    schedule_id = department.create_schedule(**{**AFTERNOON, "date": get_iso_date(0), "slots": 1})
    book_id = department.book_slot(lin, schedule_id)
    department.join_waitlist(people[0], schedule_id)
    freeze_clock(monkeypatch, "12:00")
    assert department.join_waitlist(people[1], schedule_id).error == "距就诊时间太近，不能候补，可到医院窗口咨询加号"
    department.cancel(lin, book_id)
    department.book_slot(wang, schedule_id)
    run_offer_jobs(department)
    assert list_states(department) == ["ended"]


def test_days_of_a_doctor_are_waited_for_together(
    department: BookingDepartment, lin: Person, wang: Person, people: list[Person]
) -> None:
    """An offer for one day pauses the others; declined, they wait again in their places."""
    department.save_rules(waitlist_limit=1, daily_limit=0)
    days = [department.create_schedule(slots=1, date=get_iso_date(ahead)) for ahead in (2, 3, 4)]
    books = [department.book_slot(lin, one) for one in days[:2]]
    doctor: dict[str, Any] = {"deptId": department.dept_id, "doctorId": department.hospital.chen.user_id}
    doctor |= {"from_date": get_iso_date(1), "to_date": get_iso_date(8)}
    joined = department.join_waitlist(people[0], **doctor).data
    assert [one["scheduleId"] for one in joined] == days[:2], "the third day has a free slot"
    assert department.join_waitlist(people[0], **doctor).data == joined
    department.book_slot(wang, days[2])
    assert department.join_waitlist(people[0], days[2]).error == "每人同时最多候补 1 个，请先退出其他候补"
    department.join_waitlist(people[1], days[1])
    department.cancel(lin, books[0])
    run_offer_jobs(department)
    assert list_states(department) == ["offered", "paused", "waiting"]
    assert department.leave_waitlist(people[0], joined[0]["entryId"]).error == "已候补到号，请确认或取消该预约"
    department.cancel(people[0], get_offer(department, people[0]))
    assert list_states(department) == ["declined", "waiting", "waiting"]
    department.cancel(lin, books[1])
    run_offer_jobs(department)
    department.confirm(people[0], get_offer(department, people[0]))
    assert list_states(department) == ["declined", "accepted", "waiting"]


def test_confirming_begins_the_time_to_pay(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.join_waitlist(people[0], schedule_id)
    free_slot(department, lin)
    department.save_rules(pay_minutes=60)
    book_id = get_offer(department, people[0])
    assert department.reschedule(people[0], book_id, schedule_id).status == 200, "the same slot"
    other = department.create_schedule(date=get_iso_date(4))
    assert department.reschedule(people[0], book_id, other).error == "请先确认候补到的号，再改期"
    department.confirm(people[0], book_id)
    assert department.reschedule(people[0], book_id, other).status == 200
    freeze_clock(monkeypatch, "10:00")
    scheduled.cancel_unpaid()
    assert department.get_booking(people[0], book_id).data["cancelReason"] == "unpaid"


def test_who_cannot_take_the_slot_leaves_the_line(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person]
) -> None:
    for person in people:
        department.join_waitlist(person, schedule_id)
    zhou = department.create_schedule(date=get_iso_date(3), doctor_id=department.hospital.zhou.user_id)
    department.book_slot(people[0], zhou)
    mysql.autocommit.execute("UPDATE members SET live = NULL WHERE member_id = %(id)s", id=people[1].member_id)
    free_slot(department, lin)
    assert list_states(department) == ["ended", "ended", "offered"]


def test_line_ends_with_the_schedule(
    department: BookingDepartment, schedule_id: str, people: list[Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    department.join_waitlist(people[0], schedule_id)
    stopped = department.create_schedule(slots=1, date=get_iso_date(5))
    department.book_slot(people[1], stopped)
    department.join_waitlist(people[2], stopped)
    department.stop_schedule(stopped)
    offering.offer_all()
    assert list_states(department) == ["waiting", "ended"]
    freeze_clock(monkeypatch, "08:00", ahead=3)
    offering.offer_all()
    assert list_states(department) == ["ended", "ended"]


def test_rescheduling_away_frees_a_slot_for_the_line(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person]
) -> None:
    department.join_waitlist(people[0], schedule_id)
    later = department.create_schedule(date=get_iso_date(4))
    assert department.reschedule(lin, get_lins_booking(department), later).status == 200
    run_offer_jobs(department)
    assert list_states(department) == ["offered"]


def test_who_may_not_wait(
    department: BookingDepartment, lin: Person, wang: Person, schedule_id: str, people: list[Person]
) -> None:
    declared = factories.create_patient(department.hospital.tenant_id, "13700000099", "某人")
    factories.create_patient_file(declared, "某人", is_verified=False)
    assert department.join_waitlist(declared, schedule_id).error.startswith("未核验的就诊人不能候补。请先核验")
    expected = (
        f"就诊人已有预约 {get_iso_date(3)} 08:00（呼吸内科 陈医生），"
        "同一半天只能预约一次，请选择其他半天，或先取消、改期该预约"
    )
    assert department.join_waitlist(lin, schedule_id).error == expected
    second = create_second_account(department, wang)
    department.join_waitlist(wang, schedule_id)
    assert department.join_waitlist(second, schedule_id).error == "其他账号已为该就诊人候补，由该账号确认或退出"
    free = department.create_schedule()
    assert department.join_waitlist(wang, free).error == f"{get_iso_date(1)} 上午还有 4 个号可预约，不必候补"
    far = department.create_schedule(date=get_iso_date(20))
    assert department.join_waitlist(wang, far).error == "该号源尚未开放，不能候补，开放后可直接预约"
    department.stop_schedule(free)
    assert department.join_waitlist(wang, free).error == "该排班已停诊"
    department.save_rules(waitlist_limit=0)
    assert department.join_waitlist(people[0], schedule_id).error == "本院未开放候补，请预约其他半天"
    department.save_rules(waitlist_limit=3, missed_limit=1)
    other_day = department.create_schedule(slots=1, date=get_iso_date(6))
    department.book_slot(people[1], other_day)
    mysql.autocommit.execute("UPDATE bookings SET status = 3 WHERE user_id = %(id)s", id=lin.user_id)
    assert department.join_waitlist(lin, other_day).status == 403


def test_entries_of_others_are_not_found(
    department: BookingDepartment, other_department: BookingDepartment, lin: Person, schedule_id: str, wang: Person
) -> None:
    [entry] = department.join_waitlist(wang, schedule_id).data
    stranger = other_department.hospital.lin
    free_slot(department, lin)
    book_id = get_offer(department, wang)
    responses: list[ApiResponse] = [
        department.leave_waitlist(lin, entry["entryId"]),
        department.leave_waitlist(stranger, entry["entryId"]),
        department.confirm(lin, book_id),
        department.confirm(stranger, book_id),
        department.join_waitlist(stranger, schedule_id),
        department.join_waitlist(replace(wang, member_id=lin.member_id), schedule_id),
        department.join_waitlist(wang, 999_999_999),
    ]
    assert {(one.status, one.code) for one in responses} == {(404, 10004)}
    desk = other_department.hospital.desk
    assert get(f"{STAFF_PATH}/waitlist", desk.token, schedule_id=schedule_id).data["total"] == 0
    assert list_states(department) == ["offered"]


@pytest.mark.usefixtures("department")
@pytest.mark.parametrize(
    ("fields", "name"),
    [
        *(({"memberId": value, "scheduleId": 1}, "memberId") for value in ("x", "", None, 0, True)),
        *(({"scheduleId": value}, "scheduleId") for value in ("x", -1, True, "", None)),
        ({"doctorId": 1, "deptId": 1, "from_date": "2036-01-01"}, "scheduleId"),
        ({"doctorId": 1, "deptId": 1, "from_date": "2036-01-02", "to_date": "2036-01-01"}, "to_date"),
        ({"doctorId": 1, "deptId": 1, "from_date": "2036-01-01", "to_date": "2036-03-01"}, "to_date"),
        ({"doctorId": 1, "deptId": 1, "from_date": "x", "to_date": "2036-03-01"}, "from_date"),
    ],
)
def test_invalid_field_is_named(lin: Person, fields: dict[str, Any], name: str) -> None:
    body = {"memberId": lin.member_id, **fields}
    response = post(f"{BOOKING_PATH}/waitlist/join", lin.token, **body)
    assert (response.status, response.error.partition("：")[0]) == (400, name)


@pytest.mark.parametrize("value", ["x", "", None, 0, True])
def test_invalid_id_is_named(department: BookingDepartment, lin: Person, value: Any) -> None:
    assert department.leave_waitlist(lin, value).error.startswith("entryId：")
    assert department.confirm(lin, value).error.startswith("bookId：")


def test_offers_are_events(department: BookingDepartment, lin: Person, schedule_id: str, wang: Person) -> None:
    department.join_waitlist(wang, schedule_id)
    free_slot(department, lin)
    types = [event_type for user_id, event_type, _ in department.list_notification_jobs() if user_id == wang.user_id]
    assert types == [EventType.BOOKING_OFFERED]


def list_endings(person: Person) -> list[str]:
    return [text for text in list_texts(person) if text.startswith("您的候补已结束")]


def test_request_that_ends_without_a_booking_is_reported_once(
    department: BookingDepartment, lin: Person, schedule_id: str, people: list[Person]
) -> None:
    department.join_waitlist(people[0], schedule_id)
    department.stop_schedule(schedule_id)
    for _ in range(2):
        offering.offer_all()
    expected = f"您的候补已结束，未候补到号：患者0，{get_iso_date(3)}，呼吸内科 陈医生。可选择其他时间预约。"
    assert (list_endings(people[0]), list_endings(lin)) == ([expected], [])
    assert [one["type"] for one in list_jobs(department, "publish_event")] == [1112]
