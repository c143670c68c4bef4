"""Authorization of every endpoint for every kind of caller, and the hospital of a request.

Requests have no parameters, so that the response to an allowed caller is usually a validation error.
"""

import pytest

from app import GROUPS, load_routes
from chalicelib.adapters import mysql
from chalicelib.http.routing import Endpoint, OptionalTenantCaller
from chalicelib.identity import tokens
from chalicelib.identity.callers import Caller, Role
from tests.support import queue_client
from tests.support.client import ApiResponse, build_event, check_envelope, invoke
from tests.support.contract import CONTRACT
from tests.support.factories import Hospital

MANAGER, PATIENT = "/pati_service/manager_service", "/pati_service/patient_service"
ENDPOINTS = [endpoint for group in GROUPS for endpoint in load_routes(group).endpoints]
OPEN = [one for one in ENDPOINTS if Role.PUBLIC in one.callers and one.parameters["caller"] != OptionalTenantCaller]
# Callers of the endpoints that are not in the contract; test_contract.py checks the others.
CALLERS = {
    **dict.fromkeys(
        (
            f"POST {MANAGER}/login",
            "POST /pati_service/wechat/pay/notify/{tenantId}",
            "POST /pati_service/wechat/pay/refund_notify/{tenantId}",
            "GET /pati_service/wechat/callback/{tenantId}",
            "POST /pati_service/wechat/callback/{tenantId}",
            "GET /{file_name}",
            "GET /pati_service/wechat/bar_code",
            "GET /pati_service/tenant_service/privacy_notice",
        ),
        frozenset([Role.PUBLIC]),
    ),
    **dict.fromkeys(
        (
            f"POST {MANAGER}/logout",
            f"POST {MANAGER}/change_password",
            f"POST {MANAGER}/second_factor",
            f"POST {MANAGER}/second_factor/confirm",
        ),
        frozenset([Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN, Role.LIMITED]),
    ),
    **dict.fromkeys(
        (
            f"GET {MANAGER}/sessions",
            f"POST {MANAGER}/sessions/end",
            f"GET {MANAGER}/patient_list",
            f"GET {MANAGER}/departments",
            f"GET {MANAGER}/schedules",
            f"GET {MANAGER}/day_bookings",
            f"POST {MANAGER}/add_booking",
            f"GET {MANAGER}/waitlist",
            f"GET {MANAGER}/queue",
            *(f"POST {MANAGER}/queue/{one}" for one in ("call_next", "call_again", "skip", "done", "await_results")),
            f"GET {MANAGER}/schedule_patterns",
            f"GET {MANAGER}/booking_rules",
        ),
        frozenset([Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]),
    ),
    **dict.fromkeys(
        (
            f"GET {MANAGER}/access_log",
            f"GET {MANAGER}/withdrawn_messages",
            f"GET {MANAGER}/withdrawn_message",
            f"GET {MANAGER}/audit_log",
            f"GET {MANAGER}/failed_jobs",
            f"POST {MANAGER}/retry_job",
            f"POST {MANAGER}/drop_job",
            f"POST {MANAGER}/export_list",
            f"POST {MANAGER}/unlock_sign_in",
            f"GET {MANAGER}/rating_list",
            f"GET {MANAGER}/list_exports",
            f"POST {MANAGER}/approve_refund",
            f"POST {MANAGER}/check_payment",
            f"POST {MANAGER}/check_refund",
            f"POST {MANAGER}/settle_refund",
            f"POST {MANAGER}/reject_refund",
            f"GET {MANAGER}/refund_rules",
            f"POST {MANAGER}/save_refund_rules",
            f"GET {MANAGER}/internal_keys",
            f"POST {MANAGER}/second_factor/reset",
            f"POST {MANAGER}/internal_key_settings",
            f"POST {MANAGER}/revoke_internal_key",
            f"POST {MANAGER}/privacy_notice",
            f"GET {MANAGER}/staff_list",
            f"POST {MANAGER}/staff",
            f"POST {MANAGER}/staff_role",
            f"POST {MANAGER}/staff_details",
            f"POST {MANAGER}/staff_disable",
            f"POST {MANAGER}/staff_enable",
            f"POST {MANAGER}/staff_password",
            f"POST {MANAGER}/save_department",
            f"POST {MANAGER}/department_photo",
            f"GET {MANAGER}/doctor_profiles",
            f"POST {MANAGER}/save_doctor",
            f"POST {MANAGER}/doctor_photo",
            f"POST {MANAGER}/save_booking_rules",
            f"POST {MANAGER}/confirm_holidays",
            f"POST {MANAGER}/save_makeup_day",
            f"POST {MANAGER}/end_makeup_day",
            f"GET {MANAGER}/screens",
            f"POST {MANAGER}/create_screen",
            f"POST {MANAGER}/revoke_screen",
            f"GET {MANAGER}/sms_templates",
            f"POST {MANAGER}/sms_template",
            "GET /pati_service/wechat/pay_statements",
            "GET /pati_service/wechat/pay_differences",
            "POST /pati_service/wechat/resolve_difference",
            "POST /pati_service/wechat/fetch_bill",
            "GET /pati_service/wechat/pay_conf",
            "POST /pati_service/wechat/pay_conf",
            "POST /pati_service/wechat/service_info",
            "GET /pati_service/wechat/callback_conf",
            "POST /pati_service/wechat/subscription_template",
            "POST /pati_service/wechat/callback_conf",
        ),
        frozenset([Role.ADMIN]),
    ),
    **dict.fromkeys(
        (
            f"POST {MANAGER}/save_schedule",
            f"POST {MANAGER}/stop_schedule",
            f"POST {MANAGER}/register_booking",
            f"POST {MANAGER}/reschedule_booking",
            f"POST {MANAGER}/book_for_patient",
            f"POST {MANAGER}/cancel_booking",
            f"POST {MANAGER}/record_receipt",
            f"POST {MANAGER}/refund_visit",
            f"GET {MANAGER}/checkin_code",
            f"POST {MANAGER}/replace_checkin_code",
            f"POST {MANAGER}/substitute_doctor",
            f"GET {MANAGER}/closure_preview",
            f"POST {MANAGER}/save_closure",
            f"GET {MANAGER}/closures",
            f"GET {MANAGER}/holiday_proposals",
            f"GET {MANAGER}/makeup_days",
            f"GET {MANAGER}/call_list",
            f"POST {MANAGER}/mark_called",
            f"POST {MANAGER}/end_closure",
            f"GET {MANAGER}/missed_block",
            f"POST {MANAGER}/verify_patient",
            f"POST {MANAGER}/merge_patients",
            f"POST {MANAGER}/split_patients",
            f"GET {MANAGER}/patient_merges",
            f"GET {MANAGER}/patient_duplicates",
            f"GET {MANAGER}/patient_bindings",
            f"POST {MANAGER}/unbind_member",
            f"POST {MANAGER}/temporary_patient",
            f"POST {MANAGER}/replace_card",
            f"POST {MANAGER}/clear_missed_block",
            f"POST {MANAGER}/change_account_phone",
            f"POST {MANAGER}/confirm_account",
            f"POST {MANAGER}/save_schedule_pattern",
            f"POST {MANAGER}/end_schedule_pattern",
            f"GET {MANAGER}/booking_list",
            f"GET {MANAGER}/payment_list",
            f"GET {MANAGER}/refund_list",
            f"GET {MANAGER}/booking_ledger",
            f"POST {MANAGER}/request_refund",
            f"GET {MANAGER}/refund_requests",
            "POST /message/savePost",
            "POST /message/setDuty",
            "POST /message/postList",
        ),
        frozenset([Role.SERVICE_STAFF, Role.ADMIN]),
    ),
    **dict.fromkeys(
        (
            "POST /pati_service/book_service/book/reschedule",
            "GET /pati_service/book_service/alternatives",
            "POST /pati_service/book_service/book/accept_alternative",
            "POST /pati_service/book_service/book/decline_alternative",
            "POST /pati_service/book_service/book/confirm",
            "POST /pati_service/book_service/waitlist/join",
            "POST /pati_service/book_service/waitlist/leave",
            "GET /pati_service/book_service/waitlist",
            "POST /pati_service/book_service/book/check_in",
            "GET /pati_service/book_service/queue_place",
            f"POST {PATIENT}/consent",
            f"GET {PATIENT}/consents",
            f"POST {PATIENT}/consent/withdraw",
            f"POST {PATIENT}/export",
            f"GET {PATIENT}/export",
            f"POST {PATIENT}/close_account",
            f"POST {PATIENT}/close_account/code",
            f"POST {PATIENT}/change_phone",
            f"POST {PATIENT}/change_phone/code",
            f"POST {PATIENT}/member/remove",
            f"GET {PATIENT}/sessions",
            f"POST {PATIENT}/sessions/end",
            f"POST {PATIENT}/member/verification_code",
            f"POST {PATIENT}/member/verify",
            f"GET {PATIENT}/member/bindings",
            f"POST {PATIENT}/member/bindings/remove",
        ),
        frozenset([Role.PATIENT]),
    ),
    "GET /pati_service/book_service/screen": frozenset([Role.SCREEN]),
    f"GET {MANAGER}/stored_messages": frozenset([Role.DOCTOR, Role.ADMIN]),
    **dict.fromkeys(
        (
            "GET /pati_service/wechat/oauth/url",
            "GET /pati_service/wechat/oauth/callback",
            f"POST {PATIENT}/confirm_identity",
            f"POST {PATIENT}/start_over",
        ),
        frozenset([Role.PATIENT, Role.LIMITED]),
    ),
    "GET /pati_service/wechat/subscription_templates": frozenset([Role.PATIENT, Role.ADMIN]),
    "GET /pati_service/wechat/bar_code_link": frozenset([Role.PATIENT, Role.SERVICE_STAFF, Role.ADMIN]),
    "GET /msg_service/msg/unread_count": frozenset([Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]),
}


