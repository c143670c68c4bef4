"""Hospitals' rules of booking in MySQL. Nothing is decided here."""

from typing import Any

from chalicelib.adapters.mysql import Row, Tx

SELECT_RULES = """
    SELECT days_ahead, cancel_minutes, daily_limit, pay_minutes, missed_limit, weeks_ahead
    FROM booking_rules WHERE tenant_id = %(tenant_id)s
"""


def find(tx: Tx, tenant_id: int) -> Row | None:
    return tx.fetch_one(SELECT_RULES, tenant_id=tenant_id)


def insert_if_absent(tx: Tx, tenant_id: int, rules: dict[str, Any], user_id: int, now: int) -> None:
    """A row that is there stays as it is. It is locked until the commit either way."""
    tx.execute(
        """
        INSERT INTO booking_rules (tenant_id, days_ahead, cancel_minutes, daily_limit, pay_minutes, missed_limit,
                                   weeks_ahead, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(days_ahead)s, %(cancel_minutes)s, %(daily_limit)s, %(pay_minutes)s, %(missed_limit)s,
                %(weeks_ahead)s, %(user_id)s, %(now)s)
        ON DUPLICATE KEY UPDATE tenant_id = %(tenant_id)s
        """,
        **rules,
        tenant_id=tenant_id,
        user_id=user_id,
        now=now,
    )


def update(tx: Tx, tenant_id: int, rules: dict[str, Any], user_id: int, now: int) -> None:
    tx.execute(
        """
        UPDATE booking_rules
        SET days_ahead = %(days_ahead)s, cancel_minutes = %(cancel_minutes)s, daily_limit = %(daily_limit)s,
            pay_minutes = %(pay_minutes)s, missed_limit = %(missed_limit)s, weeks_ahead = %(weeks_ahead)s,
            changed_by = %(user_id)s, changed_at = %(now)s
        WHERE tenant_id = %(tenant_id)s
        """,
        **rules,
        tenant_id=tenant_id,
        user_id=user_id,
        now=now,
    )
