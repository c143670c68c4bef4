"""Isolation of users and tenants: each endpoint, with each kind of id that a request can contain.

The response to an id of another user or hospital equals the response to an unknown id. No row of the other hospital
changes, and none of the caller's own hospital if all requests were rejected.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.identity.callers import Role
from chalicelib.notify import http
from chalicelib.outbox import outbox
from chalicelib.settings import settings
from tests.support import factories, queue_client
from tests.support.client import ApiResponse, call
from tests.support.contract import CONTRACT
from tests.support.factories import Hospital
from tests.support.gateway_client import create_external_user
from tests.support.openapi_operations import ID_KINDS, Fields, Operation, get_id_kind, list_operations
from tests.support.owned_ids import PERSONAL_KINDS, create_ids

UNKNOWN_IDS = {
    **dict.fromkeys(("consult", "chat", "conversation", "group"), "87ba7679-b682-47e7-8499-0385dda22b66"),
    **dict.fromkeys(("message", "chat_message"), "EDCZL-SY32-243Y-VWQ"),
    "login": "0123456789abcdef",
}
OTHER_HOSPITAL_TEXT = "别处的秘密"  # in all texts of another hospital
OTHER_USERS_TEXT = "两人的秘密"  # in all texts of two other users of the same hospital
UNKNOWN_ID = "9007199254740990"
# Further fields without which a field is ignored.
COMPANION_FIELDS: dict[str, Fields] = {"chatGroupId": {"msgType": 4}, "groupIds": {"ownType": 3, "receiveId": ""}}
COMPANION_FIELDS |= {"user_id": {"pati_id": ""}}
# An optional field that is sent where the example has none: one of several is required.
REQUIRED_FIELDS = {"/pati_service/manager_service/stored_messages": "session_no"}
# Users of the same hospital may join a conversation of which they know the id.
JOINABLE = {("/join_conversation", "conversation_id")}
READING = {
    *("/message/userList", "/message/conversationList", "/message/findMessage", "/get_joined_conversation"),
    *("/get_conversation_detail", "/get_conversation_last_30_msg", "/get_conversation_lastone_msg"),
}
VOLATILE_TABLES = {"outbox", "attempts", "quotas", "known_networks", "tokens", "patient_access", "desks"}


@dataclass(frozen=True)
class World:
    own: dict[str, list[str]]
    neighbours: dict[str, list[str]]  # ids of other users of the same hospital
    foreign: dict[str, list[str]]  # ids of another hospital
    headers: dict[str, dict[str, str]]  # by role
    hospital: Hospital
    elsewhere: Hospital


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Create the ids, without outbox workers, which would change rows, and with short long polls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
        patch.setattr(outbox, "wake_worker", lambda *_, **__: None)
        here, elsewhere = factories.create_hospital(), factories.create_hospital("别处医院")
        staff = {Role.DOCTOR: here.chen, Role.SERVICE_STAFF: here.desk, Role.ADMIN: here.admin}
        own = {Role.PATIENT: here.lin.token, Role.SESSION: create_external_user(here, "guo").token}
        own |= {kind: one.token for kind, one in staff.items()}
        own[Role.SCREEN] = queue_client.create_screen(here)[1]
        headers: dict[str, dict[str, str]] = {kind: {"token": token} for kind, token in own.items()}
        headers |= {
            Role.SERVICE: {"X-Internal-Key": here.internal_key},
            Role.PUBLIC: {"tenantId": str(here.tenant_id)},
        }
        lins = create_ids(here, here.lin, here.chen, "", "")
        neighbours = create_ids(here, here.wang, here.zhou, OTHER_USERS_TEXT, "")
        yield World(
            lins,
            neighbours,
            create_ids(elsewhere, elsewhere.lin, elsewhere.chen, OTHER_HOSPITAL_TEXT, OTHER_HOSPITAL_TEXT),
            headers,
            here,
            elsewhere,
        )


def build_value(operation: Operation, field: str, world: World, named: str) -> Any:
    """Return the value of a field that contains an id; lists begin with the caller's own id."""
    own = world.own[get_id_kind(operation, field)][0]
    if field in ("conversation_ids", "sessions", "receiverIds", "groupIds"):
        return [own, named] if field != "receiverIds" else [world.own["doctor"][0], named]
    if field == "user_list":
        return [{"user_id": own}, {"user_id": named}]
    if field == "list":
        return [{"label_id": own}, {"label_id": named}]
    return named


def send_example(world: World, operation: Operation, headers: dict[str, str], **different: Any) -> ApiResponse:
    """Send the example with the caller's own ids, except for the fields in `different`."""
    names = {*operation.example, *([REQUIRED_FIELDS[operation.path]] if operation.path in REQUIRED_FIELDS else [])}
    own = {name: world.own[get_id_kind(operation, name)][0] for name in names if name in ID_KINDS}
    fields = {
        name: build_value(operation, name, world, own[name]) if name in own else one
        for name, one in {**own, **operation.example}.items()
    }
    days = {"date", "from_date", "to_date"} if "closure" in operation.path else {"date"}
    fields |= dict.fromkeys(days & set(fields), (clock.today() + timedelta(3)).isoformat())
    fields |= different
    path = operation.path
    for name in [name for name, place in operation.parameter_locations.items() if place == "path"]:
        path = path.replace(f"{{{name}}}", str(fields.pop(name)))
    query = {name: fields.pop(name) for name in operation.parameter_locations if name in fields}
    body = json.dumps(fields) if operation.method == "POST" else None
    return call(operation.method, path, headers=headers, query=query, body=body)