def format_name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=format_name)


def send_request(endpoint: Endpoint, headers: dict[str, str]) -> ApiResponse:
    """Send a request without parameters."""
    content = {"Content-Type": "application/json"} if endpoint.method == "POST" else {}
    request = build_event(endpoint.method, endpoint.path, headers | content, body="{}" if content else None)
    request["pathParameters"] = dict.fromkeys(endpoint.parameters, "1")
    response = invoke(request)
    check_envelope(response, endpoint.path)
    return response


def build_credentials(hospital: Hospital) -> dict[Role, dict[str, str]]:
    external_user = tokens.issue(hospital.tenant_id, "session:visitor", Role.SESSION)
    return {
        Role.PATIENT: {"token": hospital.lin.token},
        Role.DOCTOR: {"token": hospital.chen.token},
        Role.SERVICE_STAFF: {"token": hospital.desk.token},
        Role.ADMIN: {"token": hospital.admin.token},
        Role.SESSION: {"token": external_user},
        Role.SCREEN: {"token": queue_client.create_screen(hospital)[1]},
        # At the messagecenter a hospital's system names the acting user.
        Role.SERVICE: {"X-Internal-Key": hospital.internal_key, "newUserId": str(hospital.lin.user_id)},
    }


def test_endpoints_beyond_the_contract_have_these_callers() -> None:
    documented = {f"{one['method']} {one['path']}" for one in CONTRACT}
    assert {format_name(one): one.callers for one in ENDPOINTS if format_name(one) not in documented} == CALLERS


