"""Transactional outbox: durable background jobs with at-least-once execution.

    outbox.enqueue(tx, tenant_id, Job.REFUND_BOOKING, {"book_id": 12}, dedup_key="refund:12:booking")
    outbox.wake_worker(Queue.EXTERNAL)  # after the commit; otherwise the next scheduled run takes the job

A job is enqueued in the same transaction as the change that causes it, and executed after the commit by the handler
that app.py registers for it. A handler takes the tenant's id and the job's payload and must be idempotent.
A failed job is retried with exponential backoff (INITIAL_BACKOFF doubling up to MAX_BACKOFF) and dead-lettered after
MAX_ATTEMPTS, about half a day: the row stays and an error is logged. A job that crashes its process each time is
dead-lettered too. Finished jobs are deleted at once, because payloads may name people; those with a `dedup_key` stay
for RETENTION, so that they are not enqueued again.

Each queue has its own worker. In the external queue, urgent jobs (SMS codes) take precedence over all others, and a
failed one is retried after seconds: the worker waits for it, because the next scheduled run may be a minute away.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import lambdas
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.outbox import store
from chalicelib.outbox.jobs import EXTERNAL_JOBS, URGENT_JOBS, Job, Queue
from chalicelib.outbox.store import DueJob
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

Handler = Callable[[int, dict[str, Any]], None]  # tenant_id, payload

BATCH_SIZE = 50
RUN_BUDGET_SECONDS = 40.0  # after this no further job is started: the next run continues
LEASE = 60 * clock.SECOND  # a job that takes longer may be started again by another worker
INITIAL_BACKOFF, MAX_BACKOFF = 5 * clock.SECOND, 3600 * clock.SECOND
URGENT_INITIAL_BACKOFF, URGENT_MAX_BACKOFF = 2 * clock.SECOND, 30 * clock.SECOND
MAX_ATTEMPTS = 21
RETENTION = 30 * clock.DAY
URGENT_WINDOW = 60 * clock.SECOND  # after it was due, an urgent job loses its precedence
URGENT_POLL_SECONDS = 1.0  # while the worker waits for a retry, it looks for new jobs so often
# The function is Chalice's handler of a schedule, which reads the fields of an EventBridge event.
WAKE_EVENT: dict[str, Any] = {**dict.fromkeys(("version", "account", "region", "id", "time"), ""), "source": "wake"}
WAKE_EVENT |= {"detail-type": "", "detail": {}, "resources": []}

_handler_loaders: dict[Queue, Callable[[Job], Handler]] = {}


def register_handlers(queue: Queue, load_handler: Callable[[Job], Handler]) -> None:
    """Set the function that imports and returns the handler of a job of the queue. It is called when the job runs."""
    _handler_loaders[queue] = load_handler


def enqueue(
    tx: Tx,
    tenant_id: int,
    job: Job,
    payload: Mapping[str, Any],
    dedup_key: str | None = None,
    due_at: int | None = None,
) -> None:
    """Insert a job that runs after this transaction commits.

    Args:
        dedup_key: at most 128 bytes; a second job with the same key in the tenant is ignored.
        due_at: when to run it; None for at once.
    """
    content = json.dumps(payload, ensure_ascii=False)
    store.insert(tx, tenant_id, job, dedup_key, content, clock.now(), due_at)


def wake_worker(queue: Queue = Queue.INTERNAL) -> None:
    """Start the queue's worker now. If that fails, the scheduled run picks the jobs up within a minute."""
    functions = {Queue.INTERNAL: settings.outbox_function, Queue.EXTERNAL: settings.external_outbox_function}
    if not functions[queue]:
        if not settings.in_lambda:  # a Lambda's threads are frozen after its response
            _workers[queue].wake()
        return
    try:
        lambdas.invoke(functions[queue], WAKE_EVENT)
    except ApiError as error:
        logger.warning("outbox worker not woken", extra={"ids": logs.describe_error(error.__cause__ or error)})


