"""Authentication and the tenant of a request. tests/test_authorization.py tests every endpoint."""

import hashlib
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import callers, internal_keys, tokens
from chalicelib.identity.callers import Caller, Role
from tests.support.client import call, get, post
from tests.support.consult_client import INSERT_SESSION, PATIENT_SESSIONS
from tests.support.factories import PASSWORD, Hospital, Person

PATIENTS_LIST = "/msg_service/msg/patient/msg_list"
LOGIN = "/pati_service/manager_service/login"
GET_TOKEN = "/inner/get_token"


@pytest.mark.parametrize("header", ["token", "TOKEN", "Authorization", "authorization"])
def test_token_is_accepted_in_either_header(lin: Person, header: str) -> None:
    schemes = [""] if header.lower() == "token" else ["Bearer ", "bearer ", "BEARER  "]
    for scheme in schemes:
        assert get(PATIENTS_LIST, headers={header: f"{scheme}{lin.token}"}).status == 400


def test_other_authentication_scheme_is_rejected(lin: Person) -> None:
    for value in (lin.token, f"Basic {lin.token}", "Bearer", "Bearer ", ""):
        assert get(PATIENTS_LIST, headers={"Authorization": value}).status == 401


@pytest.mark.parametrize("change", ["expires_at = 1", "revoked_at = 1"])
def test_expired_or_revoked_token_is_rejected(lin: Person, change: str) -> None:
    token = lin.token
    mysql.autocommit.execute(f"UPDATE tokens SET {change} WHERE principal = %(lin)s", lin=lin.principal.encode())
    response = get(PATIENTS_LIST, token)
    assert (response.status, response.code, response.error) == (401, 10101, "登录已失效，请重新登录")


TOKEN_TEXT = "请求头 token（或 Authorization: Bearer）带上登录得到的 token"
KEY_TEXT = "请求头 X-Internal-Key 带上内部密钥"
FIELDS: dict[str, Any] = {"tenantId": 1, "msg_text": "您好", "user_list": [{"user_id": 1}]}


def test_missing_credential_is_named(hospital: Hospital) -> None:
    empty = [
        *({"token": text} for text in ("", "null", "undefined", "0")),
        *({"Authorization": text} for text in ("Basic YTpi", "Bearer ", "Bearer null", "bearer undefined")),
    ]
    for headers in ({}, *empty, {"X-Internal-Key": hospital.internal_key}):
        response = get(PATIENTS_LIST, headers=headers)
        assert (response.status, response.code, response.error) == (401, 10101, f"未登录：请用{TOKEN_TEXT}")
    for text in ("", "undefined"):
        response = post(GET_TOKEN, headers={"X-Internal-Key": text}, session="visitor")
        assert response.error == f"未登录：请用{KEY_TEXT}"
    assert post("/msg_service/msg/send", **FIELDS).error == f"未登录：请用{TOKEN_TEXT}，或用{KEY_TEXT}"


@pytest.mark.parametrize("token", [None, "", "undefined"])
def test_missing_token_of_a_listener_is_named_as_a_parameter(token: str | None) -> None:
    query: dict[str, Any] = {"protoc": "poll"} if token is None else {"protoc": "poll", "token": token}
    response = get("/notify", **query)
    assert (response.status, response.error) == (401, "未登录：请用地址参数 token 带上登录得到的 token")


def test_permitted_roles_are_named(hospital: Hospital) -> None:
    assert get(PATIENTS_LIST, hospital.chen.token).error == "没有权限：仅限患者"
    sent = post("/msg_service/msg/send", hospital.lin.token, **FIELDS)
    assert sent.error == "没有权限：仅限医生、客服、管理员、医院自己的系统（内部密钥）"


def test_revoked_token_does_not_prevent_sign_in(hospital: Hospital) -> None:
    chen = hospital.chen
    tokens.revoke_by_hash(tokens.hash_token(chen.token))
    headers = {"tenantId": str(hospital.tenant_id)}
    assert post(LOGIN, chen.token, headers, phone=chen.phone, password=PASSWORD).status == 200


def test_valid_token_determines_the_hospital_at_public_endpoints(hospital: Hospital, other_hospital: Hospital) -> None:
    chen = hospital.chen
    assert chen.phone == other_hospital.chen.phone
    response = post(LOGIN, hospital.lin.token, phone=chen.phone, password=PASSWORD)
    assert response.data["userId"] == str(chen.user_id)


def test_visitor_with_a_token_has_its_principal(lin: Person) -> None:
    token = tokens.issue(lin.tenant_id, lin.principal, Role.PATIENT, platform=2)
    caller = callers.identify({"token": token}, frozenset([Role.PUBLIC]), "203.0.113.7")
    assert caller == Caller(lin.tenant_id, Role.PUBLIC, lin.principal, 2, "203.0.113.7")
    assert caller.user_id == lin.user_id


