"""Tell the log lines of a test from those of background work that an earlier test has caused."""

import logging
import threading


def is_own_line(_: logging.LogRecord) -> bool:
    """Return whether no daemon thread logs this: outbox workers and tasks run on when their test has ended.

    A filter for handlers, which the thread that logs calls. Pools of threads that a test starts are no daemons.
    """
    return not threading.current_thread().daemon
