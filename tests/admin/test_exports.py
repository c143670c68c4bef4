"""export_list and list_exports: CSV files that a job writes, one for a double click."""

import csv
import io
import json
import tracemalloc
from typing import Any

import pytest
import requests

from app import sweep_files
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.admin import export_content, exports
from chalicelib.admin.export_models import ExportedAuditEntry, ListName
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.http.pagination import ListPage
from chalicelib.outbox import outbox
from tests.support.admin_client import read_list, send
from tests.support.booking_client import create_department, get_iso_date, list_rows
from tests.support.client import ApiResponse, build_schedule_event
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def idle_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the jobs to the test."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def request(person: Person, name: str = "audit_log", **filters: Any) -> ApiResponse:
    return send(person, "export_list", list_name=name, filters=filters)


def run_jobs(hospital: Hospital) -> None:
    """Run the hospital's export jobs and remove them, so that other tests do not run them."""
    for row in list_rows("outbox", hospital):
        if row["job"] == "export_list":
            exports.write_export(hospital.tenant_id, json.loads(row["payload"]))
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=hospital.tenant_id)


def download(hospital: Hospital) -> list[list[str]]:
    """Return the rows of the newest export."""
    newest = read_list(hospital.admin, "list_exports").data[0]
    assert newest["status"] == "ready"
    response = requests.get(newest["url"], timeout=10)
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.content.startswith(b"\xef\xbb\xbf"), "Excel needs the byte order mark"
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))


def test_bookings_are_exported_with_chinese_titles(hospital: Hospital) -> None:
    department = create_department(hospital)
    first = department.book_slot(hospital.lin, department.create_schedule(bookfee=12.5))
    department.cancel(hospital.lin, first)
    department.book_slot(hospital.wang, department.create_schedule(date=get_iso_date(2)))
    found = request(hospital.admin, "booking_list", book_status="1").data
    assert (found["status"], found["url"]) == ("pending", "")
    run_jobs(hospital)
    titles, row = download(hospital)
    listed = read_list(hospital.admin, "booking_list", book_status=1).data["list"][0]
    assert titles[:4] == ["预约编号", "预约码", "就诊日期", "就诊时间"]
    assert row == [str(value) for value in listed.values()]
    exported = read_list(hospital.admin, "list_exports").data[0]
    assert (exported["export_id"], exported["rows"], exported["truncated"]) == (found["export_id"], 1, False)


@pytest.mark.parametrize(
    "name", ["payment_list", "refund_list", "refund_requests", "failed_jobs", "rating_list", "audit_log"]
)
def test_each_list_can_be_exported(hospital: Hospital, name: str) -> None:
    request(hospital.admin, name)
    run_jobs(hospital)
    titles, *rows = download(hospital)
    assert len(titles) == len({*titles}) > 5
    assert len(rows) == (name == "audit_log")  # the entry of this export


def test_all_pages_are_written(hospital: Hospital) -> None:
    for number in range(205):
        audit_log.insert_entry(mysql.autocommit, hospital.tenant_id, "", AuditAction.CHANGE_STAFF, f"user:{number}")
    request(hospital.admin, action="change_staff")
    run_jobs(hospital)
    _, *rows = download(hospital)
    assert [row[6] for row in rows] == [f"user:{number}" for number in reversed(range(205))]


def test_cells_that_are_formulas_are_neutralised(hospital: Hospital) -> None:
    texts = ["=1+1", "+1", "-1", "@SUM(A1)", "普通", 'a"b,c']
    for text in texts:
        audit_log.insert_entry(
            mysql.autocommit, hospital.tenant_id, "", AuditAction.CHANGE_STAFF, "user:1", reason=text
        )
    request(hospital.admin, action="change_staff")
    run_jobs(hospital)
    _, *rows = download(hospital)
    assert [row[7] for row in reversed(rows)] == [*(f"'{text}" for text in texts[:4]), *texts[4:]]


