"""A withdrawn text is never shown again, however often the cache is lost and refilled meanwhile."""

from threading import Event, Thread

from chalicelib.adapters import redis
from tests.support.conversation_log import build_redis_keys
from tests.support.factories import Hospital
from tests.support.faults import final_state
from tests.support.faults.worker_pool import WorkerPool


def test_withdrawals_race_refills_and_resends(worker_pool: WorkerPool, hospital: Hospital) -> None:
    finished = Event()

    def delete_cache_states() -> None:
        while not finished.wait(0.05):
            for side in worker_pool.participants[::2]:
                redis.get_client().delete(build_redis_keys(side.session_no)[0])

    with worker_pool.run_load(hospital, pace=0.1, withdraw_every=1, delay=0.03):
        deleter = Thread(target=delete_cache_states)
        deleter.start()
        worker_pool.wait_for_more(150, "withdraw")
        finished.set()
        deleter.join()
    assert worker_pool.find_problems() == []
    assert final_state.find_inconsistencies(worker_pool.participants) == []
