"""What was promised in a transaction is done after it, at least once, and given up only when somebody can see it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app import run_outbox
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.outbox import outbox, store
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.settings import settings
from tests.files.test_sweep import said
from tests.inbox.test_list import counted
from tests.support.factories import Hospital

pytestmark = pytest.mark.store

done: list[tuple[int, dict[str, Any]]] = []
failing: list[Exception] = []


def job(tenant_id: int, payload: dict[str, Any]) -> None:
    if failing:
        raise failing[-1]
    done.append((tenant_id, payload))


QUEUES = {Job.PUBLISH_EVENT: Queue.INTERNAL, Job.WECHAT_BOOKING: Queue.EXTERNAL}
OTHER_QUEUE = {Queue.INTERNAL: Queue.EXTERNAL, Queue.EXTERNAL: Queue.INTERNAL}


@pytest.fixture(autouse=True)
def a_job(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Handlers of this test's own in each queue, and no jobs that other tests left."""
    mysql.autocommit.execute("DELETE FROM outbox")
    for queue in Queue:
        monkeypatch.setitem(outbox._handler_loaders, queue, lambda: dict.fromkeys(QUEUES, job))
    done.clear()
    failing.clear()
    yield
    mysql.autocommit.execute("DELETE FROM outbox")


def promise(hospital: Hospital, number: int = 1, dedup_key: str | None = None, job: Job = Job.PUBLISH_EVENT) -> None:
    mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, job, {"number": number}, dedup_key))


def rows() -> list[Row]:
    return mysql.autocommit.fetch_all("SELECT * FROM outbox ORDER BY outbox_id")


def later(microseconds: int) -> None:
    """Let so much time pass for whatever waits."""
    mysql.autocommit.execute("UPDATE outbox SET due_at = due_at - %(passed)s", passed=microseconds)


def test_what_was_promised_is_done_once(hospital: Hospital) -> None:
    promise(hospital)
    run_outbox(said(), None)
    assert outbox.run_due_jobs() == 0
    assert done == [(hospital.tenant_id, {"number": 1})]


def test_what_was_rolled_back_was_never_promised(hospital: Hospital) -> None:
    def regret(tx: mysql.Tx) -> None:
        outbox.enqueue(tx, hospital.tenant_id, Job.PUBLISH_EVENT, {})
        raise ValueError("regretted")

    with pytest.raises(ValueError, match="regretted"):
        mysql.run_transaction(regret)
    assert outbox.run_due_jobs() == 0


def test_what_happens_once_is_promised_once_for_each_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    for _ in range(2):
        promise(hospital, 1, "booking:12")
        promise(other_hospital, 2, "booking:12")
        outbox.run_due_jobs()
    assert sorted(done) == [(hospital.tenant_id, {"number": 1}), (other_hospital.tenant_id, {"number": 2})]


@pytest.mark.parametrize("job", QUEUES)
def test_many_at_once_do_each_once(hospital: Hospital, job: Job) -> None:
    for number in range(60):
        promise(hospital, number, job=job)
    assert outbox.run_due_jobs(OTHER_QUEUE[QUEUES[job]]) == 0
    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(lambda _: outbox.run_due_jobs(QUEUES[job]), range(6)))
    assert sum(counts) == 60
    assert sorted(payload["number"] for _, payload in done) == list(range(60))


@pytest.mark.parametrize("job", QUEUES)
def test_a_lane_keeps_its_order(hospital: Hospital, job: Job) -> None:
    for number in range(5):
        promise(hospital, number, job=job)
    outbox.run_due_jobs(QUEUES[job])
    assert [payload["number"] for _, payload in done] == list(range(5))


def test_what_fails_outside_is_tried_again_there(hospital: Hospital) -> None:
    promise(hospital, job=Job.WECHAT_BOOKING)
    failing.append(ConnectionError())
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 0
    later(5 * clock.SECOND)
    failing.clear()
    assert outbox.run_due_jobs() == 0
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 1


def test_what_fails_is_tried_again_after_a_growing_while(hospital: Hospital) -> None:
    promise(hospital)
    failing.append(ConnectionError())
    for wait in (5, 10, 20):
        assert outbox.run_due_jobs() == 0
        [row] = rows()
        assert row["due_at"] - clock.now() == pytest.approx(wait * clock.SECOND, abs=2 * clock.SECOND)
        assert outbox.run_due_jobs() == 0
        assert rows()[0]["attempts"] == row["attempts"]
        later(wait * clock.SECOND)
    failing.clear()
    assert outbox.run_due_jobs() == 1
    assert len(done) == 1


