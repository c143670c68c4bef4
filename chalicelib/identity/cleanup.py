"""Clean-up: tokens and codes that died, and tries that no longer count, go after a day; addresses when they are no
longer known."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

RETENTION = clock.DAY
BATCH_SIZE = 1_000  # rows of one statement: nobody waits long for their locks
TIME_BUDGET_SECONDS = 8.0  # seconds after which no further batch is begun: the next run goes on


def delete_expired() -> int:
    """Return how many rows went. Safe to run twice, also at once."""
    started, swept = clock.monotonic(), 0
    for forget in (
        _delete_expired_tokens,
        _delete_old_attempts,
        _delete_expired_codes,
        _delete_old_code_requests,
        _delete_expired_wechat_states,
        _delete_old_openids,
    ):
        gone = BATCH_SIZE
        while gone == BATCH_SIZE and clock.monotonic() - started < TIME_BUDGET_SECONDS:
            gone = mysql.run_autocommit(forget)
            swept += gone
    logger.info("identity swept", extra={"ids": {"rows": swept}})
    return swept


def _delete_expired_tokens(tx: Tx) -> int:
    """Revoked ones stay until they would have died: their tombstones in Redis may be lost before."""
    return tx.execute(
        f"DELETE FROM tokens WHERE expires_at < %(then)s LIMIT {BATCH_SIZE}", then=clock.now() - RETENTION
    )


def _delete_old_attempts(tx: Tx) -> int:
    now = clock.now()
    return tx.execute(
        f"""
        DELETE FROM attempts
        WHERE last_failed_at < %(then)s AND (known_until IS NULL OR known_until < %(now)s) LIMIT {BATCH_SIZE}
        """,
        then=now - RETENTION,
        now=now,
    )


def _delete_expired_codes(tx: Tx) -> int:
    return tx.execute(f"DELETE FROM codes WHERE expires_at < %(then)s LIMIT {BATCH_SIZE}", then=clock.now() - RETENTION)


def _delete_old_code_requests(tx: Tx) -> int:
    return tx.execute(
        f"DELETE FROM code_requests WHERE requested_at < %(then)s LIMIT {BATCH_SIZE}", then=clock.now() - RETENTION
    )


def _delete_expired_wechat_states(tx: Tx) -> int:
    return tx.execute(
        f"DELETE FROM wechat_states WHERE expires_at < %(then)s LIMIT {BATCH_SIZE}", then=clock.now() - RETENTION
    )


def _delete_old_openids(tx: Tx) -> int:
    """Those of tokens that are dead for certain."""
    then = clock.now() - settings.token_days * clock.DAY - RETENTION
    return tx.execute(f"DELETE FROM wechat_openids WHERE bound_at < %(then)s LIMIT {BATCH_SIZE}", then=then)
