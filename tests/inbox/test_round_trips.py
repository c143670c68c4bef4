"""What the inbox costs on the network: a list one round trip to each, a send the same for a hundred as for one."""

from functools import partial

import pytest

from chalicelib.outbox import outbox
from tests.support import factories, inbox_client
from tests.support.factories import Hospital
from tests.test_round_trips import Trips, trips

__all__ = ["trips"]


def test_the_inbox(trips: Trips, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    lin, desk = hospital.lin, hospital.desk
    for number in range(30):
        inbox_client.send(desk, str(number), lin)
    for look in (
        inbox_client.list_texts,
        inbox_client.get_unread_count,
        lambda who: inbox_client.list_texts(who, status="all", page_size=2),
    ):
        look(lin)
        assert trips.of(partial(look, lin)) == (1, 1)
    msg_id = inbox_client.list_messages(lin)[0]["msg_id"]
    assert trips.of(lambda: inbox_client.set_read(lin, msg_id)) == (1, 1)
    assert trips.of(lambda: inbox_client.set_all_read(lin), before=lambda: inbox_client.send(desk, "又", lin)) == (2, 1)
    # BEGIN, who is known, the text, its receivers, the promise, COMMIT: for many as for one.
    crowd = [factories.create_patient(lin.tenant_id, f"1370000{number:04d}", "患者") for number in range(100)]
    for whom in ([lin], crowd):
        assert trips.of(partial(inbox_client.send, desk, "明日停水", *whom)) == (6, 1)
