"""Eight writers and eight readers go on while Redis comes and goes: nothing is lost, doubled, reordered or hidden."""

import random

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import reading_store, recent_cache
from devstack.control import Control
from tests.faults import aftermath, servers
from tests.faults.crew import Crew
from tests.messaging.conftest import Say, keys, read
from tests.people import Hospital, Person


def test_redis_is_flushed_killed_emptied_set_back_picked_at_and_cut_off(
    crew: Crew, control: Control, hospital: Hospital
) -> None:
    with crew.storm(hospital, withdraw_every=7, delay=0.03):
        crew.after(60)
        copy = servers.copied(control.redis)
        flush(crew)
        pick_at_keys(crew, random.Random(3))
        servers.restore(control.redis, copy)
        crew.after(60)
        control.redis.kill()
        crew.after(20)
        control.redis.start(empty=True)
        crew.after(60)
        cut_some_off(crew)
    assert crew.complaints() == []
    for side in crew.sides:
        aftermath.ten_seconds_later(side.session_no)
    assert aftermath.wrong_at_rest(crew.sides) == []


def test_a_refill_that_looked_before_a_restart_from_an_older_copy_changes_nothing(
    control: Control, conversation: str, lin: Person, say: Say
) -> None:
    """The copy holds the very version that the reader saw."""
    say("一")
    redis.get_client().delete(keys(conversation)[0])
    answer = redis.run_script(*recent_cache.build_read_call(conversation, 100, lin.principal, "nonce"))
    seen = recent_cache.parse_view(conversation, lin.principal, answer)
    found = mysql.run_autocommit(lambda tx: reading_store.fetch_snapshot(tx, conversation, lin.principal, 200))
    copy = servers.copied(control.redis)
    say("二")
    servers.restore(control.redis, copy)
    redis.run_script(*recent_cache.build_refill_call(conversation, seen, found))
    assert read(conversation, lin) == ["二", "一"]


def flush(crew: Crew) -> None:
    for _ in range(4):
        redis.get_client().flushall()
        crew.after(25)


def pick_at_keys(crew: Crew, chance: random.Random) -> None:
    for _ in range(20):
        keys = sorted(redis.get_client().keys("*"))
        for key in chance.sample(keys, len(keys) // 2):
            redis.get_client().delete(key)
        crew.after(5)


def cut_some_off(crew: Crew) -> None:
    for cut in (crew.to_redis.cut, crew.to_redis.deafen):
        cut()
        crew.after(40)
        crew.to_redis.mend()
        crew.after(60)
