"""Check that responses conform to docs/openapi.json. Uses schemathesis, a development dependency."""

import json
from collections.abc import Callable
from typing import Any

import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as documented

from apidocs import openapi
from chalicelib.errors import KINDS
from chalicelib.http import envelopes
from chalicelib.http.request_input import FORM_TYPE

Operation = schemathesis.APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Any]
InsertIds = Callable[[dict[str, Any], str], dict[str, Any]]  # (fields, path) to fields with existing ids

CHECKS = [
    not_a_server_error,
    documented.status_code_conformance,
    documented.content_type_conformance,
    documented.response_headers_conformance,
    documented.response_schema_conformance,
    documented.negative_data_rejection,
]
SCHEMATHESIS_CONFIG = {
    # A valid request may name an object that does not exist, but is never rejected with 400.
    "checks": {"positive_data_acceptance": {"expected-statuses": [200, 404, 409, 401, 429]}},
    "generation": {"with-security-parameters": False},  # credentials are valid, or omitted on purpose
    "phases": {"coverage": {"unexpected-methods": ["GET", "POST", "PUT", "PATCH", "DELETE"]}},
    "output": {"sanitization": {"enabled": False}},  # the tokens are valid only in a test's own tenant
}
PATIENT_SERVICE_PATH, MANAGER_SERVICE_PATH = "/pati_service/patient_service", "/pati_service/manager_service"
PAYMENT_NOTIFICATION_PATHS = [f"/pati_service/wechat/pay/{one}/{{tenantId}}" for one in ("notify", "refund_notify")]
CALLBACK_PATH = "/pati_service/wechat/callback/{tenantId}"
QUEUE_OPERATIONS = ("call_next", "call_again", "skip", "done", "await_results")
# Operations whose example is rejected, and the precondition that it does not meet.
EXAMPLE_PRECONDITIONS = {
    "/msg_service/msg/doctor/send_res_msg": "a file that the doctor uploaded",
    **dict.fromkeys(("/join_conversation", "/leave_conversation"), "a conversation created by a participant"),
    **dict.fromkeys(("/inner/join_conversation", "/inner/kickout_conversation"), "a conversation of the gateway"),
    "/pati_service/book_service/book/schedule": "a half-day without a booking of the member",
    "/pati_service/manager_service/register_booking": "a booking of today",
    "/pati_service/book_service/book/check_in": "a booking of today, and the code of its department",
    **dict.fromkeys(
        (f"/pati_service/manager_service/queue/{path}" for path in QUEUE_OPERATIONS),
        "a schedule of today, with a queue",
    ),
    "/pati_service/manager_service/revoke_screen": "a screen",
    "/pati_service/manager_service/refund_visit": "a registered visit",
    "/pati_service/manager_service/confirm_holidays": "a year whose list of holidays is known",
    "/pati_service/manager_service/end_makeup_day": "a make-up day",
    "/pati_service/manager_service/mark_called": "a patient on the call list",
    "/pati_service/manager_service/save_closure": "a doctor who is not disabled",
    "/pati_service/manager_service/save_schedule": "a day without a closure",
    "/pati_service/book_service/book/accept_alternative": "an alternative that is held",
    "/pati_service/book_service/book/confirm": "a booking that is not cancelled",
    "/pati_service/book_service/waitlist/join": "a half-day that is fully booked",
    "/pati_service/book_service/waitlist/leave": "an entry of the waitlist",
    "/pati_service/manager_service/add_booking": "a half-day without a booking of the patient",
    "/pati_service/manager_service/record_receipt": "an unpaid booking",
    **dict.fromkeys(
        (f"/pati_service/manager_service/{path}" for path in ("staff", "staff_details")), "an unused phone"
    ),
    "/pati_service/manager_service/second_factor/confirm": "a code of the new secret",
    **dict.fromkeys(("/pati_service/wechat/auth_file/upload", "/{file_name}"), "a verification file of WeChat"),
    "/pati_service/wechat/auth_file/download": "an uploaded file",
    "/pati_service/wechat/bar_code": "a ticket of bar_code_link",
    **dict.fromkeys(("/pati_service/wechat/templates", "/pati_service/wx/jsapi/signature"), "a WeChat account"),
    **dict.fromkeys(("/pati_service/wechat/oauth/url", "/pati_service/wechat/oauth/callback"), "a WeChat account"),
    "/pati_service/book_service/pay/appo_order": "an unpaid booking",
    "/pati_service/wx/jsapi/paysign": "an order of WeChat Pay",
    "/pati_service/wechat/pay_conf": "keys of a merchant",
    "/pati_service/wechat/fetch_bill": "a day of the last three months",
    f"{MANAGER_SERVICE_PATH}/check_payment": "an order of WeChat Pay",
    **dict.fromkeys((f"{MANAGER_SERVICE_PATH}/{path}" for path in ("check_refund", "settle_refund")), "a refund"),
    **dict.fromkeys((f"{MANAGER_SERVICE_PATH}/{path}" for path in ("retry_job", "drop_job")), "a dead-lettered job"),
    f"{MANAGER_SERVICE_PATH}/request_refund": "a paid booking",
    **dict.fromkeys(
        (f"{MANAGER_SERVICE_PATH}/{path}" for path in ("approve_refund", "reject_refund")), "a refund request"
    ),
    "/pati_service/wechat/resolve_difference": "a difference of a bill",
    **dict.fromkeys(PAYMENT_NOTIFICATION_PATHS, "a signature of WeChat Pay"),
    CALLBACK_PATH: "a signature of WeChat",
    **dict.fromkeys(
        (f"{PATIENT_SERVICE_PATH}/register", f"{PATIENT_SERVICE_PATH}/reset_password"), "a code that was sent"
    ),
    f"{PATIENT_SERVICE_PATH}/reset_password/phone_identifying_code_validate": "a code that was sent",
    f"{PATIENT_SERVICE_PATH}/reset_password/phone_identifying_code": "a phone without a recent code",
    f"{PATIENT_SERVICE_PATH}/consent": "the current version of a privacy notice",
    **dict.fromkeys(
        (f"{PATIENT_SERVICE_PATH}/member/{path}" for path in ("verification_code", "verify")), "a code or a card"
    ),
    **dict.fromkeys(
        (f"{PATIENT_SERVICE_PATH}/member/{path}" for path in ("bindings", "bindings/remove")), "a verified file"
    ),
    f"{MANAGER_SERVICE_PATH}/verify_patient": "a file with the document",
    f"{MANAGER_SERVICE_PATH}/merge_patients": "two files",
    f"{MANAGER_SERVICE_PATH}/split_patients": "a merge",
    f"{MANAGER_SERVICE_PATH}/temporary_patient": "a year of birth",
    f"{MANAGER_SERVICE_PATH}/withdrawn_message": "a withdrawn message",
    f"{MANAGER_SERVICE_PATH}/stored_messages": "a closed account",
    **dict.fromkeys(
        (f"{MANAGER_SERVICE_PATH}/{path}" for path in ("missed_block", "clear_missed_block")), "a patient or an account"
    ),
    f"{PATIENT_SERVICE_PATH}/close_account": "an account without bookings to come",
    f"{PATIENT_SERVICE_PATH}/change_phone": "codes that were sent",
    f"{PATIENT_SERVICE_PATH}/start_over": "a limited session",
}
STRONG = "password is strong"
# Operations with rules that their schemas cannot express, and those rules.
RULES_BEYOND_SCHEMAS = {
    f"/msg_service/msg/{path}": "a hint names an accepted kind; file_size is within its limit"
    for path in ("file/pre_upload", "doctor/file/pre_upload")
} | {
    "/get_joined_conversation": "SessionId is the caller's own",
    "/notify": "protoc is a known protocol",
    "/pati_service/manager_service/doctor_photo": "a hint names an accepted kind; file_size is within its limit",
    "/pati_service/manager_service/department_photo": "a hint names an accepted kind; file_size is within its limit",
    "/pati_service/manager_service/patient": "the ID number is valid and agrees with birthday and gender",
    f"{PATIENT_SERVICE_PATH}/member": "the ID number is valid and agrees with birthday and gender",
    f"{PATIENT_SERVICE_PATH}/myinfo": "birthday is not in the future",
    f"{PATIENT_SERVICE_PATH}/myinfo/upload_picture": "a hint names an accepted kind; file_size is within its limit",
    f"{PATIENT_SERVICE_PATH}/change_password": "oldPassword is the old password",
    f"{PATIENT_SERVICE_PATH}/member/verify": "verCode or cardNo is given, and the right one",
    f"{MANAGER_SERVICE_PATH}/verify_patient": "the number is valid and agrees with birthday and gender",
    f"{MANAGER_SERVICE_PATH}/merge_patients": "the files differ",
    f"{MANAGER_SERVICE_PATH}/temporary_patient": "the year of birth is not in the future",
    f"{MANAGER_SERVICE_PATH}/stored_messages": "pati_id or session_no is given",
    f"{MANAGER_SERVICE_PATH}/export_list": "filters are those of the list, and a form has no nested fields",
    **dict.fromkeys(
        (f"{MANAGER_SERVICE_PATH}/{path}" for path in ("missed_block", "clear_missed_block")),
        "pati_id or user_id is given",
    ),
    "/pati_service/manager_service/second_factor": "password is the caller's own",
    "/pati_service/manager_service/second_factor/confirm": "otp is a code of the new secret",
    "/pati_service/manager_service/change_password": "oldPassword is the old password, and newPassword is strong",
    **dict.fromkeys(("/pati_service/manager_service/staff", "/pati_service/manager_service/staff_password"), STRONG),
    **{
        f"{PATIENT_SERVICE_PATH}/{path}": "verCode is the one that was sent"
        for path in ("register", "reset_password", "reset_password/phone_identifying_code_validate")
    },
}
RULES_BEYOND_SCHEMAS |= {
    f"{PATIENT_SERVICE_PATH}/close_account": "the password is right, or verCode the one that was sent",
    f"{PATIENT_SERVICE_PATH}/change_phone": "phone is another one, and the codes are those that were sent",
    f"{PATIENT_SERVICE_PATH}/change_phone/code": "phone is another one",
    f"{PATIENT_SERVICE_PATH}/confirm_identity": "IDNo is the number of a document of a member",
    f"{PATIENT_SERVICE_PATH}/start_over": "the session is limited",
    "/msg_service/msg/send": "tenantId is the caller's own",
    "/msg_service/msg/all_set_read": "userId is the caller's own",
    "/pati_service/tenant_service/schedule": "date is open for booking",
    "/pati_service/tenant_service/schedule_by_date": "date is open for booking",
    "/pati_service/book_service/book/presubmit": "the half-day has this slot",
    "/pati_service/book_service/book/submit": "the half-day has this slot",
    "/pati_service/book_service/book/reschedule": "the half-day has this slot",
    "/pati_service/book_service/waitlist/join": "a half-day, or a doctor with days, is given",
    **dict.fromkeys(
        (f"/pati_service/manager_service/{one}" for one in ("closure_preview", "save_closure")),
        "the days are within a year, and not before today",
    ),
    "/pati_service/manager_service/save_makeup_day": "date is a coming Saturday or Sunday within a year",
    **dict.fromkeys(
        (f"{PATIENT_SERVICE_PATH}/member/{path}" for path in ("bindings", "bindings/remove")),
        "the account's phone is that of the verified file",
    ),
    "/pati_service/book_service/book/accept_alternative": "scheduleId and serialNo are given together, or neither",
    "/pati_service/manager_service/reschedule_booking": "the half-day has this slot",
    "/pati_service/manager_service/book_for_patient": "the half-day has this slot",
    "/pati_service/manager_service/save_schedule": "the times are within the half-day, and date is in the future",
    "/pati_service/manager_service/save_schedule_pattern": "the times are within the half-day",
    "/pati_service/manager_service/register_booking": "book_id or book_code is given",
    "/pati_service/manager_service/sms_template": "sign_name is given with template_id, and no variable twice",
}
RULES_BEYOND_SCHEMAS |= {
    "/pati_service/wechat/auth_file/upload": "the file is named MP_verify_….txt, and has at most 1 KB",
    "/pati_service/wechat/oauth/url": "redirect_uri is on an allowed domain",
    "/pati_service/wechat/bar_code": "ticket was issued by bar_code_link, less than half an hour ago",
    "/pati_service/wechat/oauth/callback": "state was issued by us, and code by WeChat",
    "/pati_service/wx/jsapi/signature": "url is on an allowed domain",
    **dict.fromkeys(PAYMENT_NOTIFICATION_PATHS, "WeChat Pay has signed it"),
    CALLBACK_PATH: "WeChat has signed it",
    "/pati_service/wechat/callback_conf": "the key stands for 32 bytes, and is not a mask unless one is stored",
    "/pati_service/wechat/pay_conf": "the keys are valid for the version",
    "/pati_service/wechat/pay_statements": "to_date is not before from_date, and less than 366 days later",
    "/pati_service/wechat/fetch_bill": "date is in the past, and at most 89 days ago",
    "/pati_service/wx/jsapi/paysign": "tenantId is the caller's own",
    "/pati_service/wechat/conf": "app_secret is not a mask unless a secret is stored",
}
RULES_BEYOND_SCHEMAS |= {
    "/message/messageAdd": "a receiver is given, sendId is the caller's own, and the text fits its type",
    "/message/findMessage": "sendId or chatGroupId is given if msgType requires it, and lastId is of that conversation",
    "/message/createChatSession": "receiveId is given if msgType requires it",
    "/message/obtainShunt": "the caller is a patient",
    **dict.fromkeys(("/message/userList", "/message/conversationList"), "startTime and endTime are valid times"),
}
# Status of a public operation for a request without a tenant, if it is not 400.
UNKNOWN_TENANT_STATUS = {
    "/{file_name}": 404,
    "/pati_service/wechat/bar_code": 403,
    **dict.fromkeys((*PAYMENT_NOTIFICATION_PATHS, CALLBACK_PATH), 404),
}
# Statuses for a malformed body other than 400: 404 without a merchant, 413 for a large notification.
MALFORMED_BODY_STATUSES = {path: {404, 413} for path in (*PAYMENT_NOTIFICATION_PATHS, CALLBACK_PATH)}
CASE_ARGUMENTS = {"path": "path_parameters", "query": "query", "body": "body"}
STATUS_BY_CODE = {kind.code: kind.status for kind in KINDS}