def run_due_jobs(queue: Queue = Queue.INTERNAL) -> int:
    """Execute all due jobs of a queue and return how many succeeded.

    Safe to call repeatedly and concurrently: each job is leased for LEASE before it runs.
    """
    started, succeeded = clock.monotonic(), 0
    claimed = BATCH_SIZE
    while claimed or (queue is Queue.EXTERNAL and _wait_for_urgent_retry(started)):
        claimed = 0
        for job in _list_due_jobs(queue):
            if clock.monotonic() - started > RUN_BUDGET_SECONDS:
                return succeeded
            if store.claim(mysql.autocommit, job, clock.now() + LEASE):
                claimed += 1
                succeeded += _run_job(queue, job)
                if queue is Queue.EXTERNAL:  # an urgent job may have been enqueued meanwhile
                    break
    store.delete_finished(mysql.autocommit, clock.now() - RETENTION, 1_000)
    return succeeded


def _list_due_jobs(queue: Queue) -> list[DueJob]:
    tx, now = mysql.autocommit, clock.now()
    if queue is Queue.INTERNAL:
        return store.list_due(tx, now, EXTERNAL_JOBS, False, BATCH_SIZE)
    urgent = store.list_due(tx, now, URGENT_JOBS, True, BATCH_SIZE, since=now - URGENT_WINDOW)
    return urgent + store.list_due(tx, now, EXTERNAL_JOBS, True, BATCH_SIZE)


def _wait_for_urgent_retry(started: float) -> bool:
    """Wait for a moment if an urgent job is to be retried soon; return False if this run ends instead."""
    now = clock.now()
    due_at = store.find_next_due(mysql.autocommit, URGENT_JOBS, now + URGENT_MAX_BACKOFF)
    if due_at is None or clock.monotonic() - started > RUN_BUDGET_SECONDS:
        return False
    clock.sleep(min(max(due_at - now, 0) / clock.SECOND, URGENT_POLL_SECONDS))
    return True


def _run_job(queue: Queue, job: DueJob) -> bool:
    late_seconds = max(clock.now() - job.due_at, 0) // clock.SECOND
    ids = {"tenant_id": job.tenant_id, "job": job.job, "outbox_id": job.outbox_id}
    ids |= {"try": job.attempts + 1, "late": late_seconds}
    try:
        if job.attempts >= MAX_ATTEMPTS:
            raise RuntimeError("the worker crashed on every attempt")
        _handler_loaders[queue](Job(job.job))(job.tenant_id, json.loads(job.payload))
    except Exception as error:
        _record_failure(job, ids, logs.describe_error(error))
        return False
    store.finish(mysql.autocommit, job, clock.now())
    logger.info("job done", extra={"ids": ids})
    return True


def _record_failure(job: DueJob, ids: dict[str, Any], error: dict[str, Any]) -> None:
    ids = {**ids, **error}
    if job.attempts + 1 < MAX_ATTEMPTS:
        is_urgent = job.job in URGENT_JOBS
        first, longest = (URGENT_INITIAL_BACKOFF, URGENT_MAX_BACKOFF) if is_urgent else (INITIAL_BACKOFF, MAX_BACKOFF)
        backoff = min(first << job.attempts, longest)
        store.postpone(mysql.autocommit, job.outbox_id, clock.now() + backoff)
        logger.warning("job failed", exc_info=True, extra={"ids": ids})
    else:
        store.dead_letter(mysql.autocommit, job.outbox_id, " ".join(map(str, error.values())), clock.now())
        logger.error("job dead-lettered", exc_info=True, extra={"ids": ids})


class _Worker:
    """Outside AWS: a thread that runs a queue's due jobs and ends when there are none."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._lock = threading.Lock()
        self._running = self._rerun_requested = False

    def wake(self) -> None:
        """Run the queue now, or once more if it is running."""
        with self._lock:
            self._rerun_requested = True
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def _run(self) -> None:
        while self._take_request():
            try:
                run_due_jobs(self._queue)
            except Exception:
                logger.exception("outbox run failed")

    def _take_request(self) -> bool:
        with self._lock:
            self._running, self._rerun_requested = self._rerun_requested, False
            return self._running


_workers = {queue: _Worker(queue) for queue in Queue}
