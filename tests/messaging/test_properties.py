"""Whatever Lin and Doctor Chen do, in whatever order, and whatever becomes of Redis meanwhile: every answer is right.

PROPERTY_EXAMPLES=2000 bin/test tests/messaging/test_properties.py looks for longer.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from chalicelib.adapters import redis
from chalicelib.errors import Refused
from chalicelib.messaging import log, tail
from tests import people
from tests.consult import chat
from tests.faults import aftermath
from tests.faults.model import PROCESSES, SIDES, Model, Said
from tests.faults.sides import Side
from tests.messaging.conftest import keys
from tests.people import Hospital
from tests.wire import get, post

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "100"))
STEPS = 60
PARTS = ["state", "tail", "marks"]
PHONES = count(13_700_000_000)

sides, processes = st.sampled_from(SIDES), st.sampled_from(PROCESSES)
numbers, sizes = st.integers(0, 1 << 16), st.sampled_from([1, 2, 5, 100])
# What becomes of each question to Redis in a request: it is answered, does not arrive, or its answer is lost.
troubles = st.sampled_from([[], [], [], []]) | st.lists(st.sampled_from(["", "lost", "unanswered"]), max_size=6)
seldom = st.sampled_from([False] * 5 + [True])


class Died(BaseException):
    """The process is gone; nothing catches it."""


class Chat(RuleBasedStateMachine):
    """One session, served by two processes."""

    hospital: Hospital

    def __init__(self) -> None:
        super().__init__()
        lin = people.patient(self.hospital.tenant_id, str(next(PHONES)), "林小雨")
        chen = people.worker(self.hospital.tenant_id, str(next(PHONES)), "陈医生", "doctor")
        self.session_no = chat.opened(lin, chen)
        self.sides = [Side(self.session_no, lin, chen), Side(self.session_no, chen, chen)]
        self.model = Model()
        self.doubted: list[dict[str, float]] = [{}, {}]  # by process
        self.cut = [False, False]
        self.heard = True

    @contextmanager
    def request(self, process: int, trouble: list[str], dies: bool = False) -> Iterator[None]:
        """Whatever is asked here, that process answers; `heard` tells afterwards whether Redis heard all of it."""
        call, fate, self.heard = redis._call, iter(trouble), True

        def troubled(*arguments: Any) -> Any:
            what = "lost" if self.cut[process] else next(fate, "")
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
        return number % len(self.model.log), self.model.log[number % len(self.model.log)]

    @rule(side=sides, process=processes, trouble=troubles, dies=seldom)
    def send(self, side: int, process: int, trouble: list[str], dies: bool) -> None:
        """Who dies, does so between the commit and Redis."""
        text = f"第{len(self.model.log) + 1}句"
        with self.request(process, trouble, dies):
            self.sides[side].send(text)
        self.model.log.append(Said(aftermath.stored(self.session_no)[-1].id, side, text))
        self.wrote(process, dies, len(self.model.log))

    @precondition(lambda self: self.model.log)
    @rule(number=numbers, process=processes, trouble=troubles, another_text=seldom)
    def resend(self, number: int, process: int, trouble: list[str], another_text: bool) -> None:
        at, said = self.said(number)
        with self.request(process, trouble):
            answer = self.sides[said.sender].send("别的" if another_text else said.text, key=said.text)
        if another_text:
            assert answer.status == 409
        else:
            assert answer.data["msg_id"] == said.id
            self.wrote(process, False, at + 1)

    @precondition(lambda self: self.model.log)
    @rule(number=numbers, process=processes, trouble=troubles, dies=seldom, by_the_other=seldom)
    def withdraw(self, number: int, process: int, trouble: list[str], dies: bool, by_the_other: bool) -> None:
        _, said = self.said(number)
        who = self.sides[said.sender ^ by_the_other].me
        refused = pytest.raises(Refused) if by_the_other else nullcontext()
        with self.request(process, trouble, dies and not by_the_other), refused:
            log.withdraw(who.tenant_id, self.session_no, said.id, who.principal)
        if not by_the_other:
            self.model.withdrawn |= {said.id}
            self.wrote(process, dies)

    @rule(side=sides, process=processes, size=sizes, trouble=troubles)
    def read_newest_page(self, side: int, process: int, size: int, trouble: list[str]) -> None:
        with self.reading(process, trouble):
            answer = self.sides[side].page(size)
        length = self.model.check_page(process, side, answer.data, size)
        self.model.sat(process, side, self.heard, read=length)

    @precondition(lambda self: self.model.log)
    @rule(side=sides, process=processes, size=sizes, number=numbers, trouble=troubles)
    def read_older_page(self, side: int, process: int, size: int, number: int, trouble: list[str]) -> None:
        at, said = self.said(number)
        with self.request(process, trouble):
            answer = self.sides[side].page(size, msg_id=said.id)
        self.model.check_older(process, side, answer.data, at, size)

    @rule(side=sides, process=processes, trouble=troubles)
    def new_msg(self, side: int, process: int, trouble: list[str]) -> None:
        with self.reading(process, trouble):
            answer = self.sides[side].newest()
        self.model.check_page(process, side, [answer.data] if answer.data else [], 1)

    @rule(side=sides, process=processes, trouble=troubles, newest_alone=seldom)
    def session_list(self, side: int, process: int, trouble: list[str], newest_alone: bool = False) -> None:
        new_session = [chat.PATIENT_NEW_SESSION, chat.DOCTOR_NEW_SESSION][side]
        with self.reading(process, trouble):
            if newest_alone:
                entry = get(new_session, self.sides[side].me.token).data
            else:
                [entry] = self.sides[side].listed().data or [None]
        self.model.check_entry(process, side, entry)

    @rule(side=sides, process=processes, trouble=troubles)
    def session_del(self, side: int, process: int, trouble: list[str]) -> None:
        path = [chat.PATIENT_DEL, chat.DOCTOR_DEL][side]
        with self.request(process, trouble):
            assert post(path, self.sides[side].me.token, session_id=self.session_no).status == 200
        self.model.sat(process, side, self.heard, hidden=len(self.model.log))

    @rule(what=st.sampled_from(["flush", "state", "tail", "marks", "ten seconds", "ten seconds", "a minute"]))
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

    @rule(process=processes)
    def cut_off_or_mend(self, process: int) -> None:
        self.cut[process] = not self.cut[process]

    def wrote(self, process: int, died: bool, seq: int = 0) -> None:
        if died:
            self.doubted[process] = {}
            self.model.died(process)
        else:
            self.model.wrote(process, self.heard, seq)

    def teardown(self) -> None:
        self.cut = [False, False]
        self.disturb("ten seconds")
        for side in SIDES:
            for process in PROCESSES:
                self.session_list(side, process, [])
                self.read_newest_page(side, process, 100, [])


def test_every_answer_is_right(hospital: Hospital) -> None:
    Chat.hospital = hospital
    run_state_machine_as_test(
        Chat,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=EXAMPLES == 100,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