@every_endpoint
def test_endpoint_admits_exactly_its_declared_callers(endpoint: Endpoint, hospital: Hospital) -> None:
    tenant = {"tenantId": str(hospital.tenant_id)}
    wrong_key = {"X-Internal-Key": "invalid", "newUserId": str(hospital.lin.user_id)}
    assert endpoint.callers <= set(Role)
    if Role.PUBLIC in endpoint.callers:
        assert all(send_request(endpoint, {**tenant, **one}).code != 10101 for one in ({}, {"token": "never was"}))
        return
    for credential in ({}, {"token": "never was"}, wrong_key):
        responses = [send_request(endpoint, credential), send_request(endpoint, {**tenant, **credential})]
        assert {(response.status, response.code) for response in responses} == {(401, 10101)}
    for kind, credential in build_credentials(hospital).items():
        response = send_request(endpoint, {**tenant, **credential})
        if kind in endpoint.callers:
            assert response.status in (200, 400, 404), kind
        else:
            assert response.status == (401 if kind == Role.SERVICE else 403), kind


@every_endpoint
def test_limited_session_may_call_what_names_its_role_and_limited(endpoint: Endpoint, hospital: Hospital) -> None:
    if Role.PUBLIC in endpoint.callers:
        return
    for person in (hospital.lin, hospital.chen, hospital.desk, hospital.admin):
        token = tokens.issue_in_transaction(
            mysql.autocommit, person.tenant_id, person.principal, person.role, is_limited=True
        )
        response = send_request(endpoint, {"token": token})
        if {person.role, Role.LIMITED} <= endpoint.callers:
            assert response.status in (200, 400, 404), person.role
        else:
            code = 10104 if person.role in endpoint.callers else 10003
            assert (response.status, response.code) == (403, code), person.role


@every_endpoint
def test_endpoint_rejects_the_id_of_another_hospital(
    endpoint: Endpoint, hospital: Hospital, other_hospital: Hospital
) -> None:
    for kind, credential in build_credentials(hospital).items():
        if kind in endpoint.callers or (Role.PUBLIC in endpoint.callers and kind != Role.SERVICE):
            response = send_request(endpoint, {**credential, "tenantId": str(other_hospital.tenant_id)})
            assert (response.status, response.code) == (403, 10003), kind


@pytest.mark.parametrize("endpoint", OPEN, ids=format_name)
def test_open_endpoint_requires_a_hospital(endpoint: Endpoint, hospital: Hospital) -> None:
    assert send_request(endpoint, {"token": "invalid", "tenantId": str(hospital.tenant_id)}).status in (200, 400)
    for headers in ({}, {"tenantId": "0"}, {"tenantId": "x"}):
        response = send_request(endpoint, headers)
        assert (response.status, response.error.partition("：")[0]) == (400, "tenantId")


@pytest.mark.parametrize("endpoint", [one for one in ENDPOINTS if one.prepare_batch], ids=lambda one: one.path)
def test_scripts_run_beside_the_token_where_its_owner_is_the_caller(endpoint: Endpoint) -> None:
    """They read for the owner of the token: a caller with another credential must not get their replies."""
    assert not endpoint.callers & {Role.PUBLIC, Role.SERVICE}
    assert endpoint.parameters["caller"] == Caller
