"""A hospital's own system requests tokens for its users."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.identity.tokens import Session
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital

PATH = "/inner/get_token"


def request_token(hospital: Hospital, session: Any, **more: Any) -> ApiResponse:
    return post(PATH, headers={"X-Internal-Key": hospital.internal_key}, session=session, **more)


def find_session(response: ApiResponse) -> Session:
    session = tokens.find_session(response.data)
    assert session is not None
    return session


def test_external_user_gets_own_token(hospital: Hospital) -> None:
    session = find_session(request_token(hospital, "50864896-8136-4a43-8a48-1d3325a7f78f"))
    assert session.tenant_id == hospital.tenant_id
    assert (session.role, session.platform) == ("session", 0)
    assert session.principal == "session:50864896-8136-4a43-8a48-1d3325a7f78f"


def test_two_requests_return_two_valid_tokens(hospital: Hospital) -> None:
    first, second = (request_token(hospital, "visitor") for _ in range(2))
    assert first.data != second.data
    assert find_session(first).principal == find_session(second).principal


@pytest.mark.parametrize("shape", ["{0}", "user:{0}"])
def test_token_for_account_has_its_role(hospital: Hospital, shape: str) -> None:
    hospital.allow_keys_for_staff()
    roles = {
        hospital.lin: "patient",
        hospital.chen: "doctor",
        hospital.desk: "service_staff",
    }
    for person, role in roles.items():
        session = find_session(request_token(hospital, shape.format(person.user_id)))
        assert (session.principal, session.role) == (person.principal, role)


def test_number_is_accepted_as_session(hospital: Hospital) -> None:
    assert find_session(request_token(hospital, hospital.lin.user_id)).principal == hospital.lin.principal


def test_issued_token_reads_own_messages(hospital: Hospital) -> None:
    lin = hospital.lin
    fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": hospital.chen.user_id}
    session_no = post("/msg_service/msg/patient/insert_session", lin.token, **fields).data["session_no"]
    token = request_token(hospital, str(lin.user_id)).data
    query = {"session_no": session_no, "page_size": 10, "member_id": lin.member_id}
    assert get("/msg_service/msg/patient/msg_list", token, **query).data == []


def test_person_of_other_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    for person in (other_hospital.lin, other_hospital.chen):
        response = request_token(hospital, str(person.user_id))
        assert (response.status, response.code) == (404, 10004)


@pytest.mark.parametrize("session", ["0", "999999999999", "9" * 128, "user:999999999999"])
def test_id_of_no_account_is_not_found(hospital: Hospital, session: str) -> None:
    assert request_token(hospital, session).status == 404


def test_disabled_staff_get_no_token(hospital: Hospital) -> None:
    hospital.allow_keys_for_staff()
    disable = "UPDATE staff SET disabled_at = 1 WHERE user_id = %(id)s"
    mysql.autocommit.execute(disable, id=hospital.chen.user_id)
    assert request_token(hospital, str(hospital.chen.user_id)).status == 404
    assert request_token(hospital, str(hospital.zhou.user_id)).status == 200


@pytest.mark.parametrize("shape", ["0{0}", "00{0}", "user:0{0}", "user:user:{0}", "USER:{0}", "{0}x", "-{0}", "+{0}"])
def test_session_that_is_not_exactly_a_number_is_external(hospital: Hospital, shape: str) -> None:
    outside = shape.format(hospital.lin.user_id)
    session = find_session(request_token(hospital, outside))
    assert (session.role, session.principal) == ("session", f"session:{outside}")


@pytest.mark.parametrize("session", ["user:", "a", "!", "~", "a" * 128, "o%27Brien;--", "session:abc"])
def test_any_printable_text_names_external_user(hospital: Hospital, session: str) -> None:
    assert find_session(request_token(hospital, session)).principal == f"session:{session}"


def test_same_external_user_of_two_hospitals_is_two_users(hospital: Hospital, other_hospital: Hospital) -> None:
    ours, theirs = (find_session(request_token(one, "visitor")) for one in (hospital, other_hospital))
    assert (ours.tenant_id, theirs.tenant_id) == (hospital.tenant_id, other_hospital.tenant_id)


@pytest.mark.parametrize(("platform", "stored"), [(0, 0), (1, 1), (255, 255), ("7", 7)])
def test_platform_is_stored(hospital: Hospital, platform: Any, stored: int) -> None:
    assert find_session(request_token(hospital, "visitor", platform=platform)).platform == stored
    assert find_session(request_token(hospital, hospital.lin.user_id, platform=platform)).platform == stored


@pytest.mark.parametrize("platform", [-1, 256, 1.5, "1.0", "x", True, [1], {}, 10**400])
def test_invalid_platform_is_rejected_by_name(hospital: Hospital, platform: Any) -> None:
    response = request_token(hospital, "visitor", platform=platform)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("platform：")


@pytest.mark.parametrize(
    "session", [None, "", " ", "a b", "访客", "a" * 129, True, 1.5, [], {}, "a\n", "\x00", 10**200]
)
def test_invalid_session_is_rejected_by_name(hospital: Hospital, session: Any) -> None:
    response = request_token(hospital, session)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("session：")


def test_session_is_required(hospital: Hospital) -> None:
    response = post(PATH, headers={"X-Internal-Key": hospital.internal_key}, platform=1)
    assert (response.status, response.error) == (400, "session：必填")
