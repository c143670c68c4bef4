"""Clean-up: tokens and codes that died, and tries that no longer count, go after a day; addresses when they are no
longer known."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

KEPT = clock.DAY
BATCH = 1_000  # rows of one statement: nobody waits long for their locks
BUDGET = 8.0  # seconds after which no further batch is begun: the next run goes on


def sweep() -> int:
    """Return how many rows went. Safe to run twice, also at once."""
    started, swept = clock.monotonic(), 0
    for forget in (_dead_tokens, _old_attempts, _dead_codes, _old_requests, _old_states, _old_openids):
        gone = BATCH
        while gone == BATCH and clock.monotonic() - started < BUDGET:
            gone = mysql.autocommit(forget)
            swept += gone
    logger.info("identity swept", extra={"ids": {"rows": swept}})
    return swept


def _dead_tokens(tx: Tx) -> int:
    """Revoked ones stay until they would have died: their tombstones in Redis may be lost before."""
    return tx.run(f"DELETE FROM tokens WHERE expires_at < %(then)s LIMIT {BATCH}", then=clock.now() - KEPT)


def _old_attempts(tx: Tx) -> int:
    now = clock.now()
    return tx.run(
        f"""
        DELETE FROM attempts
        WHERE since < %(then)s AND (known_until IS NULL OR known_until < %(now)s) LIMIT {BATCH}
        """,
        then=now - KEPT,
        now=now,
    )


def _dead_codes(tx: Tx) -> int:
    return tx.run(f"DELETE FROM codes WHERE expires_at < %(then)s LIMIT {BATCH}", then=clock.now() - KEPT)


def _old_requests(tx: Tx) -> int:
    return tx.run(f"DELETE FROM code_requests WHERE asked_at < %(then)s LIMIT {BATCH}", then=clock.now() - KEPT)


def _old_states(tx: Tx) -> int:
    return tx.run(f"DELETE FROM wechat_states WHERE expires_at < %(then)s LIMIT {BATCH}", then=clock.now() - KEPT)


def _old_openids(tx: Tx) -> int:
    """Those of tokens that are dead for certain."""
    then = clock.now() - settings.token_days * clock.DAY - KEPT
    return tx.run(f"DELETE FROM wechat_openids WHERE bound_at < %(then)s LIMIT {BATCH}", then=then)
