"""Random scenarios of a consultation with Redis faults, whose responses are compared with a model.

Scenarios are generated from seeds; one that fails is shortened to the steps without which it does not fail.
PROPERTY_SCENARIOS=2000 PROPERTY_SEED=1000 bin/test tests/messaging/test_properties.py runs other and more scenarios.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import count

import pytest

from chalicelib.adapters import redis
from chalicelib.errors import ApiError
from chalicelib.messaging import log
from tests.support import consult_client, factories
from tests.support.client import get, post
from tests.support.conversation_log import build_redis_keys
from tests.support.factories import Hospital
from tests.support.faults import final_state
from tests.support.faults.participant import Participant
from tests.support.faults.random_scenarios import REDIS_KEY_PARTS, check_scenarios
from tests.support.faults.reference_model import PROCESSES, SIDES, ModelMessage, ReferenceModel
from tests.support.faults.two_processes import TwoProcesses

PHONES = count(13_700_000_000)
# Relative frequency of each step; the names are those of the methods.
WEIGHTS = {
    "send": 6,
    "resend": 3,
    "withdraw": 2,
    "newest_page": 4,
    "older_page": 1,
    "new_msg": 2,
    "session_list": 5,
    "session_del": 1,
    "disturb": 1,
    "cut_off": 1,
}


class Chat(TwoProcesses):
    """One session, served by two processes."""

    def __init__(self, hospital: Hospital) -> None:
        lin = factories.create_patient(hospital.tenant_id, str(next(PHONES)), "林小雨")
        chen = factories.create_staff(hospital.tenant_id, str(next(PHONES)), "陈医生", "doctor")
        self.session_no = consult_client.create_session(lin, chen)
        self.sides = [Participant(self.session_no, lin, chen), Participant(self.session_no, chen, chen)]
        self.model = ReferenceModel()
        super().__init__()

    @contextmanager
    def reading(self, process: int, faults: list[str]) -> Iterator[None]:
        """Serve a read. Without Redis, or while a write intent is open, it comes from MySQL."""
        if self.cut_requests[process] or (
            not faults and redis.get_client().zcard(build_redis_keys(self.session_no)[2])
        ):
            self.model.known[process].merge(self.model.current)
        with self.request(process, faults):
            yield

    def get_message(self, number: int) -> tuple[int, ModelMessage]:
        if not self.model.log:
            self.send(number % 2, 0, [], False)
        at = number % len(self.model.log)
        return at, self.model.log[at]

    def send(self, side: int, process: int, faults: list[str], killed: bool) -> None:
        """A killed process fails between its commit and its update of Redis."""
        text = f"第{len(self.model.log) + 1}句"
        with self.request(process, faults, killed):
            self.sides[side].send(text)
        self.model.log.append(ModelMessage(final_state.list_stored(self.session_no)[-1].id, side, text))
        self.record_write(process, killed, len(self.model.log))

    def resend(self, number: int, process: int, faults: list[str], another_text: bool) -> None:
        at, message = self.get_message(number)
        with self.request(process, faults):
            response = self.sides[message.sender].send("别的" if another_text else message.text, key=message.text)
        if another_text:
            assert response.status == 409
        else:
            assert response.data["msg_id"] == message.id
            self.record_write(process, False, at + 1)

    def withdraw(self, number: int, process: int, faults: list[str], killed: bool, by_other: bool) -> None:
        _, message = self.get_message(number)
        person = self.sides[message.sender ^ by_other].me
        rejection = pytest.raises(ApiError) if by_other else nullcontext()
        with self.request(process, faults, killed and not by_other), rejection:
            log.withdraw(person.tenant_id, self.session_no, message.id, person.principal)
        if not by_other:
            self.model.withdrawn |= {message.id}
            self.record_write(process, killed)

    def newest_page(self, side: int, process: int, size: int, faults: list[str]) -> None:
        with self.reading(process, faults):
            response = self.sides[side].list_messages(size)
        length = self.model.check_page(process, side, response.data, size)
        self.model.record_participant_change(process, side, self.published, read=length)

    def older_page(self, side: int, process: int, size: int, number: int, faults: list[str]) -> None:
        at, message = self.get_message(number)
        with self.request(process, faults):
            response = self.sides[side].list_messages(size, msg_id=message.id)
        self.model.check_older_page(process, side, response.data, at, size)

    def new_msg(self, side: int, process: int, faults: list[str]) -> None:
        with self.reading(process, faults):
            response = self.sides[side].get_newest()
        self.model.check_page(process, side, [response.data] if response.data else [], 1)

    def session_list(self, side: int, process: int, faults: list[str], newest_alone: bool) -> None:
        new_session = [consult_client.PATIENT_NEW_SESSION, consult_client.DOCTOR_NEW_SESSION][side]
        with self.reading(process, faults):
            if newest_alone:
                entry = get(new_session, self.sides[side].me.token).data
            else:
                [entry] = self.sides[side].list_sessions().data or [None]
        self.model.check_entry(process, side, entry)

    def session_del(self, side: int, process: int, faults: list[str]) -> None:
        path = [consult_client.PATIENT_DEL, consult_client.DOCTOR_DEL][side]
        with self.request(process, faults):
            assert post(path, self.sides[side].me.token, session_id=self.session_no).status == 200
        self.model.record_participant_change(process, side, self.published, hidden=len(self.model.log))

    def disturb(self, disturbance: str) -> None:
        if disturbance == "flush":
            redis.get_client().flushall()
        elif disturbance in REDIS_KEY_PARTS:
            redis.get_client().delete(build_redis_keys(self.session_no)[REDIS_KEY_PARTS.index(disturbance)])
        else:
            if disturbance == "a minute":
                final_state.age_write_intents(self.session_no)
            final_state.age_cache(self.session_no)
            self.model.publish_to_all()

    def record_write(self, process: int, killed: bool, seq: int = 0) -> None:
        if killed:
            self.distrusted[process] = {}
            self.model.restart_process(process)
        else:
            self.model.record_write(process, self.published, seq)

    def end(self) -> None:
        self.cut_requests = [0, 0]
        self.disturb("ten seconds")
        for side in SIDES:
            for process in PROCESSES:
                self.session_list(side, process, [], False)
                self.newest_page(side, process, 100, [])


def test_all_responses_match_model(hospital: Hospital) -> None:
    check_scenarios(Chat, WEIGHTS, hospital)
