"""The SMS templates that a hospital's admin enters, for the events of which patients must know."""

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.booking.front_desk.notification_models import SaveSmsTemplateRequest, SmsTemplate
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.notifications import sms_templates
from chalicelib.notifications.event_types import EventType


def list_all(caller: Caller) -> list[SmsTemplate]:
    """Return the templates of the caller's hospital."""
    return [
        SmsTemplate(
            type=one.event_type, sign_name=one.sign_name, template_id=one.template_id, variables=[*one.variables]
        )
        for one in sms_templates.list_all(mysql.autocommit, caller.tenant_id)
    ]


def save(caller: Caller, request: SaveSmsTemplateRequest) -> None:
    """Save the template of an event; without a template_id the event is not sent by SMS any more.

    Raises:
        ApiError: 400 without a signature, or for a repeated variable.
    """
    sign_name = request.sign_name.strip()
    if request.template_id and not sign_name:
        raise ApiError(errors.BAD_PARAMETER, "sign_name：必填")
    if len({*request.variables}) < len(request.variables):
        raise ApiError(errors.BAD_PARAMETER, "variables：不能重复")
    template = sms_templates.SmsTemplate(
        EventType(request.type), sign_name, request.template_id, tuple(request.variables)
    )
    sms_templates.save(mysql.autocommit, caller.tenant_id, template, caller.user_id, clock.now())
