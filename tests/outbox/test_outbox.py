"""Jobs run at least once after their transaction commits, are retried, and are dead-lettered with an error."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app import run_outbox
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.outbox import outbox, store
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.settings import settings
from tests.support.client import build_schedule_event
from tests.support.factories import Hospital
from tests.support.outbox_jobs import (
    QUEUES,
    advance_time,
    enqueue_job,
    failures,
    handled,
    list_jobs,
    recording_handlers,
)
from tests.support.row_reads import count_rows_read

pytestmark = pytest.mark.store
__all__ = ["recording_handlers"]

OTHER_QUEUE = {Queue.INTERNAL: Queue.EXTERNAL, Queue.EXTERNAL: Queue.INTERNAL}
UNKNOWN_JOB = "unknown_job"


def count_errors(caplog: pytest.LogCaptureFixture) -> int:
    return [record.levelname for record in caplog.records].count("ERROR")


def test_job_runs_once(hospital: Hospital) -> None:
    enqueue_job(hospital)
    run_outbox(build_schedule_event(), None)
    assert outbox.run_due_jobs() == 0
    assert handled == [(hospital.tenant_id, {"number": 1})]


def test_job_of_rolled_back_transaction_does_not_run(hospital: Hospital) -> None:
    def roll_back(tx: mysql.Tx) -> None:
        outbox.enqueue(tx, hospital.tenant_id, Job.PUBLISH_EVENT, {})
        raise ValueError("rolled back")

    with pytest.raises(ValueError, match="rolled back"):
        mysql.run_transaction(roll_back)
    assert outbox.run_due_jobs() == 0


def test_dedup_key_is_unique_for_each_tenant(hospital: Hospital, other_hospital: Hospital) -> None:
    for _ in range(2):
        enqueue_job(hospital, 1, "booking:12")
        enqueue_job(other_hospital, 2, "booking:12")
        outbox.run_due_jobs()
    assert sorted(handled) == [(hospital.tenant_id, {"number": 1}), (other_hospital.tenant_id, {"number": 2})]


@pytest.mark.parametrize("job", QUEUES)
def test_concurrent_workers_run_each_job_once(hospital: Hospital, job: Job) -> None:
    for number in range(60):
        enqueue_job(hospital, number, job=job)
    assert outbox.run_due_jobs(OTHER_QUEUE[QUEUES[job]]) == 0
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: outbox.run_due_jobs(QUEUES[job]), range(6)))
    assert sum(counts) == 60
    assert sorted(payload["number"] for _, payload in handled) == list(range(60))


@pytest.mark.parametrize("job", QUEUES)
def test_jobs_of_a_queue_run_in_order(hospital: Hospital, job: Job) -> None:
    for number in range(5):
        enqueue_job(hospital, number, job=job)
    outbox.run_due_jobs(QUEUES[job])
    assert [payload["number"] for _, payload in handled] == list(range(5))


def test_failed_external_job_is_retried_in_the_external_queue(hospital: Hospital) -> None:
    enqueue_job(hospital, job=Job.WECHAT_BOOKING)
    failures.append(ConnectionError())
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    advance_time(5 * clock.SECOND)
    failures.clear()
    assert outbox.run_due_jobs() == 0
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 1


def test_failed_job_is_retried_with_exponential_backoff(hospital: Hospital) -> None:
    enqueue_job(hospital)
    failures.append(ConnectionError())
    for wait in (5, 10, 20):
        assert outbox.run_due_jobs() == 0
        [row] = list_jobs()
        assert row["due_at"] - clock.now() == pytest.approx(wait * clock.SECOND, abs=2 * clock.SECOND)
        assert outbox.run_due_jobs() == 0
        assert list_jobs()[0]["attempts"] == row["attempts"]
        advance_time(wait * clock.SECOND)
    failures.clear()
    assert outbox.run_due_jobs() == 1
    assert len(handled) == 1


def test_job_is_dead_lettered_with_an_error_after_the_last_attempt(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue_job(hospital)
    failures.append(ValueError("13800000001"))
    waited = 0
    for _ in range(outbox.MAX_ATTEMPTS):
        outbox.run_due_jobs()
        waited += max(list_jobs()[0]["due_at"] - clock.now(), 0)
        advance_time(outbox.MAX_BACKOFF)
    [row] = list_jobs()
    assert 11 <= waited / (3600 * clock.SECOND) <= 13, "hours"
    assert (row["pending"], row["attempts"], row["done_at"]) == (None, outbox.MAX_ATTEMPTS, None)
    assert row["dead_lettered_at"]
    assert count_errors(caplog) == 1


def test_worker_does_not_read_jobs_of_the_other_queue(hospital: Hospital) -> None:
    """Counted in MySQL: rows that were read."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
    places = " CROSS JOIN ".join(f"({digits}) AS d{place}" for place in range(4))
    mysql.autocommit.execute(
        f"""
            INSERT INTO outbox (tenant_id, job, payload, due_at, created_at)
            SELECT %(tenant_id)s, %(job)s, '{{}}', 1, 1 FROM {places}
            """,
        tenant_id=hospital.tenant_id,
        job=Job.WECHAT_BOOKING,
    )
    enqueue_job(hospital)
    found, rows_read = mysql.run_autocommit(
        lambda tx: count_rows_read(tx, lambda: store.list_due(tx, clock.now(), [Job.WECHAT_BOOKING], False, 50))
    )
    assert [job.job for job in found] == [Job.PUBLISH_EVENT]
    assert rows_read <= 10


