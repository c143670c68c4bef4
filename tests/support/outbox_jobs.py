"""A job handler that records its calls, and helpers to enqueue jobs and let time pass."""

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until

QUEUES = {Job.PUBLISH_EVENT: Queue.INTERNAL, Job.WECHAT_BOOKING: Queue.EXTERNAL}

handled: list[tuple[int, dict[str, Any]]] = []  # tenant_id and payload of each successful call
failures: list[BaseException] = []  # the last one is raised by each call


def wait_for_workers() -> None:
    """Wait until worker threads that other tests have started end: they would run this test's jobs."""
    wait_until(lambda: not any(worker._running for worker in outbox._workers.values()))


def handle(tenant_id: int, payload: dict[str, Any]) -> None:
    if failures:
        raise failures[-1]
    handled.append((tenant_id, payload))


@pytest.fixture(autouse=True)
def recording_handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the handlers of both queues and delete the jobs that other tests have left.

    Worker threads that other tests have started must end first: they would run this test's jobs.
    """
    wait_for_workers()
    mysql.autocommit.execute("DELETE FROM outbox")
    for queue in Queue:
        monkeypatch.setitem(outbox._handler_loaders, queue, lambda _job: handle)
    handled.clear()
    failures.clear()
    yield
    mysql.autocommit.execute("DELETE FROM outbox")


def enqueue_job(
    hospital: Hospital, number: int = 1, dedup_key: str | None = None, job: Job = Job.PUBLISH_EVENT
) -> None:
    mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, job, {"number": number}, dedup_key))


def list_jobs() -> list[Row]:
    return mysql.autocommit.fetch_all("SELECT * FROM outbox ORDER BY outbox_id")


def advance_time(microseconds: int) -> None:
    """Make all jobs due earlier, as if this time had passed."""
    mysql.autocommit.execute("UPDATE outbox SET due_at = due_at - %(passed)s", passed=microseconds)
