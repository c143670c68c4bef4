"""Endpoints about notifications: the front desk's call list and the SMS templates. routes.py has the others."""

from chalicelib.booking.change_routes import FRONT_DESK
from chalicelib.booking.front_desk import call_list, sms_settings
from chalicelib.booking.front_desk.notification_models import (
    CalledPatient,
    CallList,
    CallListQuery,
    MarkCalledRequest,
    SaveSmsTemplateRequest,
    SmsTemplate,
)
from chalicelib.booking.queue_routes import routes
from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.identity.callers import Caller, Role

__all__ = ["routes"]


@routes.get("/pati_service/manager_service/call_list", callers=FRONT_DESK)
def get_call_list(caller: Caller, query: CallListQuery) -> CallList:
    """待致电的患者

    Patients who must know of a change by the hospital, and whom neither WeChat nor SMS has reached: those without an
    account, without a phone, or whose SMS failed. An entry disappears when the patient has read the site message or
    acted, or when it is no longer true.
    """
    return call_list.list_patients(caller, query)


@routes.post("/pati_service/manager_service/mark_called", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def mark_called(caller: Caller, body: MarkCalledRequest) -> CalledPatient:
    """标记已致电

    Returns who called first, and when: a repeated request changes nothing.
    """
    return call_list.mark_called(caller, body)


@routes.get("/pati_service/manager_service/sms_templates", callers=[Role.ADMIN])
def list_sms_templates(caller: Caller) -> list[SmsTemplate]:
    """短信通知模板"""
    return sms_settings.list_all(caller)


@routes.post("/pati_service/manager_service/sms_template", callers=[Role.ADMIN])
def save_sms_template(caller: Caller, body: SaveSmsTemplateRequest) -> None:
    """短信通知模板保存

    For each event of which patients must know. Signature and template are approved by the SMS provider under the
    deployment's account. With an empty template_id the event is not sent by SMS any more.
    """
    sms_settings.save(caller, body)