def test_unknown_job_waits_for_a_version_with_a_handler(hospital: Hospital) -> None:
    store.insert(mysql.autocommit, hospital.tenant_id, UNKNOWN_JOB, None, "{}", clock.now())
    assert outbox.run_due_jobs() == 0
    assert list_jobs()[0]["pending"] == 1


def test_job_of_crashed_worker_runs_again_after_the_lease(hospital: Hospital) -> None:
    enqueue_job(hospital)
    failures.append(SystemExit())  # as if the process were killed: no except clause catches it
    with pytest.raises(SystemExit):
        outbox.run_due_jobs()
    failures.clear()
    assert outbox.run_due_jobs() == 0
    advance_time(outbox.LEASE)
    assert outbox.run_due_jobs() == 1


def test_job_that_crashes_every_worker_is_dead_lettered(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    enqueue_job(hospital)
    failures.append(SystemExit())  # out of memory or out of time
    for _ in range(outbox.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            outbox.run_due_jobs()
        advance_time(outbox.LEASE)
    assert outbox.run_due_jobs() == 0
    assert (list_jobs()[0]["pending"], handled) == (None, [])
    assert list_jobs()[0]["dead_lettered_at"]
    assert count_errors(caplog) == 1


def test_failed_job_does_not_stop_other_jobs(hospital: Hospital) -> None:
    store.insert(mysql.autocommit, hospital.tenant_id, UNKNOWN_JOB, None, "{}", clock.now())
    enqueue_job(hospital)
    assert outbox.run_due_jobs() == 1


def test_run_starts_no_job_after_its_time_budget(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue_job(hospital)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "RUN_BUDGET_SECONDS", -1.0)
        assert outbox.run_due_jobs() == 0
    assert list_jobs()[0]["attempts"] == 0
    assert outbox.run_due_jobs() == 1


def test_finished_job_is_deleted_unless_it_has_a_dedup_key(hospital: Hospital) -> None:
    enqueue_job(hospital, 1)
    enqueue_job(hospital, 2, "booking:12")
    assert outbox.run_due_jobs() == 2
    assert [row["dedup_key"] for row in list_jobs()] == [b"booking:12"]


def test_finished_job_is_deleted_after_the_retention_period(hospital: Hospital) -> None:
    enqueue_job(hospital, dedup_key="booking:12")
    outbox.run_due_jobs()
    mysql.autocommit.execute("UPDATE outbox SET done_at = done_at - %(age)s", age=outbox.RETENTION + 1)
    outbox.run_due_jobs()
    assert list_jobs() == []


@pytest.mark.parametrize("job", QUEUES)
def test_without_worker_function_a_thread_runs_the_jobs(hospital: Hospital, job: Job) -> None:
    for number in range(5):
        enqueue_job(hospital, number, job=job)
        outbox.wake_worker(QUEUES[job])
    deadline = clock.monotonic() + 10
    while len(handled) < 5 and clock.monotonic() < deadline:
        pass
    payloads = sorted(json.dumps(payload) for _, payload in handled)
    assert payloads == [f'{{"number": {number}}}' for number in range(5)]


def test_lambda_starts_no_thread(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker functions have no function to wake: they find the jobs that their own jobs enqueue before they end."""
    monkeypatch.setattr(outbox, "settings", replace(settings, in_lambda=True))
    monkeypatch.setattr(threading, "Thread", lambda **_: pytest.fail("the thread would be frozen after the response"))
    enqueue_job(hospital)
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)
    assert handled == []
