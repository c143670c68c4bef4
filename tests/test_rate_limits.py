"""Rate limits of the endpoints: what one token may do, and what else it does not disturb."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from apidocs import endpoints
from chalicelib import errors
from chalicelib.adapters import redis
from chalicelib.identity import rate_limits, tokens
from chalicelib.identity.callers import Role
from chalicelib.identity.rate_limits import DEFAULT_RATES, Rate, RateLimit
from chalicelib.identity.tokens import Owner
from chalicelib.messaging import recent_cache
from tests.support import consult_client, gateway_client, helpdesk_client, inbox_client
from tests.support.client import ApiResponse, get, post
from tests.support.conversation_log import raise_redis_unavailable
from tests.support.factories import Hospital, Person, create_patient

STAFF_PATH = "/pati_service/manager_service"
MESSAGE_FIELDS: dict[str, Any] = {"ownType": 1, "title": "", "item": 0, "type": 0, "link": "", "itemType": 0}
PAGE: dict[str, Any] = {"page_num": 1, "page_size": 10}
Send = Callable[[], ApiResponse]
SetBurst = Callable[[int], None]

pytestmark = pytest.mark.usefixtures("frozen_clock")  # buckets gain no tokens during a test


@pytest.fixture
def default_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Apply the bursts of production."""
    rates = {name: replace(rate, per_second=0.001) for name, rate in DEFAULT_RATES.items()}
    monkeypatch.setattr(rate_limits, "rates", rates)


@pytest.fixture
def set_burst(monkeypatch: pytest.MonkeyPatch) -> SetBurst:
    """Return a function that sets the burst of all buckets of users, which gain a token in 1,000 s."""

    def apply(burst: int) -> None:
        redis.get_client().flushdb()
        rates = dict.fromkeys(RateLimit, Rate(0.001, burst)) | {RateLimit.REJECTIONS: Rate(1_000, 1_000)}
        monkeypatch.setattr(rate_limits, "rates", rates)

    return apply


@pytest.fixture
def session(lin: Person, chen: Person) -> str:
    return consult_client.create_session(lin, chen)


def count_statuses(responses: list[ApiResponse]) -> dict[int, int]:
    statuses = [response.status for response in responses]
    return {status: statuses.count(status) for status in sorted({*statuses})}


def fill_bucket(person: Person, limit: RateLimit) -> None:
    key = rate_limits.build_key(Owner(person.tenant_id, person.principal), limit)
    redis.get_client().delete(key)
    rate_limits._empty_until.pop(key, None)


def list_doctors(person: Person) -> ApiResponse:
    return get(f"{STAFF_PATH}/doctor_list", person.token, doctor_name="陈", **PAGE)


def count_intents(session_no: str) -> int:
    return int(redis.get_client().zcard(recent_cache.build_keys(session_no)[2]))


@pytest.mark.usefixtures("default_rates")
def test_300_messages_at_once(lin: Person, chen: Person, session: str) -> None:
    responses = [
        consult_client.send_as_patient(lin, chen, f"{number}", secrets.token_hex(8), session_no=session)
        for number in range(300)
    ]
    assert count_statuses(responses) == {200: 120, 429: 180}
    assert len(consult_client.list_as_patient(lin, session, page_size=30).data) == 30
    assert consult_client.send_as_doctor(chen, session, "请慢一点").status == 200, "others are not limited"


@pytest.mark.usefixtures("default_rates")
def test_300_conversations_at_once(lin: Person) -> None:
    responses = [post("/create_conversation", lin.token, {"Idempotency-Key": secrets.token_hex(8)}) for _ in range(300)]
    assert count_statuses(responses) == {200: 100, 429: 200}


@pytest.mark.usefixtures("default_rates")
def test_doctor_may_write_in_80_sessions_at_once(hospital: Hospital, chen: Person) -> None:
    sessions = []
    for number in range(80):
        patient = create_patient(hospital.tenant_id, f"1370000{number:04d}", f"患者{number}")
        sessions.append(consult_client.create_session(patient, chen))
        assert helpdesk_client.create_session(chen, 2, receiveId=str(patient.user_id)).status == 200
    responses = [consult_client.send_as_doctor(chen, session_no, "已看到") for session_no in sessions]
    assert count_statuses(responses) == {200: 80}


