"""What the inbox costs on the network: a list one round trip to each, a send the same for a hundred as for one."""

from functools import partial

import pytest

from chalicelib.outbox import outbox
from tests import people
from tests.inbox import box
from tests.people import Hospital
from tests.test_round_trips import Trips, trips

__all__ = ["trips"]


def test_the_inbox(trips: Trips, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)
    lin, desk = hospital.lin, hospital.desk
    for number in range(30):
        box.send(desk, str(number), lin)
    for look in (box.texts, box.unread_count, lambda who: box.texts(who, status="all", page_size=2)):
        look(lin)
        assert trips.of(partial(look, lin)) == (1, 1)
    msg_id = box.listed(lin)[0]["msg_id"]
    assert trips.of(lambda: box.set_read(lin, msg_id)) == (1, 1)
    assert trips.of(lambda: box.set_all_read(lin), before=lambda: box.send(desk, "又", lin)) == (2, 1)
    # BEGIN, who is known, the text, its receivers, the promise, COMMIT: for many as for one.
    crowd = [people.patient(lin.tenant_id, f"1370000{number:04d}", "患者") for number in range(100)]
    for whom in ([lin], crowd):
        assert trips.of(partial(box.send, desk, "明日停水", *whom)) == (6, 1)
