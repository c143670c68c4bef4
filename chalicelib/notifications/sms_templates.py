"""The SMS templates that a hospital's admin has entered, for each event."""

from dataclasses import dataclass

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.notifications.event_types import EventType


@dataclass(frozen=True, slots=True)
class SmsTemplate:
    """The template of an event. Events without one are not sent by SMS."""

    event_type: EventType
    sign_name: str
    template_id: str
    variables: tuple[str, ...]  # names of values, in the order of the template


def list_all(tx: Tx, tenant_id: int) -> list[SmsTemplate]:
    """Return the templates of a hospital, by event."""
    rows = tx.fetch_all(
        """
        SELECT event_type, sign_name, template_id, variables FROM sms_templates
        WHERE tenant_id = %(tenant_id)s ORDER BY event_type
        """,
        tenant_id=tenant_id,
    )
    return [_parse(row) for row in rows]


def find(tx: Tx, tenant_id: int, event_type: EventType) -> SmsTemplate | None:
    """Return the template of an event, None if the hospital does not send it by SMS."""
    row = tx.fetch_one(
        """
        SELECT event_type, sign_name, template_id, variables FROM sms_templates
        WHERE tenant_id = %(tenant_id)s AND event_type = %(event_type)s
        """,
        tenant_id=tenant_id,
        event_type=event_type,
    )
    return _parse(row) if row else None


def save(tx: Tx, tenant_id: int, template: SmsTemplate, changed_by: int, now: int) -> None:
    """Insert or replace the template of an event; one without a template_id is deleted.

    Args:
        changed_by: user_id of the admin.
    """
    if not template.template_id:
        tx.execute(
            "DELETE FROM sms_templates WHERE tenant_id = %(tenant_id)s AND event_type = %(event_type)s",
            tenant_id=tenant_id,
            event_type=template.event_type,
        )
        return
    tx.execute(
        """
        INSERT INTO sms_templates (tenant_id, event_type, sign_name, template_id, variables, changed_by, changed_at)
        VALUES (%(tenant_id)s, %(event_type)s, %(sign_name)s, %(template_id)s, %(variables)s, %(changed_by)s, %(now)s)
        ON DUPLICATE KEY UPDATE sign_name = %(sign_name)s, template_id = %(template_id)s, variables = %(variables)s,
            changed_by = %(changed_by)s, changed_at = %(now)s
        """,
        tenant_id=tenant_id,
        event_type=template.event_type,
        sign_name=template.sign_name,
        template_id=template.template_id,
        variables=",".join(template.variables),
        changed_by=changed_by,
        now=now,
    )


def _parse(row: Row) -> SmsTemplate:
    variables = tuple(row["variables"].split(",")) if row["variables"] else ()
    return SmsTemplate(EventType(row["event_type"]), row["sign_name"], row["template_id"], variables)