def list_operations() -> list[Operation]:
    """Return every operation, without the headers that choose a tenant or an acting user."""
    document = openapi.build_document()
    undecided = (openapi.TENANT_HEADER, openapi.TENANT_PARAMETER, *openapi.ACTING_HEADERS)
    for described in (one for methods in document["paths"].values() for one in methods.values()):
        described["parameters"] = [one for one in described["parameters"] if one not in undecided]
    schema = schemathesis.openapi.from_dict(document, config=schemathesis.Config.from_dict(SCHEMATHESIS_CONFIG))
    return [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]


def build_example(operation: Operation, insert_ids: InsertIds) -> Case:
    """Build a request from the operation's example and its required parameters.

    Args:
        insert_ids: replaces ids with ids of existing objects.
    """
    described = operation.definition.raw
    values: dict[str, Any] = {place: {} for place in CASE_ARGUMENTS}
    for parameter in described["parameters"]:
        if parameter["required"] and parameter["in"] in CASE_ARGUMENTS:
            values[parameter["in"]][parameter["name"]] = parameter["schema"]["examples"][0]
    content = described.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        values["body"] = content["application/json"]["example"]
    arguments: dict[str, Any] = {
        CASE_ARGUMENTS[place]: insert_ids(given, operation.path) for place, given in values.items() if given
    }
    if len(content) > 1 and "application/json" in content:
        arguments |= {"media_type": "application/json"}
    if content and "application/json" not in content:
        arguments |= {"body": b"0a1B2c3D4e5F6g7H", "media_type": "application/octet-stream"}
    return operation.Case(**arguments)


