"""What a visitor's page asks, before and after signing in."""

from typing import Any

from chalicelib import clock
from tests.people import Hospital, Person
from tests.wire import Answer, answered, check_envelope, event, get, post

HERE = "/pati_service/patient_service"
REGISTER_CODE, RESET_CODE = f"{HERE}/register/phone_identifying_code", f"{HERE}/reset_password/phone_identifying_code"
VALIDATE = f"{RESET_CODE}_validate"
REGISTER, LOGIN, LOGOUT = f"{HERE}/register", f"{HERE}/login", f"{HERE}/logout"
RESET, CHANGE = f"{HERE}/reset_password", f"{HERE}/change_password"
MEMBER, MEMBERS, MYINFO, PICTURE = (f"{HERE}/{one}" for one in ("member", "members", "myinfo", "myinfo/upload_picture"))
PHONE = "13800000077"  # nobody's yet


def at(hospital: Hospital) -> dict[str, str]:
    return {"tenantId": str(hospital.tenant_id)}


def ask_code(hospital: Hospital, phone: Any = PHONE, path: str = REGISTER_CODE, address: str = "203.0.113.7") -> Answer:
    request = event("GET", path, at(hospital), {"phone": phone})
    request["requestContext"]["identity"]["sourceIp"] = address
    answer = answered(request)
    check_envelope(answer)
    return answer


def visit(hospital: Hospital, path: str, **body: Any) -> Answer:
    return post(path, headers=at(hospital), **body)


def register(hospital: Hospital, code: str, phone: str = PHONE, password: str = "Neues-12345") -> Answer:
    return visit(hospital, REGISTER, phone=phone, verCode=code, password=password)


def sign_in(hospital: Hospital, phone: str, password: str) -> Answer:
    return visit(hospital, LOGIN, phone=phone, password=password)


def alive(token: str) -> bool:
    return get(MYINFO, token).status == 200


def add(person: Person, number: str, **changed: Any) -> Answer:
    said = {
        "name": "林小雨",
        "gender": 2,
        "birthday": f"{number[6:10]}-{number[10:12]}-{number[12:14]}",
        "IDNo": number,
        "phone": "13800000001",
    }
    return post(MEMBER, person.token, **{**said, **changed})


def members(person: Person) -> Any:
    return get(MEMBERS, person.token).data


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def minutes(number: float) -> int:
    return int(number * 60 * clock.SECOND)
