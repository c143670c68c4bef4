"""Round trips of the inbox: one for a list, and as many for a message to a hundred users as to one."""

import secrets
from functools import partial

import pytest

from chalicelib.outbox import outbox
from tests.support import factories, inbox_client
from tests.support.factories import Hospital, Person
from tests.support.round_trips import RoundTrips, trips

__all__ = ["trips"]


def test_round_trips_of_the_inbox(trips: RoundTrips, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    lin, desk = hospital.lin, hospital.desk
    for number in range(30):
        inbox_client.send(desk, str(number), lin)
    for request in (
        inbox_client.list_texts,
        inbox_client.get_unread_count,
        lambda who: inbox_client.list_texts(who, status="all", page_size=2),
    ):
        request(lin)
        assert trips.count(partial(request, lin)) == (1, 1)
    msg_id = inbox_client.list_messages(lin)[0]["msg_id"]
    assert trips.count(lambda: inbox_client.set_read(lin, msg_id)) == (1, 1)
    assert trips.count(
        lambda: inbox_client.set_all_read(lin), before=lambda: inbox_client.send(desk, secrets.token_hex(4), lin)
    ) == (
        2,
        1,
    )
    # BEGIN, message, deliveries, active recipients, outbox job, COMMIT: independent of the number of recipients.
    patients = [factories.create_patient(lin.tenant_id, f"1370000{number:04d}", "患者") for number in range(100)]
    for recipients in ([lin], patients):
        send = partial(send_with_new_key, desk, recipients)
        assert trips.count(send) == (6, 1)


def send_with_new_key(sender: Person, recipients: list[Person]) -> None:
    inbox_client.send(sender, "明日停水", *recipients, key=secrets.token_hex(8))
