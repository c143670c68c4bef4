"""By what template of its account a hospital sends each kind of message (模板消息)."""

from enum import IntEnum

from chalicelib.adapters.mysql import Row, Tx


class TemplateKind(IntEnum):
    """wech_temp_type of document 003: what a template message tells."""

    PICK_UP = 0
    BOOKED = 1
    CANCELLED = 2
    REGISTERED = 3
    REVISIT = 4
    DOCTOR_REPLY = 5
    WORK_ORDER = 6


def list_all(tx: Tx, tenant_id: int) -> list[Row]:
    """Return wech_temp_type and wech_temp_id of each kind that is sent."""
    return tx.fetch_all(
        """
        SELECT wech_temp_type, wech_temp_id FROM bas_tenant_wechat_template
        WHERE tenant_id = %(tenant_id)s ORDER BY wech_temp_type
        """,
        tenant_id=tenant_id,
    )


def find_id(tx: Tx, tenant_id: int, kind: int) -> str:
    """Return a template's id, "" where the hospital does not send this kind."""
    found: str | None = tx.fetch_value(
        """
        SELECT wech_temp_id FROM bas_tenant_wechat_template
        WHERE tenant_id = %(tenant_id)s AND wech_temp_type = %(kind)s
        """,
        tenant_id=tenant_id,
        kind=kind,
    )
    return found or ""


def save(tx: Tx, tenant_id: int, kind: int, template_id: str, by: int, now: int) -> None:
    """Have a kind sent by another template; without one it is sent no more."""
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
        VALUES (%(tenant_id)s, %(kind)s, %(template_id)s, %(by)s, %(now)s)
        ON DUPLICATE KEY UPDATE wech_temp_id = %(template_id)s, changed_by = %(by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        kind=kind,
        template_id=template_id,
        by=by,
        now=now,
    )