def convert_whole_floats(value: Any) -> Any:
    """Convert 12.0 to 12: it is an integer in JSON Schema, but not in our models, and no client sends it."""
    if isinstance(value, dict):
        return {name: convert_whole_floats(one) for name, one in value.items()}
    if isinstance(value, list):
        return [convert_whole_floats(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def check_response(case: Case, response: schemathesis.Response, headers: dict[str, str]) -> None:
    """Check a response against the document and the format of its envelope.

    Raises:
        AssertionError: if the envelope is wrong.
        schemathesis.errors.FailureGroup: if the response does not conform to the document.
    """
    checks = CHECKS if case.operation.path in RULES_BEYOND_SCHEMAS else [*CHECKS, documented.positive_data_acceptance]
    if _is_empty_body(case) or case.media_type == FORM_TYPE:  # an element of a list is a text in a form, whatever it is
        checks = [one for one in checks if one is not documented.negative_data_rejection]
    case.validate_response(response, checks=checks, headers=headers)
    check_envelope(case.operation.path, response.status_code, response.headers, response.content)


def _is_empty_body(case: Case) -> bool:
    """Return whether a request has no body, or null, where the document does not require one."""
    is_required = case.operation.definition.raw.get("requestBody", {}).get("required") is not False
    return not is_required and (isinstance(case.body, NotSet) or case.body in (None, ""))


def check_envelope(path: str, status: int, headers: Any, content: bytes) -> None:
    """Check the envelope, the error code and the request id of a response.

    Raises:
        AssertionError: if one is wrong.
    """
    assert headers["x-request-id"], "no X-Request-Id"
    if status == 200 and not str(headers["content-type"]).startswith("application/json"):
        return  # a raw response, whose content type the document defines
    body = json.loads(content)
    assert status < 500, body
    if {"code", "error_code"} <= body.keys():  # API Gateway's own errors have both fields
        assert STATUS_BY_CODE[body["code"]] == status, body
    elif envelopes.is_messagecenter_path(path):
        assert body.keys() == {"error_code", "error_msg", "data", "count"}, body
        assert STATUS_BY_CODE.get(body["error_code"], 200) == status, body
        assert bool(body["error_msg"]) is (status != 200), body
    elif status == 200:
        assert body.keys() == {"code", "data"}, body
        assert body["code"] == 0, body
    else:
        has_data = path.endswith("/pay/appo_order") and status == 409  # document 003 names fields of a failure
        assert body.keys() == {"code", "error", *(["data"] if has_data else [])}, body
        assert STATUS_BY_CODE[body["code"]] == status, body
        assert body["error"], body
