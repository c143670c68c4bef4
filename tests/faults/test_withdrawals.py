"""What was withdrawn is never seen again, however often the tail is lost and refilled at that very moment."""

from threading import Event, Thread

from chalicelib.adapters import redis
from tests.faults import aftermath
from tests.faults.crew import Crew
from tests.messaging.conftest import keys
from tests.people import Hospital


def test_withdrawals_race_refills_and_resends(crew: Crew, hospital: Hospital) -> None:
    over = Event()

    def lose_tails() -> None:
        while not over.wait(0.05):
            for side in crew.sides[::2]:
                redis.get_client().delete(keys(side.session_no)[0])

    with crew.storm(hospital, pace=0.1, withdraw_every=1, delay=0.03):
        loser = Thread(target=lose_tails)
        loser.start()
        crew.after(150, "withdraw")
        over.set()
        loser.join()
    assert crew.complaints() == []
    assert aftermath.wrong_at_rest(crew.sides) == []
