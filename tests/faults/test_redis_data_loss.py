"""Load while Redis loses data or is unreachable: no message is lost, duplicated, reordered or hidden."""

import random

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import reading_store, recent_cache
from devstack.services.control import Control
from tests.support.conversation_log import SendMessage, build_redis_keys, read_newest
from tests.support.factories import Hospital, Person
from tests.support.faults import final_state, redis_snapshot
from tests.support.faults.worker_pool import WorkerPool


def test_redis_data_loss_during_load(worker_pool: WorkerPool, control: Control, hospital: Hospital) -> None:
    with worker_pool.run_load(hospital, withdraw_every=7, delay=0.03):
        worker_pool.wait_for_more(60)
        copy = redis_snapshot.copy_data(control.redis)
        flush(worker_pool)
        delete_random_keys(worker_pool, random.Random(3))
        redis_snapshot.restore_data(control.redis, copy)
        worker_pool.wait_for_more(60)
        control.redis.kill()
        worker_pool.wait_for_more(20)
        control.redis.start(empty=True)
        worker_pool.wait_for_more(60)
        cut_proxied_processes(worker_pool)
    assert worker_pool.find_problems() == []
    for side in worker_pool.participants:
        final_state.age_cache(side.session_no)
    assert final_state.find_inconsistencies(worker_pool.participants) == []


def test_refill_read_before_restart_from_older_copy_has_no_effect(
    control: Control, conversation: str, lin: Person, send_message: SendMessage
) -> None:
    """The copy has the same version that the reader saw."""
    send_message("一")
    redis.get_client().delete(build_redis_keys(conversation)[0])
    response = redis.run_script(*recent_cache.build_read_call(conversation, 100, lin.principal))
    seen = recent_cache.parse_view(conversation, lin.principal, response)
    found = reading_store.fetch_snapshot(mysql.autocommit, conversation, lin.principal, 200)
    copy = redis_snapshot.copy_data(control.redis)
    send_message("二")
    redis_snapshot.restore_data(control.redis, copy)
    redis.run_script(*recent_cache.build_refill_call(conversation, seen, found))
    assert read_newest(conversation, lin) == ["二", "一"]


def flush(worker_pool: WorkerPool) -> None:
    for _ in range(4):
        redis.get_client().flushall()
        worker_pool.wait_for_more(25)


def delete_random_keys(worker_pool: WorkerPool, random_source: random.Random) -> None:
    for _ in range(20):
        keys = sorted(redis.get_client().keys("*"))
        for key in random_source.sample(keys, len(keys) // 2):
            redis.get_client().delete(key)
        worker_pool.wait_for_more(5)


def cut_proxied_processes(worker_pool: WorkerPool) -> None:
    for cut in (worker_pool.to_redis.reset_connections, worker_pool.to_redis.swallow_packets):
        cut()
        worker_pool.wait_for_more(40)
        worker_pool.to_redis.restore()
        worker_pool.wait_for_more(60)
