"""Which templates a hospital uses for each kind of message at WeChat."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from chalicelib.adapters.mysql import Tx


class TemplateKind(IntEnum):
    """wech_temp_type of document 003: what a template message reports."""

    PICK_UP = 0  # of an optician; stored, never sent
    BOOKED = 1
    CANCELLED = 2
    REGISTERED = 3
    REVISIT = 4  # 复诊提醒, sent as the reminder on the evening before a booking
    DOCTOR_REPLY = 5
    WORK_ORDER = 6  # of an optician; stored, never sent


class TemplateTable(StrEnum):
    """The table of the templates by which messages of one sort are sent."""

    MESSAGES = "bas_tenant_wechat_template"  # 模板消息
    SUBSCRIPTIONS = "wechat_subscription_templates"  # 订阅通知, each with a user's consent (subscriptions.py)


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """The template of a kind of message. Kinds without one are not sent."""

    kind: TemplateKind
    template_id: str


def list_all(tx: Tx, table: TemplateTable, tenant_id: int) -> list[TemplateChoice]:
    """Return the templates that a hospital has chosen, by kind."""
    rows = tx.fetch_all(
        f"""
        SELECT wech_temp_type, wech_temp_id FROM {table}
        WHERE tenant_id = %(tenant_id)s ORDER BY wech_temp_type
        """,
        tenant_id=tenant_id,
    )
    return [TemplateChoice(TemplateKind(row["wech_temp_type"]), row["wech_temp_id"]) for row in rows]


def find_id(tx: Tx, table: TemplateTable, tenant_id: int, kind: TemplateKind) -> str:
    """Return the id of the template for a kind of message, "" if the hospital does not send this kind."""
    template_id: str | None = tx.fetch_value(
        f"""
        SELECT wech_temp_id FROM {table}
        WHERE tenant_id = %(tenant_id)s AND wech_temp_type = %(kind)s
        """,
        tenant_id=tenant_id,
        kind=kind,
    )
    return template_id or ""


def save(
    tx: Tx, table: TemplateTable, tenant_id: int, kind: TemplateKind, template_id: str, changed_by: int, now: int
) -> None:
    """Choose the template for a kind of message; with template_id "" the kind is not sent any more.

    Args:
        changed_by: user_id of the admin.
    """
    if not template_id:
        tx.execute(
            f"""
            DELETE FROM {table}
            WHERE tenant_id = %(tenant_id)s AND wech_temp_type = %(kind)s
            """,
            tenant_id=tenant_id,
            kind=kind,
        )
        return
    tx.execute(
        f"""
        INSERT INTO {table} (tenant_id, wech_temp_type, wech_temp_id, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(kind)s, %(template_id)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE wech_temp_id = %(template_id)s, changed_by = %(changed_by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        template_id=template_id,
        changed_by=changed_by,
        now=now,
    )
