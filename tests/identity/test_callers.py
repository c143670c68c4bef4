"""Who may ask what: every endpoint against every kind of caller, and which hospital a request belongs to."""

import hashlib
from importlib import import_module
from typing import Any

import pytest

from app import GROUPS
from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.http.routing import Endpoint
from chalicelib.identity import callers, tokens
from chalicelib.identity.callers import Caller, Role
from tests.support.client import Answer, build_event, check_envelope, get, invoke, post
from tests.support.factories import PASSWORD, Hospital, Person

ENDPOINTS = [endpoint for group in GROUPS for endpoint in import_module(f"chalicelib.{group}.routes").routes.endpoints]
PATIENTS_LIST = "/msg_service/msg/patient/msg_list"
LOGIN = "/pati_service/manager_service/login"
GET_TOKEN = "/inner/get_token"


def ask(endpoint: Endpoint, headers: dict[str, str]) -> Answer:
    """Ask an endpoint for nothing in particular."""
    content = {"Content-Type": "application/json"} if endpoint.method == "POST" else {}
    request = build_event(endpoint.method, endpoint.path, headers | content, body="{}" if content else None)
    request["pathParameters"] = dict.fromkeys(endpoint.parameters, "1")
    answer = invoke(request)
    check_envelope(answer, endpoint.path)
    return answer


def credentials(hospital: Hospital) -> dict[str, dict[str, str]]:
    visitor = tokens.issue(hospital.tenant_id, "session:visitor", Role.SESSION)
    return {
        Role.PATIENT: {"token": hospital.lin.token},
        Role.DOCTOR: {"token": hospital.chen.token},
        Role.SERVICE_STAFF: {"token": hospital.desk.token},
        Role.ADMIN: {"token": hospital.admin.token},
        Role.SESSION: {"token": visitor},
        # At the messagecenter a hospital's system says for whom it asks.
        Role.SERVICE: {"X-Internal-Key": hospital.internal_key, "newUserId": str(hospital.lin.user_id)},
    }


every_endpoint = pytest.mark.parametrize(
    "endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method}{endpoint.path}"
)


@every_endpoint
def test_every_endpoint_lets_in_whom_it_declares_and_nobody_else(endpoint: Endpoint, hospital: Hospital) -> None:
    tenant = {"tenantId": str(hospital.tenant_id)}
    strangers = [ask(endpoint, tenant), ask(endpoint, {**tenant, "token": "never was"})]
    assert endpoint.callers <= set(callers.Role)
    if Role.PUBLIC in endpoint.callers:
        assert all(answer.code != 10101 for answer in strangers)
        return
    assert {(answer.status, answer.code) for answer in strangers} == {(401, 10101)}
    for kind, credential in credentials(hospital).items():
        answer = ask(endpoint, {**tenant, **credential})
        if kind in endpoint.callers:
            assert answer.status != 401, kind
            assert answer.status != 403 or answer.error != "没有权限", kind
        else:
            assert answer.status == (401 if kind == Role.SERVICE else 403), kind


@every_endpoint
def test_every_endpoint_refuses_who_names_another_hospital(
    endpoint: Endpoint, hospital: Hospital, other_hospital: Hospital
) -> None:
    for kind, credential in credentials(hospital).items():
        if kind in endpoint.callers or (Role.PUBLIC in endpoint.callers and kind != Role.SERVICE):
            answer = ask(endpoint, {**credential, "tenantId": str(other_hospital.tenant_id)})
            assert (answer.status, answer.code) == (403, 10003), kind


@pytest.mark.parametrize("header", ["token", "TOKEN", "Authorization", "authorization"])
def test_a_token_comes_under_either_header(lin: Person, header: str) -> None:
    schemes = [""] if header.lower() == "token" else ["Bearer ", "bearer ", "BEARER  "]
    for scheme in schemes:
        assert get(PATIENTS_LIST, headers={header: f"{scheme}{lin.token}"}).status == 400


def test_another_scheme_is_no_token(lin: Person) -> None:
    for value in (lin.token, f"Basic {lin.token}", "Bearer", "Bearer ", ""):
        assert get(PATIENTS_LIST, headers={"Authorization": value}).status == 401


