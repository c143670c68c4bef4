"""The SMS templates of a demo hospital, which bin/dev's output shows instead of sending them."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.booking.reservations import notifications
from chalicelib.notifications import sms_templates
from chalicelib.notifications.sms_templates import SmsTemplate

VARIABLES = ("patient", "time", "dept", "doctor", "before", "until", "reason")


def seed(tenant_id: int, name: str, by: int) -> None:
    """Save a template for each event of which patients must know, as the member of staff `by`.

    Args:
        name: of the hospital, its signature.
    """
    for event_type in notifications.MUST_ARRIVE:
        template = SmsTemplate(event_type, name, f"SMS_{event_type}", VARIABLES)
        sms_templates.save(mysql.autocommit, tenant_id, template, by, clock.now())