def send_with_id(world: World, operation: Operation, caller: str, field: str, named: str) -> ApiResponse:
    headers = dict(world.headers[caller])
    if caller == Role.SERVICE and operation.path.startswith("/message/"):
        headers["newUserId"] = world.own["patient"][0]
    return send_example(
        world,
        operation,
        headers,
        **COMPANION_FIELDS.get(field, {}),
        **{field: build_value(operation, field, world, named)},
    )


def describe_response(response: ApiResponse, named: str) -> tuple[int, str, bytes]:
    """Return the response without the id itself. Numbers of pages, entries and slots may equal the id by chance."""
    text = json.dumps(response.body, ensure_ascii=False, sort_keys=True)
    no_page_number = "".join(rf'(?<!"{field}": )' for field in ("page_num", "page_size", "pages", "total", "count"))
    name = rf"{no_page_number}(?<!\d){re.escape(named.removeprefix('user:'))}(?!\d| ?[个号])"
    return response.status, re.sub(rf"{name}|(?<=\"ConversationId\": \")[0-9a-f-]{{36}}", "…", text), response.content


def read_rows(tenant_id: int, excluded: set[str]) -> dict[str, list[Any]]:
    def read_tables(tx: mysql.Tx) -> dict[str, list[Any]]:
        found = tx.fetch_all(
            "SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'tenant_id'"
        )
        names = sorted({str(one["name"]) for one in found} - excluded)
        return {
            one: sorted(map(repr, tx.fetch_all(f"SELECT * FROM {one} WHERE tenant_id = %(id)s", id=tenant_id)))
            for one in names
        }

    return mysql.run_autocommit(read_tables)


def list_changed_tables(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


CASES = list_operations()
NAMING = [one for one in CASES if one.id_fields]


def test_every_endpoint_of_the_contract_is_covered() -> None:
    covered = {(one.method, one.path) for one in CASES}
    assert {(one["method"], one["path"]) for one in CONTRACT} <= covered


@pytest.mark.parametrize("operation", NAMING, ids=str)
def test_foreign_id_has_the_response_of_an_unknown_id(world: World, operation: Operation) -> None:
    other_before = read_rows(world.elsewhere.tenant_id, {"outbox"})
    own_before = read_rows(world.hospital.tenant_id, VOLATILE_TABLES)
    wrong, statuses = [], set()
    for caller, field, named in iter_foreign_ids(world, operation):
        unknown = UNKNOWN_IDS.get(get_id_kind(operation, field), UNKNOWN_ID)
        unknown_response = send_with_id(world, operation, caller, field, unknown)
        foreign_response = send_with_id(world, operation, caller, field, named)
        statuses.add(foreign_response.status)
        equal = describe_response(unknown_response, unknown) == describe_response(foreign_response, named)
        if not equal or not was_checked(unknown_response, field):
            wrong.append((caller, field, named, unknown_response.body, foreign_response.body))
    assert wrong == []
    assert list_changed_tables(other_before, read_rows(world.elsewhere.tenant_id, {"outbox"})) == []
    if 200 not in statuses:
        assert list_changed_tables(own_before, read_rows(world.hospital.tenant_id, VOLATILE_TABLES)) == []


def iter_foreign_ids(world: World, operation: Operation) -> Iterator[tuple[str, str, str]]:
    """Yield each caller, id field, and id that the caller has no access to."""
    for caller in operation.callers:
        for field in operation.id_fields:
            kind = get_id_kind(operation, field)
            yield from ((caller, field, named) for named in world.foreign[kind])
            knows_all_patients = caller != Role.PATIENT and operation.path != "/msg_service/msg/send"
            personal = kind in PERSONAL_KINDS or (kind == "patient" and not knows_all_patients)
            if personal and caller in (Role.PATIENT, Role.DOCTOR) and (operation.path, field) not in JOINABLE:
                yield from ((caller, field, named) for named in world.neighbours[kind])


def was_checked(response: ApiResponse, field: str) -> bool:
    """Return True if the response is not the validation error of another field."""
    return response.status != 400 or field in response.error or "消息编号" in response.error


@pytest.mark.parametrize("operation", [one for one in CASES if one.method == "GET" or one.path in READING], ids=str)
def test_texts_of_others_are_not_readable(world: World, operation: Operation) -> None:
    for caller in {Role.PATIENT, Role.DOCTOR, Role.SESSION} & set(operation.callers):
        response = send_example(world, operation, world.headers[caller])
        text = json.dumps(response.body, ensure_ascii=False)
        assert response.status in (200, 404)
        assert (OTHER_HOSPITAL_TEXT in text, OTHER_USERS_TEXT in text) == (False, False)


@pytest.fixture(scope="module")
def invalid_tokens(world: World) -> list[str]:
    """Return a revoked and an expired token of Lin and of Doctor Chen each."""
    dead = []
    for person, kind in ((world.hospital.lin, Role.PATIENT), (world.hospital.chen, Role.DOCTOR)):
        revoked, expired = (tokens.issue(person.tenant_id, person.principal, kind) for _ in range(2))
        tokens.revoke_by_hash(tokens.hash_token(revoked))
        expire(expired)
        dead += [revoked, expired]
    return dead


@pytest.mark.parametrize("operation", [one for one in CASES if Role.PUBLIC not in one.callers], ids=str)
def test_expired_and_revoked_tokens_are_rejected(world: World, invalid_tokens: list[str], operation: Operation) -> None:
    for token in invalid_tokens:
        different = {"token": token} if operation.path == "/notify" else {}
        assert send_example(world, operation, {"token": token}, **different).status == 401


def expire(token: str) -> None:
    end = "UPDATE tokens SET expires_at = 1 WHERE token_hash = %(hashed)s"
    mysql.autocommit.execute(end, hashed=tokens.hash_token(token))
