"""Two simulated processes that serve one conversation, each of which may lose its connection to Redis."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import repeat
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, recent_cache


class ProcessDied(BaseException):
    """The simulated process was killed; no handler catches this."""


class TwoProcesses:
    def __init__(self) -> None:
        self.distrusted: list[dict[str, tuple[float, float]]] = [{}, {}]  # by process
        self.cut_requests = [0, 0]  # for so many more requests each process cannot reach Redis
        self.published = True

    @contextmanager
    def request(self, process: int, faults: list[str], killed: bool = False) -> Iterator[None]:
        """Let that process serve the requests made here; `published` is then True if Redis received all of it."""
        call, self.published = redis._call_driver, True
        outcomes = repeat("lost") if self.cut_requests[process] else iter(faults)
        self.cut_requests[process] = max(self.cut_requests[process] - 1, 0)

        def call_with_faults(*arguments: Any) -> Any:
            fault = next(outcomes, "")
            response = None if fault == "lost" else call(*arguments)
            if fault:
                raise redis.RedisUnavailableError(fault)
            return response

        def distrust(public_id: str, real: Any = recent_cache.distrust, **unless: float) -> None:
            self.published = self.published and bool(unless)  # a reader's, of a cache that its writers complete
            real(public_id, **unless)

        def die(*_: Any) -> None:
            raise ProcessDied

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(redis, "_call_driver", call_with_faults)
            patch.setattr(recent_cache, "_distrusted", self.distrusted[process])
            patch.setattr(recent_cache, "distrust", distrust)
            if killed:
                patch.setattr(log, "_publish", die)
            with pytest.raises(ProcessDied) if killed else nullcontext():
                yield

    def cut_off(self, process: int, requests: int) -> None:
        self.cut_requests[process] = requests