def prepare_patient_text(hospital: Hospital, session: str) -> Send:
    return lambda: consult_client.send_as_patient(hospital.lin, hospital.chen, "一", make_key(), session_no=session)


def prepare_doctor_text(hospital: Hospital, session: str) -> Send:
    return lambda: consult_client.send_as_doctor(hospital.chen, session, "一", make_key())


def prepare_patient_picture(hospital: Hospital, session: str) -> Send:
    file_id = consult_client.upload_picture(hospital.lin, session)
    return lambda: consult_client.send_picture_as_patient(hospital.lin, hospital.chen, file_id, make_key())


def prepare_doctor_picture(hospital: Hospital, session: str) -> Send:
    file_id = consult_client.upload_picture(hospital.chen, session)
    return lambda: consult_client.send_picture_as_doctor(hospital.chen, session, file_id)


def prepare_messagecenter_message(hospital: Hospital, _: str) -> Send:
    receive_id = str(hospital.desk.user_id)
    return lambda: helpdesk_client.add_message(hospital.chen, "一", make_key(), receiveId=receive_id)


def prepare_site_message(hospital: Hospital, _: str) -> Send:
    return lambda: inbox_client.send(hospital.chen, "一", hospital.lin, key=make_key())


def make_key() -> str:
    return secrets.token_hex(8)


@pytest.mark.parametrize(
    ("prepare", "sender"),
    [
        (prepare_patient_text, "lin"),
        (prepare_patient_picture, "lin"),
        *((prepare_doctor_text, "chen"), (prepare_doctor_picture, "chen")),
        *((prepare_messagecenter_message, "chen"), (prepare_site_message, "chen")),
    ],
)
def test_all_ways_to_send_share_a_bucket(
    hospital: Hospital, session: str, set_burst: SetBurst, prepare: Callable[[Hospital, str], Send], sender: str
) -> None:
    person: Person = getattr(hospital, sender)

    def by_gateway() -> ApiResponse:
        return gateway_client.send(person, session, "二", make_key())

    send = prepare(hospital, session)
    set_burst(1)
    for first, second in ((send, by_gateway), (by_gateway, send)):
        fill_bucket(person, RateLimit.MESSAGES)
        assert first().status == 200
        response = second()
        assert (response.status, response.code, response.headers["Retry-After"]) == (429, 10012, "1000")


def test_new_conversations_share_a_bucket(lin: Person, chen: Person, set_burst: SetBurst) -> None:
    set_burst(1)
    ways: list[Send] = [
        lambda: post("/create_conversation", lin.token),
        lambda: post(consult_client.INSERT_SESSION, lin.token, member_id=lin.member_id, doctor_id=chen.user_id),
        lambda: helpdesk_client.create_session(lin, 2, receiveId=str(chen.user_id)),
    ]
    for first, *others in (ways, ways[::-1], [ways[1], ways[0], ways[2]]):
        fill_bucket(lin, RateLimit.CONVERSATIONS)
        assert [first().status, *(one().status for one in others)] == [200, 429, 429]


def test_searches_share_a_bucket(hospital: Hospital, set_burst: SetBurst) -> None:
    set_burst(1)
    admin = hospital.admin
    assert get(f"{STAFF_PATH}/patient_list", admin.token, **PAGE).status == 200
    for name in ("patient_list", "doctor_list", "staff_list", "doctor_profiles"):
        assert get(f"{STAFF_PATH}/{name}", admin.token, **PAGE).status == 429
    for name in ("userList", "conversationList"):
        assert helpdesk_client.list_conversations(admin, name).status == 429
    assert list_doctors(hospital.lin).status == 200


def test_oauth_states_are_limited(lin: Person, set_burst: SetBurst) -> None:
    set_burst(1)
    assert [get("/pati_service/wechat/oauth/url", lin.token).status for _ in range(2)] == [404, 429]


def test_messagecenter_has_its_own_envelope(hospital: Hospital, set_burst: SetBurst) -> None:
    send = prepare_messagecenter_message(hospital, "")
    set_burst(1)
    send()
    assert send().body == {"error_code": 10012, "error_msg": "请求太频繁，请稍后再试", "data": None, "count": 0}


