"""Requests of patients before and after signing in."""

import json
import random
from typing import Any

from chalicelib import clock
from tests.support.client import ApiResponse, build_event, check_envelope, get, invoke, post
from tests.support.factories import Hospital, Person

PATIENT_SERVICE_PATH = "/pati_service/patient_service"
REGISTER_CODE, RESET_CODE = (
    f"{PATIENT_SERVICE_PATH}/register/phone_identifying_code",
    f"{PATIENT_SERVICE_PATH}/reset_password/phone_identifying_code",
)
VALIDATE = f"{RESET_CODE}_validate"
REGISTER, LOGIN, LOGOUT = (
    f"{PATIENT_SERVICE_PATH}/register",
    f"{PATIENT_SERVICE_PATH}/login",
    f"{PATIENT_SERVICE_PATH}/logout",
)
EXPORT = f"{PATIENT_SERVICE_PATH}/export"
RESET, CHANGE = f"{PATIENT_SERVICE_PATH}/reset_password", f"{PATIENT_SERVICE_PATH}/change_password"
MEMBER, MEMBERS, MYINFO, PICTURE = (
    f"{PATIENT_SERVICE_PATH}/{one}" for one in ("member", "members", "myinfo", "myinfo/upload_picture")
)
UNUSED_PHONE = "13800000077"  # no account has it


def build_tenant_header(hospital: Hospital) -> dict[str, str]:
    return {"tenantId": str(hospital.tenant_id)}


def request_code(
    hospital: Hospital, phone: Any = UNUSED_PHONE, path: str = REGISTER_CODE, address: str = "203.0.113.7"
) -> ApiResponse:
    request = build_event("GET", path, build_tenant_header(hospital), {"phone": phone})
    request["requestContext"]["identity"]["sourceIp"] = address
    response = invoke(request)
    check_envelope(response)
    return response


def draw_address() -> str:
    """Return an address that no other test uses: all hospitals share the limit of an address."""
    return f"2001:db8:{random.getrandbits(16):x}:{random.getrandbits(16):x}::1"


def post_from(address: str, path: str, tenant_id: int, **body: Any) -> ApiResponse:
    """Send a visitor's request from an address."""
    headers = {"tenantId": str(tenant_id), "Content-Type": "application/json"}
    request = build_event("POST", path, headers, body=json.dumps(body))
    request["requestContext"]["identity"]["sourceIp"] = address
    response = invoke(request)
    check_envelope(response)
    return response


def post_as_visitor(hospital: Hospital, path: str, **body: Any) -> ApiResponse:
    return post(path, headers=build_tenant_header(hospital), **body)


def register(hospital: Hospital, code: str, phone: str = UNUSED_PHONE, password: str = "Neues-12345") -> ApiResponse:
    return post_as_visitor(hospital, REGISTER, phone=phone, verCode=code, password=password)


def sign_in(hospital: Hospital, phone: str, password: str) -> ApiResponse:
    return post_as_visitor(hospital, LOGIN, phone=phone, password=password)


def is_token_valid(token: str) -> bool:
    return get(MYINFO, token).status == 200


def add_member(person: Person, number: str, **changed: Any) -> ApiResponse:
    fields = {
        "name": "林小雨",
        "gender": 2,
        "birthday": f"{number[6:10]}-{number[10:12]}-{number[12:14]}",
        "IDNo": number,
        "phone": "13800000001",
    }
    return post(MEMBER, person.token, **{**fields, **changed})


def remove_member(person: Person, member_id: Any) -> ApiResponse:
    return post(f"{MEMBER}/remove", person.token, memberId=member_id)


def list_members(person: Person) -> Any:
    return get(MEMBERS, person.token).data


def get_other_code(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def to_microseconds(number: float) -> int:
    return int(number * 60 * clock.SECOND)
