"""What calls another company has a lane of its own: where it hangs, nothing of ours waits behind it."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from app import run_outbox, run_outbox_outside
from chalicelib.adapters import mysql, sms
from chalicelib.consult import unread_reminder
from chalicelib.outbox import outbox
from tests.accounts.desk import ask_code
from tests.faults.aftermath import wait_until
from tests.files.test_sweep import said
from tests.gateway import hearing
from tests.gateway.conftest import local_url, url
from tests.gateway.socket_client import listening
from tests.gateway.talk import Visitor, seated, sent, visitor
from tests.people import Hospital

__all__ = ["local_url", "url"]
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
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox"))
    provider = Provider()
    with monkeypatch.context() as patch:
        patch.setitem(sms.PROVIDERS, "file", provider.send)
        yield provider
        provider.answers.set()
        wait_until(lambda: not provider.asked.is_set() or provider.answered.is_set())


@pytest.fixture
def crowd(hospital: Hospital) -> list[Visitor]:
    return [visitor(hospital, f"of-many-{number}") for number in range(MANY)]


def test_a_page_is_welcomed_while_the_sms_provider_hangs(
    hospital: Hospital, crowd: list[Visitor], url: str, hanging: Provider
) -> None:
    assert ask_code(hospital).status == 200
    assert hanging.asked.wait(10)
    with listening(url, crowd[0].token) as page:
        assert page.ready()[0] == []
    assert not hanging.answered.is_set()


def test_many_are_told_while_the_sms_provider_hangs(
    hospital: Hospital, crowd: list[Visitor], hanging: Provider
) -> None:
    conversation = seated(hospital, *crowd)
    hearing.heard(crowd[-1].token)
    assert ask_code(hospital).status == 200
    assert hanging.asked.wait(10)
    sent(crowd[0], conversation, "大家好")
    assert hearing.contents(hearing.heard(crowd[-1].token)[0]) == ["大家好"]
    assert not hanging.answered.is_set()


def test_each_look_does_its_own_lane(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.run_autocommit(lambda tx: tx.execute("DELETE FROM outbox"))
    monkeypatch.setattr(outbox, "wake_worker", lambda **_: None)
    ask_code(hospital)
    mysql.run_transaction(
        lambda tx: outbox.enqueue(tx, hospital.tenant_id, "backlog", {"connection": "nobody", "after": ""})
    )
    assert waiting() == ["code", "backlog"]
    run_outbox(said(), None)
    assert waiting() == ["code"]
    run_outbox_outside(said(), None)
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
            ask_code(hospital)
        done.append(hanging.answered.is_set())

    monkeypatch.setattr(unread_reminder, "notify_unread_reply", tell)
    for _ in range(3):
        mysql.run_transaction(lambda tx: outbox.enqueue(tx, hospital.tenant_id, "wechat_answer", {}))
    assert outbox.run_due_jobs(outside=True) == 4
    assert done == [False, True, True]


def waiting() -> list[str]:
    return [
        row["job"] for row in mysql.run_autocommit(lambda tx: tx.fetch_all("SELECT job FROM outbox ORDER BY outbox_id"))
    ]
