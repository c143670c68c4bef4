"""The order of conversations and persons that were active at the same moment."""

import pytest

from chalicelib import clock
from tests.support import consult_client
from tests.support.factories import Person
from tests.support.helpdesk_client import list_conversations, send_all

pytestmark = pytest.mark.store


@pytest.fixture(autouse=True)
def stop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)


def test_newer_conversation_is_listed_first_and_on_the_first_page(lin: Person, wang: Person, chen: Person) -> None:
    for patient in (lin, wang):
        send_all(patient, chen, "您好")
    assert [one["name"] for one in list_conversations(chen).data] == ["王强", "林小雨"]
    pages = [list_conversations(chen, page=page, size=1).data for page in (1, 2)]
    assert [one["name"] for [one] in pages] == ["王强", "林小雨"]


def test_person_is_listed_with_the_newer_conversation(lin: Person, chen: Person) -> None:
    consult_client.send_as_patient(lin, chen, "您好")
    send_all(lin, chen, "在吗")
    conversations = list_conversations(chen).data
    assert [one["lastMessage"] for one in conversations] == ["在吗", "您好"]
    [person] = list_conversations(chen, "userList").data
    assert person["sessionId"] == conversations[0]["sessionId"]
