"""booking_list: every booking of the hospital, filtered, in pages, by the order of an index."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.admin import booking_store
from chalicelib.admin.booking_models import BookingListQuery
from chalicelib.billing.bookings import BookingOrigin, BookingStatus, CancellationReason
from chalicelib.http import pagination
from tests.support.admin_client import list_all, list_pages, read_list
from tests.support.booking_client import BookingDepartment, create_department, get_iso_date
from tests.support.factories import Hospital
from tests.support.query_plans import explain
from tests.support.row_reads import count_rows_of_statement

pytestmark = pytest.mark.store


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return create_department(hospital)


def list_ids(hospital: Hospital, **query: Any) -> list[str]:
    return [one["book_id"] for one in list_all(hospital.admin, "booking_list", **query)]


def test_cancelled_booking_is_listed_with_its_reason(department: BookingDepartment, hospital: Hospital) -> None:
    book_id = department.book_slot(hospital.lin, department.create_schedule(bookfee=12.5))
    assert department.cancel_as_desk(book_id).status == 200
    for person in (hospital.admin, hospital.desk):
        [listed] = list_all(person, "booking_list")
        assert listed["book_id"] == book_id
        assert (listed["book_status"], listed["cancel_reason"]) == (BookingStatus.CANCELLED, CancellationReason.DESK)
        assert (listed["changed_by"], listed["origin"]) == (str(hospital.desk.user_id), BookingOrigin.PATIENT)
        names = (listed["dept_name"], listed["doctor_name"], listed["pati_name"])
        assert names == ("呼吸内科", "陈医生", "林小雨")
        assert (listed["date"], listed["bookfee"], listed["refund"]) == (get_iso_date(1), 12.5, 0.0)


def test_filters(department: BookingDepartment, hospital: Hospital) -> None:
    other = create_department(hospital, "外科")
    first = department.book_slot(hospital.lin, department.create_schedule())
    second = other.book_slot(
        hospital.wang, other.create_schedule(date=get_iso_date(2), doctor_id=hospital.zhou.user_id)
    )
    department.cancel(hospital.lin, first)
    assert list_ids(hospital) == [second, first]
    [one] = [entry for entry in list_all(hospital.admin, "booking_list") if entry["book_id"] == first]
    matching: dict[str, dict[str, Any]] = {
        "status": {"book_status": BookingStatus.CANCELLED},
        "reason": {"cancel_reason": "patient"},
        "department": {"dept_id": department.dept_id},
        "doctor": {"doctor_id": hospital.chen.user_id},
        "patient": {"pati_id": one["pati_id"]},
        "from": {"to_date": get_iso_date(1)},
        "both": {"dept_id": department.dept_id, "book_status": 1, "from_date": get_iso_date(1)},
    }
    for name, query in matching.items():
        assert list_ids(hospital, **query) == [first], name
    assert list_ids(hospital, from_date=get_iso_date(2)) == [second]
    assert list_ids(hospital, cancel_reason="desk") == []
    assert list_ids(hospital, book_status=0, cancel_reason="patient") == []


def test_pages_contain_each_booking_once_though_others_are_added(
    department: BookingDepartment, hospital: Hospital
) -> None:
    insert_copies(department, hospital, 7)
    everything = list_ids(hospital)
    pages = list_pages(hospital.admin, "booking_list", 3)
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [one["book_id"] for page in pages for one in page] == everything
    first = read_list(hospital.admin, "booking_list", page_size=3).data
    department.book_slot(hospital.wang, department.create_schedule(date=get_iso_date(5)))
    following = read_list(hospital.admin, "booking_list", page_size=5, before=first["next"]).data
    assert [one["book_id"] for one in following["list"]] == everything[3:]
    assert following["next"] == ""


def insert_copies(department: BookingDepartment, hospital: Hospital, number: int) -> None:
    """Book a slot, and insert bookings of earlier days that are otherwise like it; two of them on each day."""
    book_id = department.book_slot(hospital.lin, department.create_schedule())
    columns = "tenant_id, user_id, member_id, pati_id, dept_id, doctor_id, half_day, slot_time, type, fee, area"
    mysql.autocommit.execute_many(
        f"""
        INSERT INTO bookings ({columns}, schedule_id, serial_no, day, book_code, status, live, person_live,
            half_day_live, changed_at, created_at)
        SELECT {columns}, schedule_id, serial_no, DATE_SUB(day, INTERVAL %(days)s DAY), %(code)s, 1, NULL, NULL, NULL,
            changed_at, created_at
        FROM bookings WHERE book_id = %(book_id)s
        """,
        [{"book_id": book_id, "days": one // 2 + 1, "code": f"2000{one:010}"} for one in range(number)],
    )


@pytest.mark.parametrize(
    "name",
    ["book_status", "cancel_reason", "dept_id", "doctor_id", "pati_id", "from_date", "to_date", "page_size", "before"],
)
def test_invalid_filter_is_named(hospital: Hospital, name: str) -> None:
    for value in ("x", "-1", "1.5" if name != "before" else "1.x"):
        response = read_list(hospital.admin, "booking_list", **{name: value})
        assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_position_beyond_the_calendar_is_the_last_or_first_page(
    department: BookingDepartment, hospital: Hospital
) -> None:
    department.book_slot(hospital.lin, department.create_schedule())
    assert list_ids(hospital, before="0.1") == []
    assert len(list_ids(hospital, before="9999999999999999.1")) == 1


def test_who_may_not_read_it(department: BookingDepartment, hospital: Hospital, other_hospital: Hospital) -> None:
    book_id = department.book_slot(hospital.lin, department.create_schedule())
    for person in (hospital.lin, hospital.chen):
        assert read_list(person, "booking_list").status == 403
    assert list_ids(other_hospital) == list_ids(other_hospital, doctor_id=hospital.chen.user_id) == []
    assert list_ids(hospital) == [book_id]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "by_tenant_day"),
        ({"from_date": "2020-01-01"}, "by_tenant_day"),
        ({"dept_id": 1}, "by_department_day"),
        ({"doctor_id": 1}, "by_doctor_day"),
        ({"book_status": 1}, "by_tenant_status"),
    ],
    ids=str,
)
def test_page_is_read_in_the_order_of_an_index(
    department: BookingDepartment, hospital: Hospital, filters: dict[str, Any], index: str
) -> None:
    insert_copies(department, hospital, 600)
    ids = {"dept_id": int(department.dept_id), "doctor_id": hospital.chen.user_id}
    filters = {**filters, **{name: ids[name] for name in filters if name in ids}}
    deep = read_list(hospital.admin, "booking_list", page_size=100, **filters).data["next"]
    for before in ("", deep):
        query = BookingListQuery(**filters, before=before, page_size=20)
        params = build_params(hospital, query)
        plan = [row for row in explain(booking_store.build_sql(query), **params) if row["table"] == "b"]
        assert [row["key"] for row in plan] == [index]
        assert "filesort" not in (plan[0]["Extra"] or "")
        rows, reads = count_rows_of_statement(booking_store.build_sql(query), params)
        assert rows == 21
        assert reads < 250, "a few for each row, and none of the other pages"


def build_params(hospital: Hospital, query: BookingListQuery) -> dict[str, Any]:
    return {
        "tenant_id": hospital.tenant_id,
        "from_day": query.from_date or booking_store.FIRST_DAY,
        "to_day": query.to_date or booking_store.LAST_DAY,
        "status": query.book_status,
        "dept_id": query.dept_id,
        "doctor_id": query.doctor_id,
        **pagination.build_params(query.bounds, booking_store.parse_day),
    }
