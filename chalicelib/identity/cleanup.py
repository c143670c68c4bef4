"""Delete expired tokens, codes and rate-limit rows a day after they have lost their effect."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql

logger = logging.getLogger(__name__)

RETENTION = clock.DAY
OPENID_RETENTION = 400 * clock.DAY
BATCH_SIZE = 1_000  # rows per statement, so that its locks are held briefly
TIME_BUDGET_SECONDS = 8.0  # after which no further batch is started; the next run continues

# A revoked token is kept until it would have expired, because its tombstone in Redis may be lost before.
# An openid outlives its token: it can prove whose an account is that was not used for long (wechat/oauth.py).
EXPIRED_ROWS_SQL = (
    "DELETE FROM tokens WHERE expires_at < %(before)s",
    "DELETE FROM attempts WHERE last_failed_at < %(before)s",
    "DELETE FROM quotas WHERE full_at < %(before)s",
    "DELETE FROM known_networks WHERE known_until < %(now)s",
    "DELETE FROM codes WHERE expires_at < %(before)s",
    "DELETE FROM code_requests WHERE requested_at < %(before)s",
    "DELETE FROM wechat_states WHERE expires_at < %(before)s",
    "DELETE FROM wechat_callbacks WHERE received_at < %(before)s",
    "DELETE FROM wechat_receipts WHERE created_at < %(before)s",
    "DELETE FROM booking_notifications WHERE created_at < %(bound_before)s",
    "DELETE FROM wechat_subscription_credits WHERE changed_at < %(bound_before)s",
    "DELETE FROM wechat_subscription_uses WHERE used_at < %(bound_before)s",
    "DELETE FROM wechat_openids WHERE bound_at < %(bound_before)s",
)


def delete_expired() -> int:
    """Delete expired rows and return their number. Safe to run repeatedly and concurrently."""
    started, now, deleted = clock.monotonic(), clock.now(), 0
    for sql in EXPIRED_ROWS_SQL:
        batch = BATCH_SIZE
        while batch == BATCH_SIZE and clock.monotonic() - started < TIME_BUDGET_SECONDS:
            batch = mysql.autocommit.execute(
                f"{sql} LIMIT {BATCH_SIZE}",
                before=now - RETENTION,
                bound_before=now - OPENID_RETENTION,
                now=now,
            )
            deleted += batch
    logger.info("identity cleaned up", extra={"ids": {"rows": deleted}})
    return deleted
