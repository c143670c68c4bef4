"""Pause a function of the application in the middle of a transaction, so that another request comes in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest


class Pause:
    """A pause of the first call of a function."""

    def __init__(self) -> None:
        self._reached, self._proceed = Event(), Event()

    def wait_until_reached(self) -> None:
        """Wait until the function is called."""
        assert self._reached.wait(10)

    def end(self) -> None:
        """Let the call proceed."""
        self._proceed.set()

    def hold(self) -> None:
        """Wait for the end, at the first call."""
        if not self._reached.is_set():
            self._reached.set()
            assert self._proceed.wait(10)


@contextmanager
def pause_first_call(module: Any, name: str) -> Iterator[Pause]:
    """Pause the first call of a function before it begins."""
    pause, function = Pause(), getattr(module, name)

    def run_after_pause(*arguments: Any, **named: Any) -> Any:
        pause.hold()
        return function(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, run_after_pause)
        try:
            yield pause
        finally:
            pause.end()
