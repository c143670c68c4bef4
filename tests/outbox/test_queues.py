"""What calls another company has a lane of its own: where it hangs, nothing of ours waits behind it."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from app import run_outbox, run_outbox_external
from chalicelib.adapters import mysql, sms
from chalicelib.consult import unread_reminder
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from tests.files.test_sweep import said
from tests.gateway.conftest import server_url, websocket_url
from tests.support import notify_client
from tests.support.accounts_client import request_code
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
from tests.support.gateway_client import ExternalUser, create_conversation_of, create_external_user, send_all
from tests.support.websocket_client import open_websocket

__all__ = ["server_url", "websocket_url"]
MANY = 30


class Provider:
    """Of SMS, one that does not answer."""

    def __init__(self) -> None:
        self.asked, self.answers, self.answered = Event(), Event(), Event()

    def send(self, _phone: str, _code: str) -> None:
        self.asked.set()
        assert self.answers.wait(20), "the test has not ended"
        self.answered.set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    mysql.autocommit.execute("DELETE FROM outbox")
    provider = Provider()
    with monkeypatch.context() as patch:
        patch.setitem(sms.PROVIDERS, "file", provider.send)
        yield provider
        provider.answers.set()
        wait_until(lambda: not provider.asked.is_set() or provider.answered.is_set())


@pytest.fixture
def crowd(hospital: Hospital) -> list[ExternalUser]:
    return [create_external_user(hospital, f"of-many-{number}") for number in range(MANY)]


def test_a_page_is_welcomed_while_the_sms_provider_hangs(
    hospital: Hospital, crowd: list[ExternalUser], websocket_url: str, hanging: Provider
) -> None:
    assert request_code(hospital).status == 200
    assert hanging.asked.wait(10)
    with open_websocket(websocket_url, crowd[0].token) as page:
        assert page.receive_backlog()[0] == []
    assert not hanging.answered.is_set()


def test_many_are_told_while_the_sms_provider_hangs(
    hospital: Hospital, crowd: list[ExternalUser], hanging: Provider
) -> None:
    conversation = create_conversation_of(hospital, *crowd)
    notify_client.poll_messages(crowd[-1].token)
    assert request_code(hospital).status == 200
    assert hanging.asked.wait(10)
    send_all(crowd[0], conversation, "大家好")
    assert notify_client.list_contents(notify_client.poll_messages(crowd[-1].token)[0]) == ["大家好"]
    assert not hanging.answered.is_set()


def test_each_look_does_its_own_lane(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.autocommit.execute("DELETE FROM outbox")
    monkeypatch.setattr(outbox, "wake_worker", lambda **_: None)
    request_code(hospital)
    mysql.run_transaction(
        lambda tx: outbox.enqueue(tx, hospital.tenant_id, Job.SEND_BACKLOG, {"connection": "nobody", "after": ""})
    )
    assert waiting() == ["send_sms_code", "send_backlog"]
    run_outbox(said(), None)
    assert waiting() == ["send_sms_code"]
    run_outbox_external(said(), None)
    assert waiting() == []


def test_a_code_does_not_wait_behind_a_slow_wechat(
    hospital: Hospital, hanging: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In thirty seconds nobody wants it any more, and the messages of an evening take minutes."""
    monkeypatch.setattr(outbox, "wake_worker", lambda **_: None)
    hanging.answers.set()
    done: list[bool] = []

    def tell(_tenant_id: int, _payload: Any) -> None:
        """It takes its time: meanwhile somebody asks for a code."""
        if not done:
            request_code(hospital)
        done.append(hanging.answered.is_set())

    monkeypatch.setattr(unread_reminder, "notify_unread_reply", tell)
    for _ in range(3):
        mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, Job.WECHAT_UNREAD_REPLY, {}))
    assert outbox.run_due_jobs(Queue.EXTERNAL) == 4
    assert done == [False, True, True]


def waiting() -> list[str]:
    return [row["job"] for row in mysql.autocommit.fetch_all("SELECT job FROM outbox ORDER BY outbox_id")]
