"""A request that waits ends when its token is revoked, and delivers nothing that was sent afterwards."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.identity import session_changes, tokens
from chalicelib.messaging import delivery
from chalicelib.notify import http
from chalicelib.people.roles import Role
from chalicelib.settings import settings
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person
from tests.support.gateway_client import AnyUser, ExternalUser, create_conversation, create_external_user, join, send
from tests.support.notify_client import conversation, poll, poll_messages

__all__ = ["conversation"]

LOGOUT_PATH = "/pati_service/patient_service/logout"


def revoke(user: AnyUser) -> None:
    tokens.revoke_by_hash(tokens.hash_token(user.token))


def revoke_all(user: AnyUser) -> None:
    mysql.run_transaction(lambda tx: tokens.revoke_all(tx, user.tenant_id, user.principal))
    tokens.invalidate_cached_sessions(user.tenant_id, user.principal)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let polls wait for 20 s, which only an event or an announcement ends; the fixture is set when one waits."""
    waits, wait = threading.Event(), redis.wait_for_streams

    def report_and_wait(*arguments: Any) -> None:
        waits.set()
        wait(*arguments)

    monkeypatch.setattr(http, "settings", replace(settings, long_poll_seconds=20))
    monkeypatch.setattr(delivery, "WAIT_SLICE_SECONDS", 20.0)
    monkeypatch.setattr(redis, "wait_for_streams", report_and_wait)
    return waits


@contextmanager
def waiting_poll(waits: threading.Event, token: str) -> Iterator[Future[ApiResponse]]:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(poll, token)
        assert waits.wait(10)
        yield waiting


@pytest.mark.parametrize("end_session", [revoke, revoke_all])
def test_waiting_poll_ends_when_its_token_is_revoked(
    han: ExternalUser, conversation: str, waits: threading.Event, end_session: Callable[[AnyUser], None]
) -> None:
    assert conversation
    with waiting_poll(waits, han.token) as waiting:
        end_session(han)
        response = waiting.result(timeout=10)
    assert (response.status, response.code) == (401, 10101)


def test_waiting_poll_ends_when_its_user_signs_out(lin: Person, waits: threading.Event) -> None:
    poll_messages(lin.token)
    with waiting_poll(waits, lin.token) as waiting:
        assert post(LOGOUT_PATH, lin.token).status == 200
        assert waiting.result(timeout=10).status == 401


def test_waiting_poll_ends_when_its_session_is_limited(lin: Person, waits: threading.Event) -> None:
    poll_messages(lin.token)
    with waiting_poll(waits, lin.token) as waiting:
        mysql.autocommit.execute(
            "UPDATE tokens SET is_limited = 1 WHERE tenant_id = %(tenant_id)s AND principal = %(principal)s",
            tenant_id=lin.tenant_id,
            principal=lin.principal.encode(),
        )
        tokens.invalidate_cached_sessions(lin.tenant_id, lin.principal)
        response = waiting.result(timeout=10)
    assert (response.status, response.code) == (403, 10104)


def test_other_session_of_the_user_keeps_waiting(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, waits: threading.Event
) -> None:
    tablet = create_external_user(hospital, han.session)
    poll_messages(tablet.token)
    with waiting_poll(waits, tablet.token) as waiting:
        waits.clear()
        revoke(han)
        assert waits.wait(10), "it has checked its token and waits again"
        send(guo, conversation, "在吗")
        assert waiting.result(timeout=10).data["Content"] == "在吗"


def test_change_of_role_does_not_end_a_poll(hospital: Hospital, chen: Person, waits: threading.Event) -> None:
    conversation = create_conversation(hospital.lin)
    join(chen, conversation)
    poll_messages(chen.token)
    with waiting_poll(waits, chen.token) as waiting:
        mysql.autocommit.execute(
            "UPDATE staff SET role = %(role)s WHERE tenant_id = %(tenant_id)s AND user_id = %(user_id)s",
            role=Role.SERVICE_STAFF,
            tenant_id=chen.tenant_id,
            user_id=chen.user_id,
        )
        tokens.invalidate_cached_sessions(chen.tenant_id, chen.principal)
        send(hospital.lin, conversation, "在吗")
        assert waiting.result(timeout=10).data["Content"] == "在吗"


@pytest.mark.parametrize("query", [{}, {"limit": 10}, {"limit": 10, "protoc": "sse"}])
def test_sign_out_between_authentication_and_the_first_read(
    guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch, query: dict[str, Any]
) -> None:
    wait_for_events = delivery.wait_for_events

    def sign_out_first(*arguments: Any) -> Any:
        revoke(han)
        send(guo, conversation, "在吗")
        return wait_for_events(*arguments)

    monkeypatch.setattr(delivery, "wait_for_events", sign_out_first)
    assert poll(han.token, **query).status == 401


def test_sign_out_before_is_remembered_as_long_as_a_request_may_wait() -> None:
    assert session_changes.TTL_SECONDS > 29 + 60


def test_without_changes_a_delivery_checks_no_token_again(
    guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(guo, conversation, "在吗")
    monkeypatch.setattr(delivery, "_require_valid_token", lambda _: pytest.fail("another round trip"))
    assert poll(han.token).data["Content"] == "在吗"
