"""Two processes that serve one conversation, each in and out of Redis' reach."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import repeat
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.messaging import log, recent_cache


class Died(BaseException):
    """The process is gone; nothing catches it."""


class Served:
    def __init__(self) -> None:
        self.doubted: list[dict[str, float]] = [{}, {}]  # by process
        self.cut = [0, 0]  # requests of each process that Redis is still out of its reach for
        self.heard = True

    @contextmanager
    def request(self, process: int, trouble: list[str], dies: bool = False) -> Iterator[None]:
        """Whatever is asked here, that process answers; `heard` tells afterwards whether Redis heard all of it."""
        call, self.heard = redis._call_driver, True
        fate = repeat("lost") if self.cut[process] else iter(trouble)
        self.cut[process] = max(self.cut[process] - 1, 0)

        def troubled(*arguments: Any) -> Any:
            what = next(fate, "")
            answer = None if what == "lost" else call(*arguments)
            if what:
                raise redis.RedisUnavailableError(what)
            return answer

        def unheard(public_id: str, doubt: Any = recent_cache.distrust) -> None:
            self.heard = False
            doubt(public_id)

        def die(*_: Any) -> None:
            raise Died

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(redis, "_call_driver", troubled)
            patch.setattr(recent_cache, "_distrusted_until", self.doubted[process])
            patch.setattr(recent_cache, "distrust", unheard)
            if dies:
                patch.setattr(log, "_publish", die)
            with pytest.raises(Died) if dies else nullcontext():
                yield

    def cut_off(self, process: int, requests: int) -> None:
        self.cut[process] = requests
