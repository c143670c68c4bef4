"""Which message template (模板消息) a hospital uses for each kind of message."""

from dataclasses import dataclass
from enum import IntEnum

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


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """The template of a kind of message. Kinds without one are not sent."""

    kind: TemplateKind
    template_id: str


def list_all(tx: Tx, tenant_id: int) -> list[TemplateChoice]:
    """Return the templates that a hospital has chosen, by kind."""
    rows = tx.fetch_all(
        """
        SELECT wech_temp_type, wech_temp_id FROM bas_tenant_wechat_template
        WHERE tenant_id = %(tenant_id)s ORDER BY wech_temp_type
        """,
        tenant_id=tenant_id,
    )
    return [TemplateChoice(TemplateKind(row["wech_temp_type"]), row["wech_temp_id"]) for row in rows]


def find_id(tx: Tx, tenant_id: int, kind: TemplateKind) -> str:
    """Return the id of the template for a kind of message, "" if the hospital does not send this kind."""
    template_id: str | None = tx.fetch_value(
        """
        SELECT wech_temp_id FROM bas_tenant_wechat_template
        WHERE tenant_id = %(tenant_id)s AND wech_temp_type = %(kind)s
        """,
        tenant_id=tenant_id,
        kind=kind,
    )
    return template_id or ""


def save(tx: Tx, tenant_id: int, kind: TemplateKind, template_id: str, changed_by: int, now: int) -> None:
    """Choose the template for a kind of message; with template_id "" the kind is not sent any more.

    Args:
        changed_by: user_id of the admin.
    """
    if not template_id:
        tx.execute(
            """
            DELETE FROM bas_tenant_wechat_template
            WHERE tenant_id = %(tenant_id)s AND wech_temp_type = %(kind)s
            """,
            tenant_id=tenant_id,
            kind=kind,
        )
        return
    tx.execute(
        """
        INSERT INTO bas_tenant_wechat_template (tenant_id, wech_temp_type, wech_temp_id, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(kind)s, %(template_id)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE wech_temp_id = %(template_id)s, changed_by = %(changed_by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        template_id=template_id,
        changed_by=changed_by,
        now=now,
    )
