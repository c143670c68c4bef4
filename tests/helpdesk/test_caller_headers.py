"""Callers by token or internal key, and the headers that name them. Errors use the messagecenter's envelope."""

import json
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.helpdesk.routes import routes
from tests.support import client, factories
from tests.support.client import ApiResponse, call
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import (
    PATHS,
    HelpDesk,
    add_message,
    call_messagecenter,
    find_messages,
    get_message_count,
    list_contents,
    send_all,
)

BODIES: dict[str, dict[str, Any]] = {
    "messageCount": {"userType": 2},
    "messageAdd": {
        "ownType": 1,
        "title": "",
        "content": "您好",
        "item": 0,
        "type": 0,
        "link": "",
        "itemType": 0,
        "receiveId": "999999999",
    },
    "findMessage": {"msgType": 1, "userType": 2, "pageSize": 10},
    "userList": {"userType": 2},
    "conversationList": {"userType": 2},
    "createChatSession": {"msgType": 2, "userType": 2, "receiveId": "999999999"},
    "closeChatSession": {"sessionId": "none"},
    "obtainShunt": {"type": ""},
    "updateReadById": {"sendId": "999999999"},
    "withdrawMessage": {"messageId": "22222-2222-2222-222", "userType": 2},
    "appraiseMessage": {"messageId": "22222-2222-2222-222", "appraise": 1},
    "oneUserPosition": {"positionId": "999999999"},
    "oneUserConversation": {"youPositionId": "999999999"},
}
on_each_endpoint = pytest.mark.parametrize("what", PATHS)


def call_endpoint(what: str, token: str = "", **headers: Any) -> ApiResponse:
    named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    return call("POST", f"/message/{what}", token, named, body=json.dumps(BODIES[what]))


def test_all_endpoints_of_the_document_are_tested() -> None:
    extensions = {"/message/savePost", "/message/setDuty", "/message/postList"}
    assert {one.path for one in routes.endpoints} - extensions == {f"/message/{what}" for what in PATHS}
    assert set(PATHS) == set(BODIES)


@on_each_endpoint
def test_headers_must_match_the_token(hospital: Hospital, what: str) -> None:
    desk = HelpDesk(hospital)
    own, other = desk.create_post(hospital.desk), desk.create_post(hospital.chen)
    li, lin = hospital.desk, hospital.lin
    accepted: list[tuple[Person, dict[str, Any]]] = [
        (li, {"newUserId": li.user_id, "entUserId": li.user_id, "entId": li.tenant_id, "positionId": own}),
        (li, {"newUserId": 0, "entUserId": "", "entId": "", "positionId": 0, "appId": "wx1"}),
        (lin, {"newUserId": lin.user_id, "entUserId": 0, "positionId": 0}),
    ]
    for who, headers in accepted:
        assert call_endpoint(what, who.token, **headers).status in ((200, 404) if what != "obtainShunt" else (200, 403))
    wrong: list[tuple[Person, dict[str, Any]]] = [
        *((li, {"newUserId": lin.user_id}) for _ in "1"),
        (li, {"entUserId": hospital.chen.user_id}),
        (li, {"newUserId": li.user_id, "entUserId": lin.user_id}),
        (li, {"positionId": other}),
        (li, {"positionId": 999_999_999}),
        (lin, {"newUserId": hospital.wang.user_id}),
        (lin, {"entUserId": lin.user_id}),
        (lin, {"positionId": own}),
        (lin, {"entId": lin.tenant_id + 1}),
        (lin, {"entId": "another"}),
        (lin, {"tenantId": lin.tenant_id + 1}),
    ]
    for who, headers in wrong:
        response = call_endpoint(what, who.token, **headers)
        assert (response.status, response.code) == (403, 10003), headers


@on_each_endpoint
@pytest.mark.parametrize(
    ("name", "text"),
    [("newUserId", "x"), ("entUserId", "1.5"), ("positionId", "-1"), ("newUserId", "9" * 30), ("appId", "x" * 65)],
)
def test_invalid_header_is_rejected(lin: Person, what: str, name: str, text: str) -> None:
    response = call_endpoint(what, lin.token, **{name: text})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


