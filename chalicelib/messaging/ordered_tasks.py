"""Background threads that run tasks: those of one key one after another, in the order in which they were added."""

import contextvars
import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Lock, Thread

logger = logging.getLogger(__name__)

Task = Callable[[], object]


class OrderedTasks:
    """Tasks by key. Threads start as they are needed and do not keep the process alive.

    A task logs with the context of the unit of work that added it.

    Args:
        max_threads: number of tasks that run at the same time.
    """

    def __init__(self, max_threads: int) -> None:
        self._max_threads = max_threads
        lock = Lock()
        self._added, self._finished = Condition(lock), Condition(lock)
        self._waiting: dict[str, deque[Task]] = {}  # keys with tasks that wait or run
        self._ready: deque[str] = deque()  # keys with tasks of which none runs
        self._thread_count = self._idle_count = 0  # idle: not yet notified of a key

    def add(self, key: str, task: Task, max_waiting: int) -> bool:
        """Add a task after the others of its key; return False, without adding it, if `max_waiting` of them wait."""
        with self._added:
            if len(self._waiting.get(key, ())) >= max_waiting:
                return False
            self._append(key, task)
            return True

    def replace(self, key: str, task: Task) -> None:
        """Discard the tasks of a key that wait, and add this one instead."""
        with self._added:
            if key in self._waiting:
                self._waiting[key].clear()
            self._append(key, task)

    def wait_until_done(self, seconds: float) -> bool:
        """Wait at most so long until there are no tasks; return whether there are none."""
        with self._finished:
            return self._finished.wait_for(lambda: not self._waiting, seconds)

    def _append(self, key: str, task: Task) -> None:
        run_in_context = contextvars.copy_context().run
        is_new = key not in self._waiting
        self._waiting.setdefault(key, deque()).append(lambda: run_in_context(task))
        if is_new:
            self._ready.append(key)
        if is_new or not self._thread_count:  # none could be started for an earlier task
            self._provide_thread()

    def _provide_thread(self) -> None:
        if self._idle_count:
            self._idle_count -= 1
            self._added.notify()
        elif self._thread_count < self._max_threads:
            try:
                Thread(target=self._run, name="ordered-tasks", daemon=True).start()
                self._thread_count += 1
            except RuntimeError:  # as at the system's limit; another thread runs the task, or the next task's
                logger.warning("thread not started", exc_info=True)

    def _run(self) -> None:
        while True:
            key, task = self._take()
            try:
                task()
            except Exception:
                logger.exception("background task failed")
            self._finish(key)

    def _take(self) -> tuple[str, Task]:
        with self._added:
            while not self._ready:
                self._idle_count += 1
                self._added.wait()
            key = self._ready.popleft()
            return key, self._waiting[key].popleft()

    def _finish(self, key: str) -> None:
        with self._finished:
            if self._waiting[key]:
                self._ready.append(key)
            else:
                del self._waiting[key]
            if not self._waiting:
                self._finished.notify_all()
