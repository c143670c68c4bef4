"""Everything at once: many listen in every way and lose their lines, Redis is flushed, what serves them is killed."""

from pathlib import Path

from chalicelib.adapters import redis
from tests.support.factories import Hospital
from tests.support.soak import server_process, soak_run
from tests.support.soak.soak_run import SoakRun


def test_every_listener_receives_everything_once_despite_faults(hospital: Hospital, tmp_path: Path) -> None:
    people = weathered(hospital, tmp_path, listeners=200, senders=20, each=100)
    assert people.find_problems() == [], people.format_figures()
    assert [one for one in people.listeners if not one.gap_count] == [], "a flush is told to everybody"


def weathered(hospital: Hospital, logs: Path, listeners: int, senders: int, each: int) -> SoakRun:
    """What is said goes through one process and is heard through another, as through two Lambdas."""
    with (
        server_process.run_server(logs / "hear.log") as to_hear,
        server_process.run_server(logs / "speak.log", to_hear) as to_speak,
    ):
        people = soak_run.create_soak_run(hospital, to_hear, to_speak, listeners, senders, each)
        people.start()
        people.wait_until_sent(0.3)
        redis.get_client().flushall()
        people.wait_until_sent(0.5)
        to_hear.restart()
        people.wait_until_sent(0.7)
        to_speak.restart()
        people.finish()
    return people
