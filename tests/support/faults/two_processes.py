"""Two processes that serve one conversation, each in and out of Redis' reach."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import repeat
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, recent_cache


class ProcessDied(BaseException):
    """The process is gone; nothing catches it."""


class TwoProcesses:
    def __init__(self) -> None:
        self.distrusted: list[dict[str, float]] = [{}, {}]  # by process
        self.cut_requests = [0, 0]  # requests of each process that Redis is still out of its reach for
        self.published = True

    @contextmanager
    def request(self, process: int, trouble: list[str], dies: bool = False) -> Iterator[None]:
        """Whatever is asked here, that process answers; `heard` tells afterwards whether Redis heard all of it."""
        call, self.published = redis._call_driver, True
        fate = repeat("lost") if self.cut_requests[process] else iter(trouble)
        self.cut_requests[process] = max(self.cut_requests[process] - 1, 0)

        def troubled(*arguments: Any) -> Any:
            what = next(fate, "")
            answer = None if what == "lost" else call(*arguments)
            if what:
                raise redis.RedisUnavailableError(what)
            return answer

        def unheard(public_id: str, doubt: Any = recent_cache.distrust) -> None:
            self.published = False
            doubt(public_id)

        def die(*_: Any) -> None:
            raise ProcessDied

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(redis, "_call_driver", troubled)
            patch.setattr(recent_cache, "_distrusted_until", self.distrusted[process])
            patch.setattr(recent_cache, "distrust", unheard)
            if dies:
                patch.setattr(log, "_publish", die)
            with pytest.raises(ProcessDied) if dies else nullcontext():
                yield

    def cut_off(self, process: int, requests: int) -> None:
        self.cut_requests[process] = requests
