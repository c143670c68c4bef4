"""Nobody sees or changes what is another's: at each endpoint, with each kind of id that a request can name.

Whoever names what is another's, of their own hospital or elsewhere, is answered as if there were no such thing; no row
of the other hospital changes, and none of their own where all was refused.
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
from chalicelib.gateway.notify import http
from chalicelib.identity import tokens
from chalicelib.identity.callers import Role
from chalicelib.outbox import outbox
from chalicelib.settings import settings
from tests.support import factories
from tests.support.client import ApiResponse, call
from tests.support.contract import CONTRACT
from tests.support.factories import Hospital
from tests.support.gateway_client import create_external_user
from tests.support.openapi_operations import ID_KINDS, Fields, Operation, get_id_kind, list_operations
from tests.support.owned_ids import PERSONAL_KINDS, create_ids

ABSENT = {
    **dict.fromkeys(("consult", "chat", "conversation", "group"), "87ba7679-b682-47e7-8499-0385dda22b66"),
    **dict.fromkeys(("message", "chat_message"), "EDCZL-SY32-243Y-VWQ"),
}
ABROAD, BETWEEN = "别处的秘密", "两人的秘密"  # in what another hospital, and two others of one's own, have written
NOBODYS = "9007199254740990"
# What more a field needs to be looked at.
WITH: dict[str, Fields] = {"chatGroupId": {"msgType": 4}, "groupIds": {"ownType": 3, "receiveId": ""}}
# Of the same hospital, whoever knows the id may join what a client has made.
JOINED = {("/join_conversation", "conversation_id")}
READING = {
    *("/message/userList", "/message/conversationList", "/message/findMessage", "/get_joined_conversation"),
    *("/get_conversation_detail", "/get_conversation_last_30_msg", "/get_conversation_lastone_msg"),
}
NOISE = {"outbox", "attempts", "tokens", "patient_access", "desks"}


@dataclass(frozen=True)
class World:
    own: dict[str, list[str]]
    neighbours: dict[str, list[str]]  # of the same hospital
    foreign: dict[str, list[str]]  # of another
    headers: dict[str, dict[str, str]]  # of each kind of caller
    hospital: Hospital
    elsewhere: Hospital


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """What is promised is not done: it would change rows while we look. A poll to which nothing comes is soon over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http, "settings", replace(settings, long_poll_seconds=0.01))
        patch.setattr(outbox, "wake_worker", lambda *_, **__: None)
        here, elsewhere = factories.create_hospital(), factories.create_hospital("别处医院")
        staff = {Role.DOCTOR: here.chen, Role.SERVICE_STAFF: here.desk, Role.ADMIN: here.admin}
        own = {Role.PATIENT: here.lin.token, Role.SESSION: create_external_user(here, "guo").token}
        own |= {kind: one.token for kind, one in staff.items()}
        headers: dict[str, dict[str, str]] = {kind: {"token": token} for kind, token in own.items()}
        headers |= {
            Role.SERVICE: {"X-Internal-Key": here.internal_key},
            Role.PUBLIC: {"tenantId": str(here.tenant_id)},
        }
        lins = create_ids(here, here.lin, here.chen, "", "")
        neighbours = create_ids(here, here.wang, here.zhou, BETWEEN, "")
        yield World(
            lins,
            neighbours,
            create_ids(elsewhere, elsewhere.lin, elsewhere.chen, ABROAD, ABROAD),
            headers,
            here,
            elsewhere,
        )


def value(operation: Operation, field: str, world: World, named: str) -> Any:
    """A field that names this: a list names one's own first."""
    own = world.own[get_id_kind(operation, field)][0]
    if field in ("conversation_ids", "sessions", "receiverIds", "groupIds"):
        return [own, named] if field != "receiverIds" else [world.own["doctor"][0], named]
    if field == "user_list":
        return [{"user_id": own}, {"user_id": named}]
    if field == "list":
        return [{"label_id": own}, {"label_id": named}]
    return named


def asked(world: World, operation: Operation, headers: dict[str, str], **different: Any) -> ApiResponse:
    """The example, about what is the caller's own, but for these fields."""
    own = {name: world.own[get_id_kind(operation, name)][0] for name in operation.example if name in ID_KINDS}
    fields = {
        name: value(operation, name, world, own[name]) if name in own else one
        for name, one in operation.example.items()
    }
    fields |= {"date": (clock.today() + timedelta(3)).isoformat()} if "date" in fields else {}
    fields |= different
    path = operation.path
    for name in [name for name, place in operation.parameter_locations.items() if place == "path"]:
        path = path.replace(f"{{{name}}}", str(fields.pop(name)))
    query = {name: fields.pop(name) for name in operation.parameter_locations if name in fields}
    body = json.dumps(fields) if operation.method == "POST" else None
    return call(operation.method, path, headers=headers, query=query, body=body)