def test_what_cannot_be_done_is_given_up_and_said_so(hospital: Hospital, caplog: pytest.LogCaptureFixture) -> None:
    promise(hospital)
    failing.append(ValueError("13800000001"))
    waited = 0
    for _ in range(outbox.MAX_ATTEMPTS):
        outbox.run_due_jobs()
        waited += max(rows()[0]["due_at"] - clock.now(), 0)
        later(outbox.MAX_BACKOFF)
    [row] = rows()
    assert 11 <= waited / (3600 * clock.SECOND) <= 13, "hours"
    assert (row["pending"], row["attempts"], row["done_at"]) == (None, outbox.MAX_ATTEMPTS, None)
    assert row["dead_lettered_at"]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_what_waits_for_another_company_is_not_looked_at_by_our_own_lane(hospital: Hospital) -> None:
    """Counted in MySQL: rows that were read."""
    digits = " UNION ALL ".join(f"SELECT {digit} AS n" for digit in range(10))
    places = " CROSS JOIN ".join(f"({digits}) AS d{place}" for place in range(4))
    mysql.autocommit.execute(
        f"""
            INSERT INTO outbox (tenant_id, job, payload, due_at, created_at)
            SELECT %(tenant_id)s, 'wechat_booking', '{{}}', 1, 1 FROM {places}
            """,
        tenant_id=hospital.tenant_id,
    )
    promise(hospital)
    lane = (clock.now(), [Job.WECHAT_BOOKING], False, 50)
    found, read = mysql.run_autocommit(lambda tx: counted(tx, lambda: store.list_due(tx, *lane)))
    assert [job.job for job in found] == [Job.PUBLISH_EVENT]
    assert read <= 10


def test_a_job_that_nobody_knows_waits_for_the_version_that_does(hospital: Hospital) -> None:
    store.insert(mysql.autocommit, hospital.tenant_id, "unheard-of", None, "{}", clock.now())
    assert outbox.run_due_jobs() == 0
    assert rows()[0]["pending"] == 1


def test_who_died_at_work_is_followed_by_another_after_the_lease(hospital: Hospital) -> None:
    promise(hospital)
    failing.append(SystemExit())  # type: ignore[arg-type]  # as if the process were killed: nothing catches it
    with pytest.raises(SystemExit):
        outbox.run_due_jobs()
    failing.clear()
    assert outbox.run_due_jobs() == 0
    later(outbox.LEASE)
    assert outbox.run_due_jobs() == 1


def test_what_ends_each_process_that_begins_it_is_given_up(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    promise(hospital)
    failing.append(SystemExit())  # type: ignore[arg-type]  # out of memory, out of time
    for _ in range(outbox.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            outbox.run_due_jobs()
        later(outbox.LEASE)
    assert outbox.run_due_jobs() == 0
    assert (rows()[0]["pending"], done) == (None, [])
    assert rows()[0]["dead_lettered_at"]
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


def test_one_that_fails_keeps_no_other_from_being_done(hospital: Hospital) -> None:
    store.insert(mysql.autocommit, hospital.tenant_id, "unheard-of", None, "{}", clock.now())
    promise(hospital)
    assert outbox.run_due_jobs() == 1


def test_what_is_done_goes_unless_its_name_keeps_it_from_being_done_again(hospital: Hospital) -> None:
    promise(hospital, 1)
    promise(hospital, 2, "booking:12")
    assert outbox.run_due_jobs() == 2
    assert [row["dedup_key"] for row in rows()] == [b"booking:12"]


def test_what_was_done_long_ago_is_forgotten(hospital: Hospital) -> None:
    promise(hospital, dedup_key="booking:12")
    outbox.run_due_jobs()
    mysql.autocommit.execute("UPDATE outbox SET done_at = done_at - %(ago)s", ago=outbox.RETENTION + 1)
    outbox.run_due_jobs()
    assert rows() == []


@pytest.mark.parametrize("job", QUEUES)
def test_without_another_function_a_thread_begins_at_once(hospital: Hospital, job: Job) -> None:
    for number in range(5):
        promise(hospital, number, job=job)
        outbox.wake_worker(QUEUES[job])
    deadline = clock.monotonic() + 10
    while len(done) < 5 and clock.monotonic() < deadline:
        pass
    assert sorted(json.dumps(payload) for _, payload in done) == [f'{{"number": {number}}}' for number in range(5)]


def test_a_lambda_begins_no_thread(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those that run the outbox one tells nobody: what its own jobs promise, it finds before it ends."""
    monkeypatch.setattr(outbox, "settings", replace(settings, in_lambda=True))
    monkeypatch.setattr(threading, "Thread", lambda **_: pytest.fail("it would stand still after the answer"))
    promise(hospital)
    outbox.wake_worker()
    outbox.wake_worker(Queue.EXTERNAL)
    assert done == []