def test_limit_holds_in_a_process_that_does_not_know_the_token(
    lin: Person, chen: Person, session: str, set_burst: SetBurst, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_burst(3)
    monkeypatch.setattr(tokens, "_remember", lambda *_, **__: None)
    tokens._owners.clear()
    responses = [
        *(consult_client.send_as_patient(lin, chen, f"{number}", session_no=session) for number in range(5)),
        *(list_doctors(lin) for _ in range(5)),
    ]
    assert [one.status for one in responses] == [200] * 3 + [429] * 2 + [200] * 3 + [429] * 2
    assert count_intents(session) == 0


def test_rejected_message_leaves_no_write_intent(lin: Person, chen: Person, session: str, set_burst: SetBurst) -> None:
    set_burst(1)
    statuses = [consult_client.send_as_patient(lin, chen, f"{n}", session_no=session).status for n in range(3)]
    assert (statuses, count_intents(session)) == ([200, 429, 429], 0)


def test_only_who_is_authenticated_takes_tokens(
    hospital: Hospital, lin: Person, chen: Person, session: str, set_burst: SetBurst
) -> None:
    """Otherwise a stranger with an old token of a user could keep that user from writing."""
    second = lin.with_token(tokens.issue(lin.tenant_id, lin.principal, Role.PATIENT))
    for one in (lin, second):
        assert list_doctors(one).status == 200
    set_burst(3)
    tokens.revoke_by_hash(tokens.hash_token(second.token))
    for _ in range(10):
        assert consult_client.send_as_patient(second, chen, "一", session_no=session).status == 401
        assert consult_client.send_as_doctor(lin, session, "一").status == 403
        headers = {"tenantId": str(hospital.tenant_id + 1)}
        assert post("/send_msg", lin.token, headers, conversation_id=session, content="一").status == 403
    statuses = [consult_client.send_as_patient(lin, chen, f"{n}", session_no=session).status for n in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_token_is_checked_although_the_bucket_is_known_to_be_empty(
    lin: Person, chen: Person, session: str, set_burst: SetBurst
) -> None:
    set_burst(1)
    statuses = [consult_client.send_as_patient(lin, chen, f"{n}", session_no=session).status for n in range(3)]
    tokens.revoke_by_hash(tokens.hash_token(lin.token))
    statuses.append(consult_client.send_as_patient(lin, chen, "一", session_no=session).status)
    assert statuses == [200, 429, 429, 401]


def test_invalid_request_takes_no_token_and_a_failed_one_does(lin: Person, set_burst: SetBurst) -> None:
    set_burst(3)
    for _ in range(10):
        assert post("/send_msg", lin.token, conversation_id="nowhere", content="").status == 400
    statuses = [post("/send_msg", lin.token, conversation_id="nowhere", content="一").status for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]


def test_hospitals_own_system_is_not_limited(hospital: Hospital, lin: Person, set_burst: SetBurst) -> None:
    set_burst(1)
    hospital.allow_keys_for_staff()
    acting = {"X-Internal-Key": hospital.internal_key, "newUserId": str(hospital.chen.user_id)}
    receive_id = str(hospital.desk.user_id)
    for number in range(3):
        assert inbox_client.send_as_system(hospital, f"{number}", lin, key=make_key()).status == 200
        for headers in (acting, {**acting, "token": hospital.chen.token}):
            response = post(
                "/message/messageAdd",
                headers={**headers, "Idempotency-Key": make_key()},
                content="一",
                receiveId=receive_id,
                **MESSAGE_FIELDS,
            )
            assert response.status == 200


def test_nothing_is_limited_without_redis(
    lin: Person, chen: Person, session: str, set_burst: SetBurst, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_burst(1)
    consult_client.send_as_patient(lin, chen, "一", session_no=session)
    monkeypatch.setattr(redis, "_call_driver", raise_redis_unavailable)
    for number in range(3):
        assert consult_client.send_as_patient(lin, chen, f"{number}", session_no=session).status == 200
        assert list_doctors(lin).status == 200


def test_limited_endpoints_require_a_token_and_document_the_error() -> None:
    limited = [one.endpoint for one in endpoints.iter_endpoints() if one.endpoint.limit]
    assert len(limited) >= 16
    assert [one.path for one in limited if Role.PUBLIC in one.callers or errors.RATE_LIMITED not in one.errors] == []