def test_double_click_is_one_export(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (request(hospital.admin).data for _ in range(2))
    other = request(hospital.admin, action="change_staff").data
    assert first == second
    assert other["export_id"] != first["export_id"]
    later = clock.now() + 10 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: later)
    assert request(hospital.admin).data == first, "it is still pending"
    run_jobs(hospital)
    assert request(hospital.admin).data["export_id"] != first["export_id"]
    entries = [one for one in list_rows("audit_log", hospital) if one["action"] == "export_list"]
    assert len(entries) == 3
    assert json.loads(entries[1]["detail"]) == {
        "export_id": int(other["export_id"]),
        "filters": {"action": "change_staff"},
    }
    run_jobs(hospital)


def test_concurrent_double_clicks_are_one_export(hospital: Hospital) -> None:
    ids: list[str] = []
    run_in_threads([lambda: ids.append(request(hospital.admin).data["export_id"])] * 4)
    assert len(ids) == 4
    assert len({*ids}) == 1
    run_jobs(hospital)


def test_file_is_deleted_after_a_day(hospital: Hospital) -> None:
    request(hospital.admin)
    run_jobs(hospital)
    [export] = read_list(hospital.admin, "list_exports").data
    expired = "UPDATE account_exports SET delete_at = delete_at - %(day)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(expired, day=clock.DAY, id=hospital.tenant_id)
    sweep_files(build_schedule_event(), None)
    assert requests.get(export["url"], timeout=10).status_code == 404
    [export] = read_list(hospital.admin, "list_exports").data
    assert (export["status"], export["url"], export["expire_time"]) == ("expired", "", "")


def test_export_is_cut_at_the_limit_and_says_so(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_content, "MAX_ROWS", 2)
    for _ in range(3):
        audit_log.insert_entry(mysql.autocommit, hospital.tenant_id, "", AuditAction.CHANGE_STAFF, "user:1")
    request(hospital.admin, action="change_staff")
    run_jobs(hospital)
    assert len(download(hospital)) == 3
    [export] = read_list(hospital.admin, "list_exports").data
    assert (export["rows"], export["truncated"]) == (2, True)


def test_memory_does_not_grow_with_the_rows(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = ExportedAuditEntry(**dict.fromkeys(ExportedAuditEntry.model_fields, "一二三四五六七八九十"))

    def build_page(_tenant_id: int, query: Any) -> ListPage[Any]:
        number = query.bounds.before.row_id if query.bounds.before else 0
        return ListPage[Any](list=[entry] * 100, next=f"0.{number + 1}" if number < 200 else "")

    monkeypatch.setattr(export_content, "_list_audit_entries", build_page)
    monkeypatch.setattr("chalicelib.adapters.aws.s3.put", lambda *_: None)
    export_content.write_object(hospital.tenant_id, ListName.AUDIT_LOG, {}, "x")
    tracemalloc.start()
    rows, _ = export_content.write_object(hospital.tenant_id, ListName.AUDIT_LOG, {}, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 20_100
    assert peak < 4 * export_content.MEMORY_BYTES, "the file has six megabytes"


def test_what_is_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    for person in (hospital.lin, hospital.chen, hospital.desk):
        assert request(person).status == read_list(person, "list_exports").status == 403
    for name, filters, text in (
        ("audit_log", {"nothing": "1"}, "filters：没有 nothing 这个条件"),
        ("audit_log", {"page_size": 5}, "filters：没有 page_size 这个条件"),
        ("booking_list", {"dept_id": "x"}, "filters：dept_id 无效"),
        ("booking_list", {"from_date": "2026-13-01"}, "filters：from_date 无效"),
    ):
        response = send(hospital.admin, "export_list", list_name=name, filters=filters)
        assert (response.status, response.error) == (400, text)
    assert send(hospital.admin, "export_list", list_name="staff").error.startswith("list_name：")
    assert send(hospital.admin, "export_list", list_name="audit_log", filters=[]).error.startswith("filters")
    assert list_rows("account_exports", hospital) == list_rows("audit_log", hospital) == []
    request(other_hospital.admin)
    assert read_list(hospital.admin, "list_exports").data == []
    run_jobs(other_hospital)
