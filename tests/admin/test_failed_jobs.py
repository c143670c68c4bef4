"""failed_jobs, retry_job and drop_job: an admin decides about dead-lettered jobs, each time once."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.outbox import outbox, store
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.outbox.store import DueJob
from tests.support.admin_client import list_all, list_pages, read_list, send
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital
from tests.support.query_plans import explain
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store
REASON = "已人工通知患者"


@pytest.fixture(autouse=True)
def idle_workers(monkeypatch: pytest.MonkeyPatch, hospital: Hospital) -> Iterator[None]:
    """Leave the jobs to the test, and none of them to other tests."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    yield
    mysql.autocommit.execute("DELETE FROM outbox WHERE tenant_id = %(id)s", id=hospital.tenant_id)


def insert_failed_job(hospital: Hospital, dedup_key: str | None = None, job: Job = Job.NOTIFY_BOOKING) -> str:
    """Insert a job that has been dead-lettered, and return its outbox_id."""
    outbox.enqueue(mysql.autocommit, hospital.tenant_id, job, {"book_id": 1}, dedup_key)
    outbox_id = max(row["outbox_id"] for row in list_rows("outbox", hospital))
    mysql.autocommit.execute("UPDATE outbox SET attempts = 21 WHERE outbox_id = %(id)s", id=outbox_id)
    store.dead_letter(mysql.autocommit, outbox_id, "errors.ApiError 503", clock.now())
    return str(outbox_id)


def list_ids(hospital: Hospital, **query: Any) -> list[str]:
    return [one["outbox_id"] for one in list_all(hospital.admin, "failed_jobs", **query)]


def get_job(hospital: Hospital, outbox_id: str) -> Row:
    [row] = [one for one in list_rows("outbox", hospital) if str(one["outbox_id"]) == outbox_id]
    return row


def list_audited(hospital: Hospital) -> list[tuple[str, str, str, str]]:
    entries = list_all_audited(hospital)
    return [(one["actor"], one["action"], one["subject"], one["reason"]) for one in entries]


def list_all_audited(hospital: Hospital) -> list[dict[str, Any]]:
    return list(read_list(hospital.admin, "audit_log").data["list"])


def test_failed_job_is_listed_without_its_payload(hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital)
    [listed] = list_all(hospital.admin, "failed_jobs")
    assert {name: listed[name] for name in ("outbox_id", "job", "attempts", "error")} == {
        "outbox_id": outbox_id,
        "job": "notify_booking",
        "attempts": 21,
        "error": "errors.ApiError 503",
    }
    assert set(listed) == {"outbox_id", "job", "attempts", "error", "create_time", "fail_time"}


