"""Every endpoint against every kind of caller: who enters, who is refused, and which hospital a request belongs to.

An endpoint is asked for nothing in particular, so that whoever may enter is told what is missing.
"""

from importlib import import_module

import pytest

from app import GROUPS
from chalicelib.http.routing import Endpoint, OptionalTenantCaller
from chalicelib.identity import tokens
from chalicelib.identity.callers import Role
from tests.support.client import ApiResponse, build_event, check_envelope, invoke
from tests.support.contract import CONTRACT
from tests.support.factories import Hospital

MANAGER = "/pati_service/manager_service"
ENDPOINTS = [endpoint for group in GROUPS for endpoint in import_module(f"chalicelib.{group}.routes").routes.endpoints]
OPEN = [one for one in ENDPOINTS if Role.PUBLIC in one.callers and one.parameters["caller"] != OptionalTenantCaller]
# Who may call what is in no document of the contract; test_contract.py has the others.
CALLERS = {
    **dict.fromkeys(
        (
            f"POST {MANAGER}/login",
            "POST /pati_service/wechat/pay/notify/{tenantId}",
            "POST /pati_service/wechat/pay/refund_notify/{tenantId}",
            "GET /{file_name}",
        ),
        frozenset([Role.PUBLIC]),
    ),
    **dict.fromkeys(
        (
            f"GET {MANAGER}/patient_list",
            f"GET {MANAGER}/departments",
            f"GET {MANAGER}/schedules",
            f"GET {MANAGER}/day_bookings",
            f"GET {MANAGER}/schedule_patterns",
            f"GET {MANAGER}/booking_rules",
        ),
        frozenset([Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]),
    ),
    **dict.fromkeys(
        (
            f"GET {MANAGER}/access_log",
            f"GET {MANAGER}/staff_list",
            f"POST {MANAGER}/staff",
            f"POST {MANAGER}/staff_role",
            f"POST {MANAGER}/staff_disable",
            f"POST {MANAGER}/staff_enable",
            f"POST {MANAGER}/staff_password",
            f"POST {MANAGER}/save_department",
            f"POST {MANAGER}/department_photo",
            f"GET {MANAGER}/doctor_profiles",
            f"POST {MANAGER}/save_doctor",
            f"POST {MANAGER}/doctor_photo",
            f"POST {MANAGER}/save_booking_rules",
            "GET /pati_service/wechat/pay_conf",
            "POST /pati_service/wechat/pay_conf",
            "POST /pati_service/wechat/service_info",
        ),
        frozenset([Role.ADMIN]),
    ),
    **dict.fromkeys(
        (
            f"POST {MANAGER}/save_schedule",
            f"POST {MANAGER}/stop_schedule",
            f"POST {MANAGER}/register_booking",
            f"POST {MANAGER}/save_schedule_pattern",
            f"POST {MANAGER}/end_schedule_pattern",
            "POST /message/savePost",
            "POST /message/setDuty",
            "POST /message/postList",
        ),
        frozenset([Role.SERVICE_STAFF, Role.ADMIN]),
    ),
    **dict.fromkeys(
        ("GET /pati_service/wechat/oauth/url", "GET /pati_service/wechat/oauth/callback"),
        frozenset([Role.PATIENT]),
    ),
    "GET /msg_service/msg/unread_count": frozenset([Role.PATIENT, Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]),
}


def name(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


every_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=name)


def ask(endpoint: Endpoint, headers: dict[str, str]) -> ApiResponse:
    """Ask an endpoint for nothing in particular."""
    content = {"Content-Type": "application/json"} if endpoint.method == "POST" else {}
    request = build_event(endpoint.method, endpoint.path, headers | content, body="{}" if content else None)
    request["pathParameters"] = dict.fromkeys(endpoint.parameters, "1")
    answer = invoke(request)
    check_envelope(answer, endpoint.path)
    return answer


def credentials(hospital: Hospital) -> dict[Role, dict[str, str]]:
    external_user = tokens.issue(hospital.tenant_id, "session:visitor", Role.SESSION)
    return {
        Role.PATIENT: {"token": hospital.lin.token},
        Role.DOCTOR: {"token": hospital.chen.token},
        Role.SERVICE_STAFF: {"token": hospital.desk.token},
        Role.ADMIN: {"token": hospital.admin.token},
        Role.SESSION: {"token": external_user},
        # At the messagecenter a hospital's system says for whom it asks.
        Role.SERVICE: {"X-Internal-Key": hospital.internal_key, "newUserId": str(hospital.lin.user_id)},
    }


def test_what_no_document_has_is_for_these_callers() -> None:
    documented = {f"{one['method']} {one['path']}" for one in CONTRACT}
    assert {name(one): one.callers for one in ENDPOINTS if name(one) not in documented} == CALLERS


@every_endpoint
def test_an_endpoint_lets_in_the_callers_that_it_declares_and_nobody_else(
    endpoint: Endpoint, hospital: Hospital
) -> None:
    tenant = {"tenantId": str(hospital.tenant_id)}
    wrong_key = {"X-Internal-Key": "nobody's", "newUserId": str(hospital.lin.user_id)}
    assert endpoint.callers <= set(Role)
    if Role.PUBLIC in endpoint.callers:
        assert all(ask(endpoint, {**tenant, **one}).code != 10101 for one in ({}, {"token": "never was"}))
        return
    for nobody in ({}, {"token": "never was"}, wrong_key):
        answers = [ask(endpoint, nobody), ask(endpoint, {**tenant, **nobody})]
        assert {(answer.status, answer.code) for answer in answers} == {(401, 10101)}
    for kind, credential in credentials(hospital).items():
        answer = ask(endpoint, {**tenant, **credential})
        if kind in endpoint.callers:
            assert answer.status in (200, 400, 404), kind
        else:
            assert answer.status == (401 if kind == Role.SERVICE else 403), kind


@every_endpoint
def test_an_endpoint_refuses_who_names_another_hospital(
    endpoint: Endpoint, hospital: Hospital, other_hospital: Hospital
) -> None:
    for kind, credential in credentials(hospital).items():
        if kind in endpoint.callers or (Role.PUBLIC in endpoint.callers and kind != Role.SERVICE):
            answer = ask(endpoint, {**credential, "tenantId": str(other_hospital.tenant_id)})
            assert (answer.status, answer.code) == (403, 10003), kind


@pytest.mark.parametrize("endpoint", OPEN, ids=name)
def test_an_open_endpoint_is_told_which_hospital(endpoint: Endpoint, hospital: Hospital) -> None:
    assert ask(endpoint, {"token": "nobody's", "tenantId": str(hospital.tenant_id)}).status in (200, 400)
    for headers in ({}, {"tenantId": "0"}, {"tenantId": "x"}):
        answer = ask(endpoint, headers)
        assert (answer.status, answer.error.partition("：")[0]) == (400, "tenantId")
