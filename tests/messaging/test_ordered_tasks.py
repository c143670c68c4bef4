"""Background tasks: order inside a key, independence of keys, limits, failures."""

from collections import defaultdict
from functools import partial
from threading import Event, Thread, get_ident

import pytest

from chalicelib import logs
from chalicelib.messaging import ordered_tasks
from chalicelib.messaging.ordered_tasks import OrderedTasks

MANY = 1_000


def test_tasks_of_one_key_run_in_order_and_one_at_a_time() -> None:
    tasks, done, running = OrderedTasks(4), defaultdict[str, list[int]](list), set[str]()
    overlaps = []

    def run(key: str, number: int) -> None:
        overlaps.extend([key] if key in running else [])
        running.add(key)
        done[key].append(number)
        running.remove(key)

    for number in range(300):
        for key in "abcde":
            assert tasks.add(key, partial(run, key, number), MANY)
    assert tasks.wait_until_done(10)
    assert done == {key: list(range(300)) for key in "abcde"}
    assert overlaps == []


def test_task_that_hangs_delays_only_its_own_key() -> None:
    tasks, go, first, second = OrderedTasks(3), Event(), Event(), Event()
    for key in ("hangs", "hangs too"):
        tasks.add(key, partial(go.wait, 10), MANY)
    tasks.add("hangs", first.set, MANY)
    tasks.add("other", second.set, MANY)
    assert second.wait(10)
    assert not first.is_set()
    assert not tasks.wait_until_done(0)
    go.set()
    assert first.wait(10)
    assert tasks.wait_until_done(10)


def test_number_of_threads_is_limited_and_idle_ones_are_used_again() -> None:
    tasks, threads = OrderedTasks(2), set[int]()
    for key in range(100):
        tasks.add(str(key), lambda: threads.add(get_ident()), MANY)
    assert tasks.wait_until_done(10)
    assert 1 <= len(threads) <= 2
    one_thread, threads = OrderedTasks(5), set()
    for key in range(10):
        one_thread.add(str(key), lambda: threads.add(get_ident()), MANY)
        assert one_thread.wait_until_done(10)
    assert len(threads) <= 2, "the thread may still be on its way to wait for the next task"


def test_task_above_the_limit_is_not_added_and_waiting_ones_can_be_replaced() -> None:
    tasks, go, started, done = OrderedTasks(2), Event(), Event(), list[str]()

    def run_first() -> None:
        started.set()
        go.wait(10)
        done.append("first")

    tasks.add("a", run_first, MANY)
    assert started.wait(10)
    assert [tasks.add("a", partial(done.append, f"{number}"), 2) for number in range(3)] == [True, True, False]
    assert tasks.add("b", partial(done.append, "b"), 2), "each key has a limit of its own"
    tasks.replace("a", partial(done.append, "last"))
    tasks.replace("new", partial(done.append, "new"))
    go.set()
    assert tasks.wait_until_done(10)
    assert [one for one in done if one not in ("b", "new")] == ["first", "last"]
    assert {"b", "new"} <= set(done)


def test_failed_task_is_logged_and_the_next_one_runs_in_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks, contexts, logged = OrderedTasks(1), list[object](), list[str]()
    monkeypatch.setattr(ordered_tasks.logger, "exception", logged.append)

    def fail() -> None:
        raise ValueError

    logs.start_context(request_id="one")
    tasks.add("a", fail, MANY)
    tasks.add("a", lambda: contexts.append(logs.get_context()), MANY)
    logs.start_context(request_id="another")
    assert tasks.wait_until_done(10)
    assert contexts == [{"request_id": "one"}]
    assert logged == ["background task failed"]


def test_task_whose_thread_cannot_be_started_runs_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What adds it, such as a request that has stored a message, does not fail."""
    tasks, done = OrderedTasks(1), list[int]()

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", fail)
        for number in range(2):
            assert tasks.add("a", partial(done.append, number), MANY)
        assert not tasks.wait_until_done(0)
    assert tasks.add("a", partial(done.append, 2), MANY)
    assert tasks.wait_until_done(10)
    assert done == [0, 1, 2]