def test_error_of_the_last_attempt_is_stored(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(outbox._handler_loaders, Queue.INTERNAL, fail_to_load)
    outbox.enqueue(mysql.autocommit, hospital.tenant_id, Job.NOTIFY_BOOKING, {})
    [row] = list_rows("outbox", hospital)
    names = ("outbox_id", "tenant_id", "job", "dedup_key", "payload", "due_at")
    assert not outbox._run_job(Queue.INTERNAL, DueJob(**{name: row[name] for name in names}, attempts=20))
    assert [one["error"] for one in list_all(hospital.admin, "failed_jobs")] == ["builtins.LookupError"]


def fail_to_load(_job: Job) -> outbox.Handler:
    raise LookupError("患者林小雨")


def test_retried_job_is_due_with_all_attempts(hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital)
    for _ in range(2):
        assert send(hospital.admin, "retry_job", outbox_id=outbox_id).data is None
    row = get_job(hospital, outbox_id)
    assert (row["pending"], row["attempts"], row["dead_lettered_at"]) == (1, 0, None)
    assert row["due_at"] <= clock.now()
    assert list_ids(hospital) == []
    [entry] = list_all_audited(hospital)
    assert (entry["actor"], entry["action"], entry["subject"]) == (
        *(hospital.admin.principal, "retry_job"),
        f"job:{outbox_id}",
    )
    assert (entry["address"], entry["detail"]) == ("203.0.113.7", {"job": "notify_booking", "attempts": 21})


def test_double_click_after_the_job_has_run_is_no_error(hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital)
    send(hospital.admin, "retry_job", outbox_id=outbox_id)
    mysql.autocommit.execute("DELETE FROM outbox WHERE outbox_id = %(id)s", id=outbox_id)
    assert send(hospital.admin, "retry_job", outbox_id=outbox_id).status == 200
    assert send(hospital.admin, "drop_job", outbox_id=outbox_id, reason=REASON).status == 404


def test_dropped_job_counts_as_done_and_its_key_stays(hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital, dedup_key="booking:1:created")
    for _ in range(2):
        assert send(hospital.admin, "drop_job", outbox_id=outbox_id, reason=REASON).data is None
    row = get_job(hospital, outbox_id)
    assert (row["pending"], bool(row["done_at"]), row["payload"]) == (None, True, "{}")
    assert list_audited(hospital) == [(hospital.admin.principal, "drop_job", f"job:{outbox_id}", REASON)]
    outbox.enqueue(mysql.autocommit, hospital.tenant_id, Job.NOTIFY_BOOKING, {}, "booking:1:created")
    assert len(list_rows("outbox", hospital)) == 1


def test_one_of_two_concurrent_decisions_takes_effect(hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital)
    retry = [lambda: send(hospital.admin, "retry_job", outbox_id=outbox_id)] * 2
    run_in_threads([*retry, lambda: send(hospital.admin, "drop_job", outbox_id=outbox_id, reason=REASON)])
    row = get_job(hospital, outbox_id)
    assert (row["pending"] == 1) != (row["done_at"] is not None)
    assert len(list_audited(hospital)) == 1


def test_filters_and_pages(hospital: Hospital) -> None:
    ids = [insert_failed_job(hospital) for _ in range(3)]
    other = insert_failed_job(hospital, job=Job.PUBLISH_EVENT)
    assert list_ids(hospital) == [other, *reversed(ids)]
    assert list_ids(hospital, job="publish_event") == [other]
    assert list_ids(hospital, to_date="2020-01-01") == []
    assert [len(page) for page in list_pages(hospital.admin, "failed_jobs", 3)] == [3, 1]


def test_what_is_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    outbox_id = insert_failed_job(hospital)
    outbox.enqueue(mysql.autocommit, hospital.tenant_id, Job.NOTIFY_BOOKING, {})
    pending = max(row["outbox_id"] for row in list_rows("outbox", hospital))
    for name in ("retry_job", "drop_job"):
        for person in (hospital.lin, hospital.chen, hospital.desk):
            assert send(person, name, outbox_id=outbox_id, reason=REASON).status == 403
        for person, number in ((other_hospital.admin, outbox_id), (hospital.admin, pending), (hospital.admin, 2**50)):
            assert send(person, name, outbox_id=number, reason=REASON).status == 404
        assert send(hospital.admin, name, outbox_id="x", reason=REASON).error.startswith("outbox_id：")
    for reason in ("", "x", "x" * 256):
        assert send(hospital.admin, "drop_job", outbox_id=outbox_id, reason=reason).error.startswith("reason：")
    for name in ("job", "from_date", "to_date", "before", "page_size"):
        assert read_list(hospital.admin, "failed_jobs", **{name: "-1"}).error.startswith(f"{name}：")
    assert list_ids(hospital) == [outbox_id]
    assert list_all(other_hospital.admin, "failed_jobs") == []
    assert list_audited(hospital) == []


def test_list_is_read_by_its_index(hospital: Hospital) -> None:
    sql = "SELECT outbox_id FROM outbox FORCE INDEX (dead_lettered) WHERE tenant_id = %(id)s AND dead_lettered_at < 9"
    [plan] = explain(f"{sql} ORDER BY dead_lettered_at DESC, outbox_id DESC LIMIT 21", id=hospital.tenant_id)
    assert plan["key"] == "dead_lettered"
    assert "filesort" not in (plan["Extra"] or "")