@pytest.mark.parametrize("how", ["expires_at = 1", "revoked_at = 1"])
def test_a_dead_token_is_refused(lin: Person, how: str) -> None:
    token = lin.token
    mysql.autocommit.execute(f"UPDATE tokens SET {how} WHERE principal = %(lin)s", lin=lin.principal.encode())
    answer = get(PATIENTS_LIST, token)
    assert (answer.status, answer.code) == (401, 10101)


def test_a_dead_token_does_not_keep_its_owner_from_signing_in_again(hospital: Hospital) -> None:
    chen = hospital.chen
    tokens.revoke_by_hash(tokens.hash_token(chen.token))
    headers = {"tenantId": str(hospital.tenant_id)}
    assert post(LOGIN, chen.token, headers, phone=chen.phone, password=PASSWORD).status == 200


def test_at_a_public_endpoint_a_live_token_names_the_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    chen = hospital.chen
    assert chen.phone == other_hospital.chen.phone
    answer = post(LOGIN, hospital.lin.token, phone=chen.phone, password=PASSWORD)
    assert answer.data["userId"] == str(chen.user_id)


def test_a_visitor_with_a_token_is_known_by_it(lin: Person) -> None:
    token = tokens.issue(lin.tenant_id, lin.principal, Role.PATIENT, platform=2)
    caller = callers.identify({"token": token}, frozenset([Role.PUBLIC]), "203.0.113.7")
    assert caller == Caller(lin.tenant_id, Role.PUBLIC, lin.principal, 2, "203.0.113.7")
    assert caller.user_id == lin.user_id


def test_who_has_signed_in_is_known_by_kind_and_platform(hospital: Hospital) -> None:
    token = tokens.issue(hospital.tenant_id, "session:abc", Role.SESSION, platform=5)
    caller = callers.identify({"token": token}, frozenset([Role.PATIENT, Role.SESSION]))
    hashed = hashlib.sha256(token.encode()).hexdigest()
    assert caller == Caller(hospital.tenant_id, Role.SESSION, "session:abc", 5, token_hash_hex=hashed)
    with pytest.raises(ValueError, match="session:abc"):
        _ = caller.user_id


@pytest.mark.parametrize("named", ["{0}x", "0{0}", " {0} ", "-{0}", "名"])
def test_a_hospital_is_named_by_its_exact_number(lin: Person, named: str) -> None:
    headers = {"tenantId": named.format(lin.tenant_id)}
    assert get(PATIENTS_LIST, lin.token, headers).status == 403


def test_the_right_hospital_may_be_named(lin: Person) -> None:
    assert get(PATIENTS_LIST, lin.token, {"tenantid": str(lin.tenant_id)}).status == 400
    assert get(PATIENTS_LIST, lin.token, {"tenantId": ""}).status == 400


def test_a_key_of_another_hospital_does_not_act_for_this_one(hospital: Hospital, other_hospital: Hospital) -> None:
    headers = {"X-Internal-Key": other_hospital.internal_key, "tenantId": str(hospital.tenant_id)}
    assert post(GET_TOKEN, headers=headers, session="visitor").status == 403
    assert post(GET_TOKEN, headers=headers | {"tenantId": ""}, session=str(hospital.lin.user_id)).status == 404


def test_a_key_rules_over_a_token_where_keys_are_taken(hospital: Hospital) -> None:
    headers = {"X-Internal-Key": "wrong"}
    assert post(GET_TOKEN, hospital.admin.token, headers, session="visitor").status == 401


def test_a_key_is_no_pass_where_no_key_is_asked_for(hospital: Hospital) -> None:
    headers = {"X-Internal-Key": hospital.internal_key}
    assert get(PATIENTS_LIST, headers=headers).status == 401
    assert get(PATIENTS_LIST, hospital.lin.token, headers).status == 400


def test_an_expired_token_is_refused_by_its_copy_too(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(PATIENTS_LIST, lin.token).status == 400
    later: Any = clock.now() + 400 * clock.DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert get(PATIENTS_LIST, lin.token).status == 401


def test_a_body_or_query_does_not_name_another_tenant(lin: Person, other_hospital: Hospital) -> None:
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": 1}
    for named, status in ((other_hospital.tenant_id, 403), (lin.tenant_id, 404), (str(lin.tenant_id), 404)):
        path = "/msg_service/msg/patient/insert_session"
        assert post(path, lin.token, tenantId=named, **fields).status == status
    assert get(PATIENTS_LIST, lin.token, tenantId=other_hospital.tenant_id).status == 403
