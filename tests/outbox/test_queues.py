"""Jobs that call third parties have a queue of their own: while one hangs, no other job waits for it."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from app import load_external_handler, load_internal_handler, run_outbox, run_outbox_external
from chalicelib.adapters import mysql, sms
from chalicelib.consult import unread_reminder
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import EXTERNAL_JOBS, URGENT_JOBS, Job, Queue
from tests.gateway.conftest import server_url, websocket_url
from tests.support import notify_client
from tests.support.accounts_client import request_code
from tests.support.client import build_schedule_event
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import ExternalUser, create_conversation_of, create_external_user, send_all
from tests.support.websocket_client import open_websocket

__all__ = ["server_url", "websocket_url"]
LARGE_CONVERSATION_SIZE = 30


class HangingProvider:
    """An SMS provider that does not respond before the test releases it."""

    def __init__(self) -> None:
        self.called, self.released, self.responded = Event(), Event(), Event()

    def send(self, _phone: str, _code: str) -> None:
        self.called.set()
        assert self.released.wait(20), "the test has not ended"
        self.responded.set()


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[HangingProvider]:
    mysql.autocommit.execute("DELETE FROM outbox")
    hanging = HangingProvider()
    with monkeypatch.context() as patch:
        patch.setitem(sms.PROVIDERS, "file", hanging.send)
        yield hanging
        hanging.released.set()
        wait_until(lambda: not hanging.called.is_set() or hanging.responded.is_set())


@pytest.fixture
def participants(hospital: Hospital) -> list[ExternalUser]:
    """Enough users for a large conversation."""
    return [create_external_user(hospital, f"of-many-{number}") for number in range(LARGE_CONVERSATION_SIZE)]


def list_job_names() -> list[str]:
    return [row["job"] for row in mysql.autocommit.fetch_all("SELECT job FROM outbox ORDER BY outbox_id")]


def test_websocket_receives_backlog_while_sms_provider_hangs(
    hospital: Hospital, participants: list[ExternalUser], websocket_url: str, provider: HangingProvider
) -> None:
    assert request_code(hospital).status == 200
    assert provider.called.wait(10)
    with open_websocket(websocket_url, participants[0].token) as page:
        assert page.receive_backlog()[0] == []
    assert not provider.responded.is_set()


def test_large_conversation_is_notified_while_sms_provider_hangs(
    hospital: Hospital, participants: list[ExternalUser], provider: HangingProvider
) -> None:
    conversation = create_conversation_of(hospital, *participants)
    notify_client.poll_messages(participants[-1].token)
    assert request_code(hospital).status == 200
    assert provider.called.wait(10)
    send_all(participants[0], conversation, "大家好")
    received, *_ = notify_client.poll_messages(participants[-1].token)
    assert notify_client.list_contents(received) == ["大家好"]
    assert not provider.responded.is_set()


def test_every_job_has_a_handler_in_its_queue() -> None:
    for job in Job:
        right, wrong = load_internal_handler, load_external_handler
        if job in EXTERNAL_JOBS:
            right, wrong = wrong, right
        assert callable(right(job))
        with pytest.raises(LookupError):
            wrong(job)
    assert URGENT_JOBS <= EXTERNAL_JOBS


def test_each_worker_runs_its_own_queue(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    assert request_code(hospital).status == 200
    payload = {"connection": "none", "after": ""}
    mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, Job.SEND_BACKLOG, payload))
    assert list_job_names() == ["send_sms_code", "send_backlog"]
    run_outbox(build_schedule_event(), None)
    assert list_job_names() == ["send_sms_code"]
    run_outbox_external(build_schedule_event(), None)
    assert list_job_names() == []


def test_sms_code_takes_precedence_over_wechat_messages(
    hospital: Hospital, provider: HangingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code is useless after half a minute, and the WeChat messages of an evening take minutes."""
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    provider.released.set()
    code_was_sent: list[bool] = []

    def notify_slowly(_tenant_id: int, _payload: Any) -> None:
        """Let a patient request a code while the first WeChat message is sent."""
        if not code_was_sent:
            assert request_code(hospital).status == 200
        code_was_sent.append(provider.responded.is_set())

    monkeypatch.setattr(unread_reminder, "notify_unread_reply", notify_slowly)
    for _ in range(3):
        mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, Job.WECHAT_UNREAD_REPLY, {}))
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 4
    assert code_was_sent == [False, True, True]