@on_each_endpoint
def test_internal_key_may_act_for_people_of_its_hospital(
    hospital: Hospital, what: str, other_hospital: Hospital
) -> None:
    hospital.allow_keys_for_staff()
    position = HelpDesk(hospital).create_post(hospital.desk)
    key = {"X_Internal_Key": hospital.internal_key}
    lin, li = hospital.lin.user_id, hospital.desk.user_id
    for named in ({"newUserId": lin}, {"entUserId": li}, {"newUserId": li, "entUserId": li, "positionId": position}):
        assert call_endpoint(what, **key, **named).status in ((200, 404) if what != "obtainShunt" else (200, 403))
    rejected: list[tuple[dict[str, Any], int]] = [
        ({}, 401),
        ({"newUserId": 0}, 401),
        ({"newUserId": other_hospital.lin.user_id}, 404),
        ({"newUserId": 999_999_999}, 404),
        ({"entUserId": lin}, 404),
        ({"newUserId": lin, "entUserId": li}, 400),
        ({"newUserId": lin, "positionId": position}, 403),
        ({"positionId": 999_999_999}, 404),
        ({"newUserId": lin, "entId": other_hospital.tenant_id}, 403),
    ]
    for named, status in rejected:
        assert call_endpoint(what, **key, **named).status == status, named


@on_each_endpoint
def test_internal_key_does_not_act_for_staff_by_itself(hospital: Hospital, what: str) -> None:
    position = HelpDesk(hospital).create_post(hospital.desk)
    key, li = {"X_Internal_Key": hospital.internal_key}, hospital.desk.user_id
    for named in ({"newUserId": li}, {"entUserId": li}, {"positionId": position}):
        assert call_endpoint(what, **key, **named).status == 403, named


def test_internal_key_sends_as_the_named_person(help_desk: HelpDesk, lin: Person, chen: Person) -> None:
    help_desk.hospital.allow_keys_for_staff()
    factories.let_treat(chen, lin)
    position = help_desk.create_post(chen)
    body = {**BODIES["messageAdd"], "receiveId": str(lin.user_id)}
    names: list[dict[str, Any]] = [
        {"newUserId": chen.user_id},
        {"entUserId": chen.user_id},
        {"positionId": position},
    ]
    for number, named in enumerate(names):
        response = help_desk.call_with_key("messageAdd", named, **{**body, "content": f"您好{number}"})
        assert response.status == 200
    assert [one["sendName"] for one in find_messages(lin, 2, sendId=chen.user_id).data] == ["陈医生"] * 3
    send_all(chen, lin, "再说")
    assert help_desk.call_with_key("messageCount", {"newUserId": lin.user_id}, userType=2).data == 1


def test_hospital_may_be_named_by_its_external_id(hospital: Hospital, lin: Person) -> None:
    named = f"rh-{hospital.tenant_id}"
    sql = "UPDATE tenants SET external_id = %(named)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, named=named.encode(), id=hospital.tenant_id)
    assert call_messagecenter(lin, "messageCount", {"entId": named}, userType=2).status == 200


def test_post_and_application_are_stored_with_the_message(hospital: Hospital, help_desk: HelpDesk, lin: Person) -> None:
    position = help_desk.create_post(hospital.desk)
    headers = {"positionId": position, "appId": "wx8f2"}
    body = {**BODIES["messageAdd"], "receiveId": str(lin.user_id)}
    assert call_messagecenter(hospital.desk, "messageAdd", headers, **body).status == 200
    extra = mysql.autocommit.fetch_value("SELECT extra FROM messages WHERE tenant_id = %(id)s", id=hospital.tenant_id)
    assert {name: json.loads(extra)[name] for name in ("post", "app", "by")} == {
        "post": int(position),
        "app": "wx8f2",
        "by": hospital.desk.user_id,
    }


def test_errors_before_the_view_use_the_envelope(lin: Person) -> None:
    for body, kind, status in [("{", "application/json", 400), ("a=1", "text/csv", 415)]:
        event = client.build_event(
            "POST", "/message/messageCount", {"token": lin.token, "Content-Type": kind}, body=body
        )
        response = client.invoke(event)
        client.check_envelope(response, "/message/messageCount")
        assert response.status == status
    long = json.dumps({"userType": 2, "x": "x" * 3_000_000})
    event = client.build_event(
        "POST", "/message/messageCount", {"token": lin.token, "Content-Type": "application/json"}, body=long
    )
    assert client.invoke(event).body["error_code"] == 10008


def test_messages_are_visible_to_their_participants_only(hospital: Hospital, other_hospital: Hospital) -> None:
    send_all(hospital.lin, hospital.chen, "您好")
    assert (
        get_message_count(other_hospital.chen),
        get_message_count(hospital.zhou),
        get_message_count(hospital.chen),
    ) == (
        0,
        0,
        1,
    )
    assert list_contents(find_messages(hospital.chen, 2, sendId=hospital.lin.user_id)) == ["您好"]
    assert add_message(other_hospital.chen, "您好", receiveId=hospital.lin.user_id).status == 404
