"""Whatever Lin and Doctor Chen do, in whatever order, and whatever becomes of Redis meanwhile: every answer is right.

Stories are drawn from seeds, and one that fails is told again in as few steps as it takes to fail.
PROPERTY_STORIES=2000 PROPERTY_SEED=1000 bin/test tests/messaging/test_properties.py looks for longer, elsewhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count, repeat
from typing import Any

import pytest

from chalicelib.adapters import redis
from chalicelib.errors import Refused
from chalicelib.messaging import log, tail
from tests import people
from tests.consult import chat
from tests.faults import aftermath
from tests.faults.model import PROCESSES, SIDES, Model, Said
from tests.faults.sides import Side
from tests.faults.stories import PARTS, Step, story
from tests.messaging.conftest import keys
from tests.people import Hospital
from tests.wire import get, post

STORIES = int(os.environ.get("PROPERTY_STORIES", "40"))
SEED = int(os.environ.get("PROPERTY_SEED", "0"))
PHONES = count(13_700_000_000)


class Died(BaseException):
    """The process is gone; nothing catches it."""


class Chat:
    """One session, served by two processes."""

    def __init__(self, hospital: Hospital) -> None:
        lin = people.patient(hospital.tenant_id, str(next(PHONES)), "林小雨")
        chen = people.worker(hospital.tenant_id, str(next(PHONES)), "陈医生", "doctor")
        self.session_no = chat.opened(lin, chen)
        self.sides = [Side(self.session_no, lin, chen), Side(self.session_no, chen, chen)]
        self.model = Model()
        self.doubted: list[dict[str, float]] = [{}, {}]  # by process
        self.cut = [0, 0]  # requests of each process that Redis is still out of its reach for
        self.heard = True

    @contextmanager
    def request(self, process: int, trouble: list[str], dies: bool = False) -> Iterator[None]:
        """Whatever is asked here, that process answers; `heard` tells afterwards whether Redis heard all of it."""
        call, self.heard = redis._call, True
        fate = repeat("lost") if self.cut[process] else iter(trouble)
        self.cut[process] = max(self.cut[process] - 1, 0)

        def troubled(*arguments: Any) -> Any:
            what = next(fate, "")
            answer = None if what == "lost" else call(*arguments)
            if what:
                raise redis.Down(what)
            return answer

        def unheard(public_id: str, doubt: Any = tail.doubt) -> None:
            self.heard = False
            doubt(public_id)

        def die(*_: Any) -> None:
            raise Died

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(redis, "_call", troubled)
            patch.setattr(tail, "_doubted", self.doubted[process])
            patch.setattr(tail, "doubt", unheard)
            if dies:
                patch.setattr(log, "_show", die)
            with pytest.raises(Died) if dies else nullcontext():
                yield

    @contextmanager
    def reading(self, process: int, trouble: list[str]) -> Iterator[None]:
        """Without Redis, or while a mark is open, what is shown comes from MySQL."""
        if self.cut[process] or (not trouble and redis.client().zcard(keys(self.session_no)[2])):
            self.model.known[process].learn(self.model.truth)
        with self.request(process, trouble):
            yield

    def said(self, number: int) -> tuple[int, Said]:
        if not self.model.log:
            self.send(number % 2, 0, [], False)
        at = number % len(self.model.log)
        return at, self.model.log[at]

    def send(self, side: int, process: int, trouble: list[str], dies: bool) -> None:
        """Who dies, does so between the commit and Redis."""
        text = f"第{len(self.model.log) + 1}句"
        with self.request(process, trouble, dies):
            self.sides[side].send(text)
        self.model.log.append(Said(aftermath.stored(self.session_no)[-1].id, side, text))
        self.wrote(process, dies, len(self.model.log))

    def resend(self, number: int, process: int, trouble: list[str], another_text: bool) -> None:
        at, said = self.said(number)
        with self.request(process, trouble):
            answer = self.sides[said.sender].send("别的" if another_text else said.text, key=said.text)
        if another_text:
            assert answer.status == 409
        else:
            assert answer.data["msg_id"] == said.id
            self.wrote(process, False, at + 1)

    def withdraw(self, number: int, process: int, trouble: list[str], dies: bool, by_the_other: bool) -> None:
        _, said = self.said(number)
        who = self.sides[said.sender ^ by_the_other].me
        refused = pytest.raises(Refused) if by_the_other else nullcontext()
        with self.request(process, trouble, dies and not by_the_other), refused:
            log.withdraw(who.tenant_id, self.session_no, said.id, who.principal)
        if not by_the_other:
            self.model.withdrawn |= {said.id}
            self.wrote(process, dies)

    def newest_page(self, side: int, process: int, size: int, trouble: list[str]) -> None:
        with self.reading(process, trouble):
            answer = self.sides[side].page(size)
        length = self.model.check_page(process, side, answer.data, size)
        self.model.sat(process, side, self.heard, read=length)

    def older_page(self, side: int, process: int, size: int, number: int, trouble: list[str]) -> None:
        at, said = self.said(number)
        with self.request(process, trouble):
            answer = self.sides[side].page(size, msg_id=said.id)
        self.model.check_older(process, side, answer.data, at, size)

    def new_msg(self, side: int, process: int, trouble: list[str]) -> None:
        with self.reading(process, trouble):
            answer = self.sides[side].newest()
        self.model.check_page(process, side, [answer.data] if answer.data else [], 1)

    def session_list(self, side: int, process: int, trouble: list[str], newest_alone: bool) -> None:
        new_session = [chat.PATIENT_NEW_SESSION, chat.DOCTOR_NEW_SESSION][side]
        with self.reading(process, trouble):
            if newest_alone:
                entry = get(new_session, self.sides[side].me.token).data
            else:
                [entry] = self.sides[side].listed().data or [None]
        self.model.check_entry(process, side, entry)

    def session_del(self, side: int, process: int, trouble: list[str]) -> None:
        path = [chat.PATIENT_DEL, chat.DOCTOR_DEL][side]
        with self.request(process, trouble):
            assert post(path, self.sides[side].me.token, session_id=self.session_no).status == 200
        self.model.sat(process, side, self.heard, hidden=len(self.model.log))

    def disturb(self, what: str) -> None:
        if what == "flush":
            redis.client().flushall()
        elif what in PARTS:
            redis.client().delete(keys(self.session_no)[PARTS.index(what)])
        else:
            if what == "a minute":
                aftermath.minute_later(self.session_no)
            aftermath.ten_seconds_later(self.session_no)
            self.model.everybody_knows()

    def cut_off(self, process: int, requests: int) -> None:
        self.cut[process] = requests

    def wrote(self, process: int, died: bool, seq: int = 0) -> None:
        if died:
            self.doubted[process] = {}
            self.model.died(process)
        else:
            self.model.wrote(process, self.heard, seq)

    def end(self) -> None:
        self.cut = [0, 0]
        self.disturb("ten seconds")
        for side in SIDES:
            for process in PROCESSES:
                self.session_list(side, process, [], False)
                self.newest_page(side, process, 100, [])


def told(steps: list[Step], hospital: Hospital) -> Exception | None:
    """What went wrong, if anything did."""
    chat = Chat(hospital)
    try:
        for name, parts in steps:
            getattr(chat, name)(**parts)
        chat.end()
    except (Exception, pytest.fail.Exception) as error:
        return error
    return None


def shortened(steps: list[Step], hospital: Hospital) -> list[Step]:
    """Leave out whatever it fails without."""
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, -1, -size):
            fewer = steps[:start] + steps[start + size :]
            if told(fewer, hospital):
                steps = fewer
        size //= 2
    return steps


def test_every_answer_is_right(hospital: Hospital) -> None:
    for seed in range(SEED, SEED + STORIES):
        if told(story(seed, Chat), hospital):
            steps = shortened(story(seed, Chat), hospital)
            lines = "\n".join(f"{name} {parts}" for name, parts in steps)
            raise AssertionError(f"story {seed}:\n{lines}") from told(steps, hospital)