def test_caller_has_role_and_platform_of_the_token(hospital: Hospital) -> None:
    token = tokens.issue(hospital.tenant_id, "session:abc", Role.SESSION, platform=5)
    caller = callers.identify({"token": token}, frozenset([Role.PATIENT, Role.SESSION]))
    token_hash = hashlib.sha256(token.encode()).hexdigest()
    assert caller == Caller(hospital.tenant_id, Role.SESSION, "session:abc", 5, token_hash_hex=token_hash)
    with pytest.raises(ValueError, match="session:abc"):
        _ = caller.user_id


def test_caller_of_an_internal_key_has_its_id(hospital: Hospital) -> None:
    key = internal_keys.authenticate(hospital.internal_key)
    caller = callers.identify({"x-internal-key": hospital.internal_key}, frozenset([Role.SERVICE]), "203.0.113.7")
    assert caller == Caller(hospital.tenant_id, Role.SERVICE, address="203.0.113.7", key_id=key.key_id)


@pytest.mark.parametrize(
    ("sent", "stored"), [("MicroMessenger/8.0", "MicroMessenger/8.0"), ("设" * 300, "设" * 255), ("a\x00\ud800", "a?")]
)
def test_device_of_a_sign_in_is_stored(hospital: Hospital, sent: str, stored: str) -> None:
    headers = {"tenantId": str(hospital.tenant_id), "User-Agent": sent}
    for person, path in ((hospital.chen, LOGIN), (hospital.lin, "/pati_service/patient_service/login")):
        token = post(path, headers=headers, phone=person.phone, password=PASSWORD).data["token"]
        row = mysql.autocommit.fetch_one(
            "SELECT device, address, key_id, last_used_at - created_at AS used FROM tokens WHERE token_hash = %(hash)s",
            hash=tokens.hash_token(token),
        )
        assert row == {"device": stored, "address": b"203.0.113.7", "key_id": None, "used": 0}


@pytest.mark.parametrize("named", ["{0}x", "0{0}", " {0} ", "-{0}", "名"])
def test_malformed_tenant_id_is_rejected(lin: Person, named: str) -> None:
    headers = {"tenantId": named.format(lin.tenant_id)}
    assert get(PATIENTS_LIST, lin.token, headers).status == 403


def test_tenant_id_of_the_caller_is_accepted(lin: Person) -> None:
    assert get(PATIENTS_LIST, lin.token, {"tenantid": str(lin.tenant_id)}).status == 400
    for empty in ("", "0", "null", "undefined"):
        assert get(PATIENTS_LIST, lin.token, {"tenantId": empty}).status == 400


def test_internal_key_of_another_hospital_is_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    headers = {"X-Internal-Key": other_hospital.internal_key, "tenantId": str(hospital.tenant_id)}
    assert post(GET_TOKEN, headers=headers, session="visitor").status == 403
    assert post(GET_TOKEN, headers=headers | {"tenantId": ""}, session=str(hospital.lin.user_id)).status == 404


def test_internal_key_takes_precedence_over_a_token(hospital: Hospital) -> None:
    headers = {"X-Internal-Key": "wrong"}
    assert post(GET_TOKEN, hospital.admin.token, headers, session="visitor").status == 401


def test_internal_key_is_ignored_where_it_is_not_allowed(hospital: Hospital) -> None:
    headers = {"X-Internal-Key": hospital.internal_key}
    assert get(PATIENTS_LIST, headers=headers).status == 401
    assert get(PATIENTS_LIST, hospital.lin.token, headers).status == 400


def test_cached_session_expires(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(PATIENTS_LIST, lin.token).status == 400
    later: Any = clock.now() + 400 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert get(PATIENTS_LIST, lin.token).status == 401


def test_body_and_query_must_not_name_another_tenant(lin: Person, other_hospital: Hospital) -> None:
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": 1}
    for named, status in ((other_hospital.tenant_id, 403), (lin.tenant_id, 404), (str(lin.tenant_id), 404)):
        assert post(INSERT_SESSION, lin.token, tenantId=named, **fields).status == status
    assert get(PATIENT_SESSIONS, lin.token, tenantId=other_hospital.tenant_id).status == 403
    form = f"member_id={lin.member_id}&doctor_id=1&tenantId={other_hospital.tenant_id}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert call("POST", INSERT_SESSION, lin.token, headers, body=form).error == "租户与登录身份不符"


@pytest.mark.parametrize("empty", [None, "", 0, "0"])
def test_empty_tenant_is_none(lin: Person, empty: Any) -> None:
    assert post(INSERT_SESSION, lin.token, tenantId=empty, member_id=lin.member_id, doctor_id=1).status == 404
