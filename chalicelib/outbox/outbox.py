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
from chalicelib.errors import Refused
from chalicelib.outbox import store
from chalicelib.outbox.jobs import JOBS, OUTSIDE, URGENT
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

BATCH = 50
BUDGET = 40.0  # seconds after which no further row is begun: the next run goes on
LEASE = 60 * clock.SECOND  # what takes longer than this is begun anew by somebody else
FIRST_WAIT, LONGEST_WAIT = 5 * clock.SECOND, 3600 * clock.SECOND  # doubled after each failure
TRIES = 21  # half a day
KEPT = 30 * clock.DAY
HASTE = 60 * clock.SECOND  # what is urgent is so, after it was due
# The function is Chalice's handler of a schedule, and reads what EventBridge would say.
NUDGE: dict[str, Any] = {**dict.fromkeys(("version", "account", "region", "id", "time"), ""), "source": "nudge"}
NUDGE |= {"detail-type": "", "detail": {}, "resources": []}


def put(tx: Tx, tenant_id: int, job: str, payload: Mapping[str, Any], once: str | None = None) -> None:
    """Promise a job. `once` (up to 128 bytes) names what happens once for the tenant, however often it is caused."""
    store.insert(tx, tenant_id, job, once, json.dumps(payload, ensure_ascii=False), clock.now())


def nudge(outside: bool = False) -> None:
    """Have somebody look at a lane now. Where that fails, whoever looks each minute finds it."""
    function = settings.outside_function if outside else settings.outbox_function
    if not function:
        if not settings.in_lambda:  # whose threads stand still after the answer
            _workers[outside].wake()
        return
    try:
        lambdas.invoke(function, NUDGE)
    except Refused as refused:
        logger.warning("outbox not nudged", extra={"ids": logs.cause(refused.__cause__ or refused)})


def run(outside: bool = False) -> int:
    """Do what is due in a lane; return how many rows were done. Safe to run twice, also at once."""
    started, done = clock.monotonic(), 0
    claimed = BATCH
    while claimed:
        claimed = 0
        for row in mysql.autocommit(lambda tx: _due(tx, outside)):
            if clock.monotonic() - started > BUDGET:
                return done
            if _claimed(row):  # one at a time, so that the lease is for its own work alone
                claimed += 1
                done += _done(row)
                if outside:  # which took its time: what is urgent may have come
                    break
    mysql.autocommit(lambda tx: store.forget(tx, clock.now() - KEPT, 1_000))
    return done


def _due(tx: Tx, outside: bool) -> list[Row]:
    if not outside:
        return store.due(tx, clock.now(), OUTSIDE, False, BATCH)
    # Of what has waited longer nobody is in haste any more; and so a long queue is not looked through for each row.
    urgent = store.due(tx, clock.now(), URGENT, True, BATCH, since=clock.now() - HASTE)
    return urgent + store.due(tx, clock.now(), OUTSIDE, True, BATCH)


def _claimed(row: Row) -> bool:
    return mysql.autocommit(lambda tx: store.claim(tx, row, clock.now() + LEASE))


def _done(row: Row) -> bool:
    late = max(clock.now() - row["due_at"], 0) // clock.SECOND
    ids = {**{name: row[name] for name in ("tenant_id", "job", "outbox_id")}, "try": row["tries"] + 1, "late": late}
    try:
        if row["tries"] >= TRIES:
            raise RuntimeError("whoever began it died at it")
        module, _, name = JOBS[row["job"]].partition(":")
        getattr(import_module(module), name)(row["tenant_id"], json.loads(row["payload"]))
    except Exception as error:
        _failed(row, {**ids, **logs.cause(error)})
        return False
    mysql.autocommit(lambda tx: store.finish(tx, row, clock.now()))
    logger.info("job done", extra={"ids": ids})
    return True


def _failed(row: Row, ids: dict[str, Any]) -> None:
    if row["tries"] + 1 < TRIES:
        wait = min(FIRST_WAIT << row["tries"], LONGEST_WAIT)
        mysql.autocommit(lambda tx: store.postpone(tx, row["outbox_id"], clock.now() + wait))
        logger.warning("job failed", exc_info=True, extra={"ids": ids})
    else:
        mysql.autocommit(lambda tx: store.park(tx, row["outbox_id"], clock.now()))
        logger.error("job given up", exc_info=True, extra={"ids": ids})


class _Worker:
    """Where there is no other function to do it: a thread for each lane, that ends when nothing is due."""

    def __init__(self, outside: bool) -> None:
        self._outside = outside
        self._lock = threading.Lock()
        self._working = self._again = False

    def wake(self) -> None:
        with self._lock:
            self._again = True
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="outbox", daemon=True).start()

    def _work(self) -> None:
        while self._wanted():
            try:
                run(self._outside)
            except Exception:
                logger.exception("outbox not run")

    def _wanted(self) -> bool:
        with self._lock:
            self._working, self._again = self._again, False
            return self._working


_workers = {outside: _Worker(outside) for outside in (False, True)}
