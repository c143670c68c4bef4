"""Screens in waiting rooms: their device keys, and what they show."""

import json
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import rate_limits
from chalicelib.identity.rate_limits import Rate, RateLimit
from chalicelib.people import formatting
from tests.support import booking_client, queue_client, staff_client
from tests.support.booking_client import STAFF_PATH, BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.queue_client import QueueClient, create_screen, read_screen
from tests.support.statements import record_statements

SCREENS = f"{STAFF_PATH}/screens"


def revoke(hospital: Hospital, screen_id: Any, person: Person | None = None) -> ApiResponse:
    return post(f"{STAFF_PATH}/revoke_screen", (person or hospital.admin).token, screen_id=screen_id)


def check_in_all(queue: QueueClient, names: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Check in patients with these names and no accounts; return their bookings."""
    desk, books = queue.department.hospital.desk, []
    for number, name in enumerate(names):
        pati_id = staff_client.create_patient_file(desk, pati_name=name)
        books.append(queue.department.book_for_patient(pati_id, queue.schedule_id, number + 1).data["book_id"])
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for book_id in books:
        queue.department.register(book_id=book_id, reason="未带证件")
    return books


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        *(("张强", "张*"), ("林小雨", "林*"), ("欧阳娜娜", "欧*"), ("古丽·艾山", "古*"), ("John Smith", "J*")),
        *((" 王", "王*"), ("𠮷野", "𠮷*"), ("", "*")),
    ],
)
def test_name_is_masked(name: str, masked: str) -> None:
    assert formatting.mask_name(name) == masked


@pytest.mark.store
def test_screen_shows_who_is_called_and_who_waits(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = queue_client.replace_code(department)
    _, key = create_screen(department.hospital, department.dept_id)
    queue = queue_client.create_queue(department)
    books = check_in_all(queue, ["张强", "林小雨", "John Smith", "古丽·艾山"], monkeypatch)
    empty = {"dept_name": "呼吸内科", "checkin_code": code, "time": f"{get_iso_date(0)} 07:30:00"}
    queue.call_next()
    queue.await_results(books[0])
    department.register(book_id=books[0])
    queue.call_next()
    waiting = [(3, "J*", False), (1, "张*", True), (4, "古*", False)]
    called = {"serial_no": 2, "name": "林*", "returning": False, "call": 1, "called_time": empty["time"]}
    assert read_screen(key).data == {
        **empty,
        "queues": [
            {
                "doctor_name": "陈医生",
                "half": "AM",
                "area": "A 区",
                "called": called,
                "waiting": [dict(zip(("serial_no", "name", "returning"), one, strict=True)) for one in waiting],
                "waiting_count": 3,
            }
        ],
    }
    queue.call_next(books[1])
    [shown] = read_screen(key).data["queues"]
    assert (shown["called"]["name"], shown["waiting_count"]) == ("J*", 2)


def test_screen_shows_nothing_that_leads_to_a_person(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = create_screen(department.hospital, department.dept_id)
    books = check_in_all(queue_client.create_queue(department), ["张强", "林小雨"], monkeypatch)
    text = json.dumps(read_screen(key).body, ensure_ascii=False)
    rows = list_rows("bookings", department.hospital)
    assert not any(name in text for name in ("张强", "林小雨", "_id", "pati", "phone"))
    assert not any(row["book_code"] in text for row in rows)
    assert books


def test_screen_of_an_empty_department(department: BookingDepartment) -> None:
    _, key = create_screen(department.hospital, department.dept_id)
    shown = read_screen(key).data
    assert (shown["dept_name"], shown["checkin_code"], shown["queues"]) == ("呼吸内科", "", [])


def test_screen_shows_its_department_area_and_day_only(
    department: BookingDepartment, other_department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = department.hospital
    dentistry = booking_client.create_department(hospital, "口腔科")
    queues = [
        queue_client.create_queue(department, area="A 区"),
        queue_client.create_queue(department, area="B 区", doctor_id=hospital.zhou.user_id),
        queue_client.create_queue(dentistry, area="A 区", doctor_id=""),
    ]
    for at, queue in enumerate(queues):
        check_in_all(queue, [f"患{at}"], monkeypatch)
        freeze_clock(monkeypatch, "07:00", ahead=-1)
    freeze_clock(monkeypatch, "08:00", ahead=1)

    def list_shown(dept_id: int, area: str = "") -> list[tuple[str, str]]:
        _, key = create_screen(hospital, dept_id, area)
        return [(one["doctor_name"], one["area"]) for one in read_screen(key).data["queues"]]

    assert list_shown(department.dept_id) == [("陈医生", "A 区"), ("周医生", "B 区")]
    assert list_shown(department.dept_id, "B 区") == [("周医生", "B 区")]
    assert list_shown(dentistry.dept_id, "A 区") == [("", "A 区")]
    _, key = create_screen(other_department.hospital, other_department.dept_id)
    assert read_screen(key).data["queues"] == []
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert list_shown(department.dept_id) == []


def test_refunded_and_stopped_visits_are_not_shown(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.outbox.outbox.wake_worker", lambda *_: None)
    _, key = create_screen(department.hospital, department.dept_id)
    queue = queue_client.create_queue(department)
    books = check_in_all(queue, ["张强", "林小雨"], monkeypatch)
    queue.call_next()
    department.refund_visit(books[0])
    [shown] = read_screen(key).data["queues"]
    assert (shown["called"], [one["name"] for one in shown["waiting"]]) == (None, ["林*"])
    department.stop_schedule(queue.schedule_id)
    assert read_screen(key).data["queues"] == []


def test_screen_shows_at_most_ten_who_wait(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key = create_screen(department.hospital, department.dept_id)
    check_in_all(queue_client.create_queue(department), [f"患{number}" for number in range(12)], monkeypatch)
    [shown] = read_screen(key).data["queues"]
    assert (len(shown["waiting"]), shown["waiting_count"]) == (10, 12)


def test_key_is_shown_once_and_stored_hashed(department: BookingDepartment) -> None:
    screen_id, key = create_screen(department.hospital, department.dept_id, "A 区")
    [listed] = get(SCREENS, department.hospital.admin.token).data
    assert key not in json.dumps(listed)
    assert (listed["screen_id"], listed["name"], listed["dept_name"]) == (screen_id, "候诊屏", "呼吸内科")
    assert (listed["area"], listed["revoked_time"]) == ("A 区", None)
    stored = [*list_rows("screens", department.hospital), *list_rows("tokens", department.hospital)]
    assert key.encode() not in repr(stored).encode()
    actions = [(row["action"], row["subject"].decode()) for row in list_rows("audit_log", department.hospital)]
    assert actions == [("create_screen", f"screen:{screen_id}")]


def test_double_click_creates_one_screen(department: BookingDepartment) -> None:
    created = [create_screen(department.hospital, department.dept_id) for _ in range(2)]
    assert len({screen_id for screen_id, _ in created}) == len(list_rows("screens", department.hospital)) == 1
    assert [read_screen(key).status for _, key in created] == [200, 200]
    revoke(department.hospital, created[0][0])
    assert [read_screen(key).status for _, key in created] == [401, 401]


def test_revoked_key_is_invalid_at_once(department: BookingDepartment, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital = department.hospital
    screen_id, key = create_screen(hospital, department.dept_id)
    _, other = create_screen(hospital, department.dept_id, "A 区")
    assert read_screen(key).status == 200
    for _ in range(2):
        assert revoke(hospital, screen_id).status == 200
    assert [read_screen(one).status for one in (key, other)] == [401, 200]
    listed = {one["screen_id"]: one["revoked_time"] for one in get(SCREENS, hospital.admin.token).data}
    assert listed[screen_id]
    assert [row["action"] for row in list_rows("audit_log", hospital)].count("revoke_screen") == 1
    freeze_clock(monkeypatch, "08:00", ahead=400)
    assert read_screen(other).status == 200, "a device key does not expire after a month"


def test_revoked_screen_shows_nothing_even_with_a_valid_token(department: BookingDepartment) -> None:
    """A cached session that Redis could not invalidate is valid for a minute."""
    _, key = create_screen(department.hospital, department.dept_id)
    mysql.autocommit.execute(
        "UPDATE screens SET revoked_at = 1 WHERE tenant_id = %(id)s", id=department.hospital.tenant_id
    )
    assert read_screen(key).status == 401


def test_only_admins_manage_screens(department: BookingDepartment, other_department: BookingDepartment) -> None:
    hospital = department.hospital
    screen_id, key = create_screen(hospital, department.dept_id)
    body: dict[str, Any] = {"name": "屏", "dept_id": department.dept_id}
    for person in (hospital.desk, hospital.chen, hospital.lin):
        responses = [get(SCREENS, person.token), post(f"{STAFF_PATH}/create_screen", person.token, **body)]
        assert [one.status for one in [*responses, revoke(hospital, screen_id, person)]] == [403] * 3
    stranger = other_department.hospital.admin
    assert get(SCREENS, stranger.token).data == []
    assert post(f"{STAFF_PATH}/create_screen", stranger.token, **body).error == "科室不存在"
    unknown = [revoke(hospital, one, stranger) for one in (screen_id, 999_999_999)]
    assert {(one.status, one.error) for one in unknown} == {(404, "候诊屏不存在")}
    assert read_screen(key).status == 200


def test_key_reads_its_screen_and_nothing_else(department: BookingDepartment, lin: Person) -> None:
    _, key = create_screen(department.hospital, department.dept_id)
    paths = (f"{STAFF_PATH}/queue", f"{STAFF_PATH}/day_bookings", f"{booking_client.BOOKING_PATH}/books", "/notify")
    assert {get(path, key).status for path in paths} <= {401, 403}
    assert [read_screen(one).status for one in (lin.token, department.hospital.admin.token, "x")] == [403, 403, 401]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", ""), ("name", " "), ("name", None), ("name", "x" * 65), ("dept_id", ""), ("dept_id", "x")),
        *(("dept_id", None), ("area", "x" * 65), ("area", "a\nb")),
    ],
)
def test_invalid_field_is_named(department: BookingDepartment, field: str, value: Any) -> None:
    body = {"name": "屏", "dept_id": department.dept_id, "area": "", field: value}
    body = {name: one for name, one in body.items() if one is not None}
    response = post(f"{STAFF_PATH}/create_screen", department.hospital.admin.token, **body)
    assert (response.status, response.error.partition("：")[0]) == (400, field)


@pytest.mark.parametrize("value", ["", "x", None, 0])
def test_invalid_screen_id_is_named(hospital: Hospital, value: Any) -> None:
    body = {} if value is None else {"screen_id": value}
    response = post(f"{STAFF_PATH}/revoke_screen", hospital.admin.token, **body)
    assert (response.status, response.error.partition("：")[0]) == (400, "screen_id")


def test_polling_takes_one_statement_and_is_limited(
    department: BookingDepartment, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = create_screen(department.hospital, department.dept_id)
    check_in_all(queue_client.create_queue(department), ["张强", "林小雨"], monkeypatch)
    read_screen(key)
    with record_statements() as statements:
        read_screen(key)
    assert len(set(statements)) == 1
    monkeypatch.setitem(rate_limits.rates, RateLimit.QUEUES, Rate(0.001, 2))
    clock_now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: clock_now + clock.DAY * 30)
    assert [read_screen(key).status for _ in range(3)] == [200, 200, 429]
