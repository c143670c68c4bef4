"""What must happen after the answer, whatever becomes of the process that promised it.

    outbox.put(tx, tenant_id, "tell", {"booking": 12}, once="booking:12:stopped")  # in the transaction that causes it
    outbox.nudge()  # after the commit: begin at once, and not with the next minute

A row is done at least once, by the function that jobs.py names; `once` keeps a second cause from making a second row.
What fails is tried again after a growing while, and given up after TRIES: then it stays, and an error is logged. So is
what each time ended the process that began it.
What is done goes at once, for it may name people; what has a name (`once`) stays for KEPT, so that it is not done anew.

There are two lanes, each in its own order and with its own runners: our own work, and what calls another company
(`outside`, as jobs.py has it). Whoever promises a job of that lane nudges it. There a code goes before any message that
only tells, however many of those wait, and however slow the company is that takes them.
"""

import json
import logging
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from chalicelib import clock, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import lambdas
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.errors import ApiError
from chalicelib.outbox import store
from chalicelib.outbox.jobs import EXTERNAL_JOBS, JOB_FUNCTIONS, URGENT_JOBS
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

BATCH_SIZE = 50
RUN_BUDGET_SECONDS = 40.0  # seconds after which no further row is begun: the next run goes on
LEASE = 60 * clock.SECOND  # what takes longer than this is begun anew by somebody else
INITIAL_BACKOFF, MAX_BACKOFF = 5 * clock.SECOND, 3600 * clock.SECOND  # doubled after each failure
MAX_ATTEMPTS = 21  # half a day
RETENTION = 30 * clock.DAY
URGENT_WINDOW = 60 * clock.SECOND  # what is urgent is so, after it was due
# The function is Chalice's handler of a schedule, and reads what EventBridge would say.
WAKE_EVENT: dict[str, Any] = {**dict.fromkeys(("version", "account", "region", "id", "time"), ""), "source": "nudge"}
WAKE_EVENT |= {"detail-type": "", "detail": {}, "resources": []}


def enqueue(tx: Tx, tenant_id: int, job: str, payload: Mapping[str, Any], once: str | None = None) -> None:
    """Promise a job. `once` (up to 128 bytes) names what happens once for the tenant, however often it is caused."""
    store.insert(tx, tenant_id, job, once, json.dumps(payload, ensure_ascii=False), clock.now())


def wake_worker(outside: bool = False) -> None:
    """Have somebody look at a lane now. Where that fails, whoever looks each minute finds it."""
    function = settings.external_outbox_function if outside else settings.outbox_function
    if not function:
        if not settings.in_lambda:  # whose threads stand still after the answer
            _workers[outside].wake()
        return
    try:
        lambdas.invoke(function, WAKE_EVENT)
    except ApiError as refused:
        logger.warning("outbox not nudged", extra={"ids": logs.describe_error(refused.__cause__ or refused)})


def run_due_jobs(outside: bool = False) -> int:
    """Do what is due in a lane; return how many rows were done. Safe to run twice, also at once."""
    started, done = clock.monotonic(), 0
    claimed = BATCH_SIZE
    while claimed:
        claimed = 0
        for row in mysql.run_autocommit(lambda tx: _list_due(tx, outside)):
            if clock.monotonic() - started > RUN_BUDGET_SECONDS:
                return done
            if _claim(row):  # one at a time, so that the lease is for its own work alone
                claimed += 1
                done += _run_job(row)
                if outside:  # which took its time: what is urgent may have come
                    break
    mysql.run_autocommit(lambda tx: store.delete_finished(tx, clock.now() - RETENTION, 1_000))
    return done


def _list_due(tx: Tx, outside: bool) -> list[Row]:
    if not outside:
        return store.list_due(tx, clock.now(), EXTERNAL_JOBS, False, BATCH_SIZE)
    # Of what has waited longer nobody is in haste any more; and so a long queue is not looked through for each row.
    urgent = store.list_due(tx, clock.now(), URGENT_JOBS, True, BATCH_SIZE, since=clock.now() - URGENT_WINDOW)
    return urgent + store.list_due(tx, clock.now(), EXTERNAL_JOBS, True, BATCH_SIZE)


def _claim(row: Row) -> bool:
    return mysql.run_autocommit(lambda tx: store.claim(tx, row, clock.now() + LEASE))


def _run_job(row: Row) -> bool:
    late = max(clock.now() - row["due_at"], 0) // clock.SECOND
    ids = {**{name: row[name] for name in ("tenant_id", "job", "outbox_id")}, "try": row["tries"] + 1, "late": late}
    try:
        if row["tries"] >= MAX_ATTEMPTS:
            raise RuntimeError("whoever began it died at it")
        module, _, name = JOB_FUNCTIONS[row["job"]].partition(":")
        getattr(import_module(module), name)(row["tenant_id"], json.loads(row["payload"]))
    except Exception as error:
        _record_failure(row, {**ids, **logs.describe_error(error)})
        return False
    mysql.run_autocommit(lambda tx: store.finish(tx, row, clock.now()))
    logger.info("job done", extra={"ids": ids})
    return True


def _record_failure(row: Row, ids: dict[str, Any]) -> None:
    if row["tries"] + 1 < MAX_ATTEMPTS:
        wait = min(INITIAL_BACKOFF << row["tries"], MAX_BACKOFF)
        mysql.run_autocommit(lambda tx: store.postpone(tx, row["outbox_id"], clock.now() + wait))
        logger.warning("job failed", exc_info=True, extra={"ids": ids})
    else:
        mysql.run_autocommit(lambda tx: store.dead_letter(tx, row["outbox_id"], clock.now()))
        logger.error("job given up", exc_info=True, extra={"ids": ids})


class _Worker:
    """Where there is no other function to do it: a thread for each lane, that ends when nothing is due."""

    def __init__(self, outside: bool) -> None:
        self._queue = outside
        self._lock = threading.Lock()
        self._running = self._rerun_requested = False

    def wake(self) -> None:
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
                logger.exception("outbox not run")

    def _take_request(self) -> bool:
        with self._lock:
            self._running, self._rerun_requested = self._rerun_requested, False
            return self._running


_workers = {outside: _Worker(outside) for outside in (False, True)}
