"""The doctor's side of a queue: call next, again, skip, done, send for tests; who may; double clicks."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.booking.closures import stopped_schedules
from chalicelib.booking.schedules import schedule_store
from chalicelib.notifications.event_types import EventType
from tests.support import queue_client, staff_client
from tests.support.booking_client import STAFF_PATH, BookingDepartment, freeze_clock, get_iso_date, list_rows
from tests.support.client import get, post
from tests.support.factories import Person
from tests.support.queue_client import QueueClient, get_place

OPERATIONS = ("call_next", "call_again", "skip", "done", "await_results")


@pytest.fixture
def queue(department: BookingDepartment) -> QueueClient:
    return queue_client.create_queue(department)


@pytest.fixture
def visits(queue: QueueClient, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Person, str]]:
    """Check in six patients of the first segment at 07:30, in the order of their slots."""
    booked = [queue_client.book(queue, number, number + 1) for number in range(6)]
    freeze_clock(monkeypatch, "07:30", ahead=1)
    for _, book_id in booked:
        assert queue.department.register(book_id=book_id).status == 200
    return booked


@pytest.fixture
def books(visits: list[tuple[Person, str]]) -> list[str]:
    return [book_id for _, book_id in visits]


def get_seen_times(queue: QueueClient) -> dict[str, int | None]:
    rows = list_rows("bookings", queue.department.hospital)
    return {str(row["book_id"]): row["seen_at"] for row in rows}


def list_events(queue: QueueClient, kind: EventType) -> list[str]:
    """Return the bookings whose holders are notified of these events."""
    return [str(book_id) for _, event, book_id in queue.department.list_notification_jobs() if event == kind]


def test_queue_shows_who_waits(queue: QueueClient, books: list[str]) -> None:
    shown = queue.show().data
    assert [one["book_id"] for one in shown["waiting"]] == books
    [row] = [one for one in list_rows("bookings", queue.department.hospital) if str(one["book_id"]) == books[1]]
    assert shown["waiting"][1] == {
        "book_id": books[1],
        "serial_no": 2,
        "pati_id": str(row["pati_id"]),
        "pati_name": "患者1",
        "pati_gender": 2,
        "pati_age": "36岁",
        "time": "08:05",
        "checkin_time": f"{get_iso_date(0)} 07:30:00",
        "returning": False,
        "calls": 0,
        "skips": 0,
    }
    del shown["waiting"]
    assert shown == {"schedule_id": queue.schedule_id, "current": None, "away": [], "seen": 0, "expected": 0}


def test_next_patient_is_called_and_the_current_one_was_seen(queue: QueueClient, books: list[str]) -> None:
    first = queue.call_next().data
    assert first["current"]["book_id"] == books[0]
    assert set(get_seen_times(queue).values()) == {None}, "called is not yet seen"
    second = queue.call_next(books[0]).data
    assert (second["current"]["book_id"], second["current"]["calls"], second["seen"]) == (books[1], 1, 1)
    seen = get_seen_times(queue)
    assert [book_id for book_id in books if seen[book_id]] == books[:1]
    assert list_events(queue, EventType.QUEUE_CALLED) == books[:2]


def test_double_click_calls_one_patient(queue: QueueClient, books: list[str]) -> None:
    responses = [queue.call_next().data for _ in range(3)]
    assert [one["current"]["book_id"] for one in responses] == books[:1] * 3
    responses = [queue.call_next(books[0]).data for _ in range(3)]
    assert [one["current"]["book_id"] for one in responses] == [books[1]] * 3
    assert queue.call_next(999_999_999).data["current"]["book_id"] == books[1], "an outdated page calls nobody"
    assert list_events(queue, EventType.QUEUE_CALLED) == books[:2]


def test_last_patient_is_seen_when_the_line_is_empty(queue: QueueClient, books: list[str]) -> None:
    current = ""
    for book_id in books:
        current = queue.call_next(current).data["current"]["book_id"]
        assert current == book_id
    for _ in range(2):
        ended = queue.call_next(current).data
        assert (ended["current"], ended["waiting"], ended["seen"]) == (None, [], 6)
    assert all(get_seen_times(queue).values())
    assert queue.call_next().data["current"] is None


def test_done_calls_no_patient(queue: QueueClient, books: list[str]) -> None:
    queue.call_next()
    for _ in range(2):
        ended = queue.finish(books[0]).data
        assert (ended["current"], ended["seen"], len(ended["waiting"])) == (None, 1, 5)
    assert queue.call_next().data["current"]["book_id"] == books[1]


def test_skipped_patient_waits_behind_three(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    books = [book_id for _, book_id in visits]
    queue.call_next()
    for _ in range(2):
        skipped = queue.skip(books[0]).data
        assert skipped["current"] is None
        assert [one["book_id"] for one in skipped["waiting"]] == [*books[1:4], books[0], *books[4:]]
    assert (skipped["waiting"][3]["skips"], skipped["waiting"][3]["calls"]) == (1, 1)
    assert get_place(*visits[0]).data["before"] == 3
    assert get_seen_times(queue)[books[0]] is None


def test_skipped_patient_waits_at_the_end_of_a_short_line(queue: QueueClient, books: list[str]) -> None:
    for _ in range(4):
        queue.finish(queue.call_next().data["current"]["book_id"])
    queue.call_next()
    assert [one["book_id"] for one in queue.skip(books[4]).data["waiting"]] == [books[5], books[4]]
    queue.call_next()
    queue.finish(books[5])
    assert queue.call_next().data["current"]["book_id"] == books[4]
    assert queue.skip(books[4]).data["waiting"][0]["skips"] == 2
    assert list_events(queue, EventType.QUEUE_CALLED) == [*books, books[4]], "each call is notified"


def test_patient_who_returns_with_results_waits_behind_two(
    queue: QueueClient, visits: list[tuple[Person, str]]
) -> None:
    books, department = [book_id for _, book_id in visits], queue.department
    code = queue_client.replace_code(department)
    for book_id in books[:2]:
        queue.call_next()
        for _ in range(2):
            away = queue.await_results(book_id).data
            assert away["current"] is None
    assert ([one["book_id"] for one in away["away"]], away["seen"]) == (books[:2], 0)
    assert get_place(*visits[0]).data["state"] == "away"
    assert get_seen_times(queue)[books[0]], "the doctor has seen the patient"
    for _ in range(2):
        assert queue_client.check_in(*visits[0], code).data["before"] == 2
        assert department.register(book_id=books[1]).status == 200
    assert queue.list_waiting() == [books[2], books[3], books[0], books[4], books[5], books[1]]
    assert [one["returning"] for one in queue.show().data["waiting"]] == [False, False, True, False, False, True]
    for current in ["", *books[2:4]]:
        queue.call_next(current)
    assert list_events(queue, EventType.QUEUE_SOON).count(books[1]) == 2, "before the first visit, and with the results"


def test_patient_returns_on_the_day_only(
    queue: QueueClient, visits: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = queue_client.replace_code(queue.department)
    queue.call_next()
    queue.await_results(visits[0][1])
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert queue_client.check_in(*visits[0], code).data["state"] == "ended"
    freeze_clock(monkeypatch, "23:59", ahead=-1)
    assert queue_client.check_in(*visits[0], code).data["state"] == "waiting", "also after the half-day"


def test_patient_who_need_not_return_is_done(queue: QueueClient, books: list[str]) -> None:
    queue.call_next()
    queue.await_results(books[0])
    ended = queue.finish(books[0]).data
    assert (ended["away"], ended["seen"]) == ([], 1)
    assert queue.department.register(book_id=books[0]).status == 200
    assert books[0] not in queue.list_waiting()


def test_patient_is_called_again_at_most_once_in_five_seconds(
    queue: QueueClient, books: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.call_next()
    assert queue.call_again(books[0]).data["current"]["calls"] == 1
    freeze_clock(monkeypatch, "07:31")
    for _ in range(2):
        assert queue.call_again(books[0]).data["current"]["calls"] == 2
    assert list_events(queue, EventType.QUEUE_CALLED) == [books[0]] * 2
    assert queue.call_again(books[1]).data["current"]["book_id"] == books[0], "who waits is not called"


def test_patients_are_notified_once_when_two_are_before_them(queue: QueueClient, books: list[str]) -> None:
    assert list_events(queue, EventType.QUEUE_SOON) == [], "checking in moves nobody forward"
    queue.call_next()
    assert list_events(queue, EventType.QUEUE_SOON) == books[1:4]
    queue.skip(books[0])
    assert list_events(queue, EventType.QUEUE_SOON) == books[1:4]
    queue.call_next()
    assert list_events(queue, EventType.QUEUE_SOON) == [*books[1:4], books[0]], "before the skipped one are two again"
    queue.call_next(books[1])
    assert list_events(queue, EventType.QUEUE_SOON) == [*books[1:4], books[0], books[4]]


@pytest.mark.store
def test_refunded_patient_leaves_the_queue(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    books, department = [book_id for _, book_id in visits], queue.department
    queue.call_next()
    for book_id in (books[0], books[2]):
        assert department.refund_visit(book_id).data["book_status"] == 1
    assert queue.get_current() == ""
    assert queue.list_waiting() == [books[1], *books[3:]]
    assert get_place(*visits[2]).data["state"] == ""
    assert get_place(*visits[3]).data["before"] == 1
    assert queue.finish(books[0]).error == "该患者不在此队列中，或已退号"
    assert get_seen_times(queue)[books[0]] is None
    queue.call_next()
    assert queue.call_next(books[1]).data["current"]["book_id"] == books[3]
    assert department.refund_visit(books[1]).status == 403, "seen: by an admin only"
    assert department.refund_visit(books[1], department.hospital.admin).status == 409, "it was free"


def test_slot_of_a_refunded_visit_can_be_checked_in_by_another(
    queue: QueueClient, books: list[str], lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.department.refund_visit(books[5])
    freeze_clock(monkeypatch, "08:00")
    book_id = queue.department.book_slot(lin, queue.schedule_id, 6)
    queue.department.register(book_id=book_id)
    assert queue.list_waiting() == [*books[:5], book_id]


def test_walk_in_without_an_account_and_additional_slot_are_called(queue: QueueClient, books: list[str]) -> None:
    department = queue.department
    pati_id = staff_client.create_patient_file(department.hospital.desk, pati_name="郑老太")
    book_id = department.add_booking(pati_id, queue.schedule_id).data["book_id"]
    [row] = [one for one in list_rows("bookings", department.hospital) if str(one["book_id"]) == book_id]
    assert (row["serial_no"], row["user_id"]) == (49, None)
    department.register(book_id=book_id, reason="未带证件")
    assert queue.list_waiting() == [*books, book_id]
    for current in ["", *books]:
        last = queue.call_next(current).data["current"]
    assert (last["book_id"], last["serial_no"], last["pati_name"]) == (book_id, 49, "郑老太")


def test_only_the_doctor_and_the_desk_operate_a_queue(
    queue: QueueClient, books: list[str], other_department: BookingDepartment
) -> None:
    hospital = queue.department.hospital
    strangers = [hospital.zhou, other_department.hospital.desk, other_department.hospital.admin]
    for person in strangers:
        responses = [queue.show(person), queue.call_next("", person)]
        responses += [one(books[0], person) for one in (queue.call_again, queue.skip, queue.finish)]
        responses += [queue.await_results(books[0], person)]
        assert {(one.status, one.error) for one in responses} == {(404, "排班不存在，或不是您的排班")}
    assert queue.get_current() == ""
    assert queue.call_next("", hospital.desk).data["current"]["book_id"] == books[0]
    assert queue.call_next(books[0], hospital.admin).data["current"]["book_id"] == books[1]
    assert queue.show(hospital.lin).status == 403


def test_general_clinic_is_called_by_the_desk(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = queue_client.create_queue(department, doctor_id="")
    book_id = department.book_slot(lin, queue.schedule_id)
    freeze_clock(monkeypatch, "08:00", ahead=1)
    department.register(book_id=book_id)
    assert [queue.call_next().status, queue.show().status] == [404, 404]
    assert queue.call_next("", department.hospital.desk).data["current"]["book_id"] == book_id


def test_patient_of_another_queue_is_not_found(department: BookingDepartment, books: list[str]) -> None:
    other = queue_client.create_queue(department, doctor_id=department.hospital.zhou.user_id, date=get_iso_date(0))
    for operate in (other.call_again, other.skip, other.finish, other.await_results):
        for book_id in (books[0], "999999999"):
            response = operate(book_id, department.hospital.zhou)
            assert (response.status, response.error) == (404, "该患者不在此队列中，或已退号")


@pytest.mark.parametrize(("time", "ahead"), [("23:59", 0), ("00:00", 2)])
def test_queue_is_operated_on_its_day_only(
    queue: QueueClient, time: str, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = get_iso_date(1)
    freeze_clock(monkeypatch, time, ahead)
    response = queue.call_next()
    assert (response.status, response.error) == (409, f"只能在就诊当天（{day}）叫号")


def test_queue_ends_at_midnight(
    queue: QueueClient, visits: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.call_next()
    queue.call_next(visits[0][1])
    freeze_clock(monkeypatch, "23:59")
    assert queue.call_next(visits[1][1]).data["current"]["book_id"] == visits[2][1]
    freeze_clock(monkeypatch, "00:00", ahead=1)
    assert queue.call_next(visits[2][1]).status == 409
    states = [get_place(*one).data["state"] for one in visits]
    assert states == ["seen", "seen", "ended", "ended", "ended", "ended"]
    assert queue.department.get_status(*visits[5]) == 2


@pytest.mark.parametrize("path", OPERATIONS)
@pytest.mark.parametrize("value", ["", "x", -1, None])
def test_invalid_field_is_named(department: BookingDepartment, path: str, value: Any) -> None:
    names = {"schedule_id": "1", "current" if path == "call_next" else "bookId": "1"}
    for field in names:
        if field == "current" and value in ("", None):
            continue
        body = {name: one for name, one in {**names, field: value}.items() if one is not None}
        response = post(f"{STAFF_PATH}/queue/{path}", department.hospital.chen.token, **body)
        assert (response.status, response.error.partition("：")[0]) == (400, field)
    if value is not None:
        shown = get(f"{STAFF_PATH}/queue", department.hospital.chen.token, schedule_id=value)
        assert (shown.status, shown.error.partition("：")[0]) == (400, "schedule_id")


def test_stopped_schedule_ends_its_queue(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    books, department = [book_id for _, book_id in visits], queue.department
    queue.call_next()
    queue.call_next(books[0])
    queue.await_results(books[1])
    queue.call_next()
    assert department.stop_schedule(queue.schedule_id, reason="突发疾病").status == 200
    assert queue.call_next(books[2]).error == "该排班已停诊"
    stopped_schedules.cancel_bookings(
        department.hospital.tenant_id, {"schedule_id": int(queue.schedule_id), "by": department.hospital.desk.user_id}
    )
    assert queue.list_waiting() == []
    states = [get_place(*one).data["state"] for one in visits]
    assert states == ["seen", "ended", "", "", "", ""], "the called one was not seen, and is refunded"
    assert [department.get_status(*one) for one in visits] == [2, 2, 1, 1, 1, 1]


def test_all_who_wait_are_included_in_a_stop_once_one_was_called(
    queue: QueueClient, visits: list[tuple[Person, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their slots have begun, so without a call the hospital might not use the queue."""
    tenant_id, by = queue.department.hospital.tenant_id, queue.department.hospital.desk.user_id
    freeze_clock(monkeypatch, "09:00")
    schedule_store.stop(mysql.autocommit, tenant_id, int(queue.schedule_id), by)
    stopped_schedules.cancel_bookings(tenant_id, {"schedule_id": int(queue.schedule_id), "by": by})
    assert {queue.department.get_status(*one) for one in visits} == {2}
    restart = "UPDATE schedules SET stopped_at = NULL, live = 1 WHERE schedule_id = %(id)s"
    mysql.autocommit.execute(restart, id=queue.schedule_id)
    queue.call_next()
    schedule_store.stop(mysql.autocommit, tenant_id, int(queue.schedule_id), by)
    stopped_schedules.cancel_bookings(tenant_id, {"schedule_id": int(queue.schedule_id), "by": by})
    assert {queue.department.get_status(*one) for one in visits} == {1}


