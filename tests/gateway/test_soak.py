"""Everything at once: many listen in every way and lose their lines, Redis is flushed, what serves them is killed."""

from pathlib import Path

from chalicelib.adapters import redis
from tests.gateway.soak import gateway, storm
from tests.gateway.soak.storm import Storm
from tests.people import Hospital


def test_everybody_hears_everything_once_whatever_happens(hospital: Hospital, tmp_path: Path) -> None:
    people = weathered(hospital, tmp_path, listeners=200, senders=20, each=100)
    assert people.complaints() == [], people.figures()
    assert [one for one in people.listeners if not one.gaps] == [], "a flush is told to everybody"


def weathered(hospital: Hospital, logs: Path, listeners: int, senders: int, each: int) -> Storm:
    """What is said goes through one process and is heard through another, as through two Lambdas."""
    with gateway.serving(logs / "hear.log") as to_hear, gateway.serving(logs / "speak.log", to_hear) as to_speak:
        people = storm.made(hospital, to_hear, to_speak, listeners, senders, each)
        people.begin()
        people.after(0.3)
        redis.get_client().flushall()
        people.after(0.5)
        to_hear.restart()
        people.after(0.7)
        to_speak.restart()
        people.end()
    return people