def named_by(world: World, operation: Operation, caller: str, field: str, named: str) -> ApiResponse:
    headers = dict(world.headers[caller])
    if caller == Role.SERVICE and operation.path.startswith("/message/"):
        headers["newUserId"] = world.own["patient"][0]
    return asked(world, operation, headers, **WITH.get(field, {}), **{field: value(operation, field, world, named)})


def told(answer: ApiResponse, named: str) -> tuple[int, str, bytes]:
    """What is answered, but for the name itself."""
    text = json.dumps(answer.body, ensure_ascii=False, sort_keys=True)
    name = rf"(?<!\d){re.escape(named.removeprefix('user:'))}(?!\d)"
    return answer.status, re.sub(rf"{name}|(?<=\"ConversationId\": \")[0-9a-f-]{{36}}", "…", text), answer.content


def rows(tenant_id: int, but: set[str]) -> dict[str, list[Any]]:
    def read(tx: mysql.Tx) -> dict[str, list[Any]]:
        found = tx.fetch_all(
            "SELECT table_name AS name FROM information_schema.columns WHERE column_name = 'tenant_id'"
        )
        names = sorted({str(one["name"]) for one in found} - but)
        return {
            one: sorted(map(repr, tx.fetch_all(f"SELECT * FROM {one} WHERE tenant_id = %(id)s", id=tenant_id)))
            for one in names
        }

    return mysql.run_autocommit(read)


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


CASES = list_operations()
NAMING = [one for one in CASES if one.id_fields]


def test_every_endpoint_of_the_contract_is_asked() -> None:
    tried = {(one.method, one.path) for one in CASES}
    assert {(one["method"], one["path"]) for one in CONTRACT} <= tried


@pytest.mark.parametrize("operation", NAMING, ids=str)
def test_what_is_anothers_is_answered_like_what_never_was(world: World, operation: Operation) -> None:
    abroad, here = rows(world.elsewhere.tenant_id, {"outbox"}), rows(world.hospital.tenant_id, NOISE)
    wrong, statuses = [], set()
    for caller, field, named in foreign(world, operation):
        nobodys = ABSENT.get(get_id_kind(operation, field), NOBODYS)
        never = named_by(world, operation, caller, field, nobodys)
        theirs = named_by(world, operation, caller, field, named)
        statuses.add(theirs.status)
        if told(never, nobodys) != told(theirs, named) or not reached(never, field):
            wrong.append((caller, field, named, never.body, theirs.body))
    assert wrong == []
    assert changed(abroad, rows(world.elsewhere.tenant_id, {"outbox"})) == []
    if 200 not in statuses:
        assert changed(here, rows(world.hospital.tenant_id, NOISE)) == []


def foreign(world: World, operation: Operation) -> Iterator[tuple[str, str, str]]:
    """Each caller, each field that names something, and each id that is not theirs to name."""
    for caller in operation.callers:
        for field in operation.id_fields:
            kind = get_id_kind(operation, field)
            yield from ((caller, field, named) for named in world.foreign[kind])
            personal = kind in PERSONAL_KINDS or (kind == "patient" and caller == Role.PATIENT)
            if personal and caller in (Role.PATIENT, Role.DOCTOR) and (operation.path, field) not in JOINED:
                yield from ((caller, field, named) for named in world.neighbours[kind])


def reached(answer: ApiResponse, field: str) -> bool:
    """Whether it is this field that was refused, and not another before it."""
    return answer.status != 400 or field in answer.error or "消息编号" in answer.error


@pytest.mark.parametrize("operation", [one for one in CASES if one.method == "GET" or one.path in READING], ids=str)
def test_nobody_reads_what_others_have_written(world: World, operation: Operation) -> None:
    for caller in {Role.PATIENT, Role.DOCTOR, Role.SESSION} & set(operation.callers):
        answer = asked(world, operation, world.headers[caller])
        text = json.dumps(answer.body, ensure_ascii=False)
        assert answer.status in (200, 404)
        assert (ABROAD in text, BETWEEN in text) == (False, False)


@pytest.fixture(scope="module")
def dead_tokens(world: World) -> list[str]:
    """Tokens of Lin and Doctor Chen: of each, one that was revoked and one that has expired."""
    dead = []
    for person, kind in ((world.hospital.lin, Role.PATIENT), (world.hospital.chen, Role.DOCTOR)):
        revoked, expired = (tokens.issue(person.tenant_id, person.principal, kind) for _ in range(2))
        tokens.revoke_by_hash(tokens.hash_token(revoked))
        expire(expired)
        dead += [revoked, expired]
    return dead


@pytest.mark.parametrize("operation", [one for one in CASES if Role.PUBLIC not in one.callers], ids=str)
def test_a_token_that_is_over_or_given_back_opens_nothing(
    world: World, dead_tokens: list[str], operation: Operation
) -> None:
    for token in dead_tokens:
        different = {"token": token} if operation.path == "/notify" else {}
        assert asked(world, operation, {"token": token}, **different).status == 401


def expire(token: str) -> None:
    end = "UPDATE tokens SET expires_at = 1 WHERE token_hash = %(hashed)s"
    mysql.autocommit.execute(end, hashed=tokens.hash_token(token))