@pytest.mark.store
def test_substitute_takes_over_the_queue(queue: QueueClient, visits: list[tuple[Person, str]]) -> None:
    books, department = [book_id for _, book_id in visits], queue.department
    zhou = department.hospital.zhou
    for current in ("", books[0]):
        queue.call_next(current)
    queue.await_results(books[1])
    queue.call_next()
    queue.skip(books[2])
    queue.call_next()
    result = department.substitute_doctor(queue.schedule_id, zhou.user_id, reason="外出会诊").data
    new = QueueClient(department, result["schedule_id"])
    shown = new.show(zhou).data
    expected = [books[3], books[4], books[5], books[2]]
    assert [one["book_id"] for one in shown["waiting"]] == expected, "who was being called is the first again"
    assert ([one["book_id"] for one in shown["away"]], shown["current"]) == ([books[1]], None)
    assert (queue.list_waiting(), queue.show().data["seen"]) == ([], 1)
    assert get_place(*visits[4]).data["before"] == 1
    department.register(book_id=books[1])
    assert new.show(zhou).data["waiting"][2]["book_id"] == books[1], "results are shown to the substitute"
    assert new.call_next("", zhou).data["current"]["book_id"] == books[3]
    assert new.call_next(books[3], zhou).data["seen"] == 1
    assert get_seen_times(queue)[books[3]]


def test_call_fields_are_stored(queue: QueueClient, books: list[str]) -> None:
    queue.call_next("", queue.department.hospital.desk)
    sql = "SELECT called_by, place FROM queue_entries WHERE book_id = %(id)s"
    row = mysql.autocommit.fetch_one(sql, id=books[0])
    assert row == {"called_by": queue.department.hospital.desk.user_id, "place": 1}
