"""A storm: senders and readers use several server processes while processes and services are killed and restarted."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from threading import Event, Thread
from typing import Any

from redis.exceptions import RedisError

from chalicelib.adapters import redis
from devstack.services.control import Control, ServiceHandle
from tests.support import consult_client, gateway_client
from tests.support.factories import Hospital, Person
from tests.support.faults import final_state, history_checker
from tests.support.faults.history_checker import AcknowledgedWrite, StoredLogs
from tests.support.faults.participant import Participant
from tests.support.soak import server_process
from tests.support.soak.sender import RETRY_TIMEOUT_SECONDS, Sender
from tests.support.soak.server_process import ServerProcess
from tests.support.storm.reader import Reader, read_as_doctor

SERVER_COUNT = 3
CONVERSATION_SIZE, NEW_MEMBERS = 4, 3  # each conversation shares a member with the next
ABANDON_SHARE = 0.05
CALM_MESSAGES, DOWN_ATTEMPTS = 8, 1  # of each sender: acknowledged between two faults, made while a service is down


@dataclass
class Storm:
    """Its senders, its readers and what happens to the services.

    Attributes:
        flush_interval: seconds between two flushes of Redis.
        participants: of the consultations, whose lists and unread counts are compared with MySQL at the end.
    """

    control: Control
    servers: list[ServerProcess]
    senders: list[Sender]
    readers: list[Reader]
    participants: list[Participant]
    flush_interval: float
    faults: Counter[str] = field(default_factory=Counter)
    ended: Event = field(default_factory=Event)

    def run(self, seconds: float) -> None:
        """Send, read and inject faults for so long, and each fault at least once; then wait for the senders."""
        readers = [one.start() for one in self.readers]
        senders = [one.start() for one in self.senders]
        flushing = Thread(target=self.flush_repeatedly, daemon=True)
        flushing.start()
        try:
            self.inject_faults(time.monotonic() + seconds)
        finally:
            self.ended.set()
            for one in self.clients:
                one.stopped.set()
            for thread in (flushing, *senders, *readers):
                thread.join(RETRY_TIMEOUT_SECONDS)
                assert not thread.is_alive()
        for reader in self.readers:
            reader.read_all_once()

    def inject_faults(self, deadline: float) -> None:
        kill_servers = [partial(server.restart) for server in self.servers]
        faults: list[tuple[str, Callable[[], Any]]] = [
            ("app", kill_servers[0]),
            ("MySQL", lambda: self.interrupt(self.control.mysql)),
            ("Redis", lambda: self.interrupt(self.control.redis)),
            ("app", kill_servers[1]),
            ("Redis, replaced by an empty one", lambda: self.interrupt(self.control.redis, empty=True)),
            ("MySQL, Redis and app", self.interrupt_all),
        ]
        for number, (name, inject) in enumerate(cycle(faults)):
            if number >= len(faults) and time.monotonic() > deadline:
                return
            self.wait_for_more(lambda: self.acknowledged_count, CALM_MESSAGES)
            inject()
            self.faults[name] += 1

    @property
    def clients(self) -> list[Sender | Reader]:
        return [*self.senders, *self.readers]

    @property
    def acknowledged_count(self) -> int:
        return sum(len(one.acknowledged) for one in self.senders)

    @property
    def retry_count(self) -> int:
        return sum(one.retries for one in self.senders)

    def wait_for_more(self, count_now: Callable[[], int], each: int) -> None:
        """Wait until a count has grown by so many for each sender, or a client has failed."""
        goal = count_now() + each * len(self.senders)
        final_state.wait_until(lambda: count_now() >= goal or any(one.error_trace for one in self.clients))

    def interrupt(self, service: ServiceHandle, **options: Any) -> None:
        service.kill()
        self.wait_for_more(lambda: self.acknowledged_count + self.retry_count, DOWN_ATTEMPTS)
        service.start(**options)

    def interrupt_all(self) -> None:
        self.control.mysql.kill()
        self.control.redis.kill()
        self.servers[-1].kill()
        self.control.redis.start()
        self.control.mysql.start()
        self.servers[-1].start()

    def flush_repeatedly(self) -> None:
        while not self.ended.wait(self.flush_interval):
            with suppress(RedisError, OSError):  # Redis is down
                redis.get_client().flushall()
                self.faults["flush"] += 1

    def list_stored(self) -> StoredLogs:
        conversations = {one for sender in self.senders for one in sender.conversations}
        return {one: final_state.list_stored(one) for one in sorted(conversations)}

    def find_problems(self) -> list[str]:
        """Return what is wrong with the log, with the pages that were read, and with the state at the end."""
        stored = self.list_stored()
        problems = [one.error_trace for one in self.clients if one.error_trace]
        problems += history_checker.find_problems(
            stored, list(self.list_writes()), [read for one in self.readers for read in one.observed]
        )
        problems += self.find_unacknowledged(stored)
        for side in self.participants:
            final_state.age_cache(side.session_no)
            final_state.age_write_intents(side.session_no)
        return problems + final_state.find_inconsistencies(self.participants)

    def find_unacknowledged(self, stored: StoredLogs) -> Iterator[str]:
        """Find messages that are not acknowledged: each was repeated until it was."""
        texts = {text for sender in self.senders for text in sender.acknowledged}
        yield from (
            f"{entry.text} is stored without an acknowledgement"
            for log in stored.values()
            for entry in log
            if entry.text not in texts
        )

    def list_writes(self) -> Iterator[AcknowledgedWrite]:
        unpublished = self.list_unpublished_requests()
        for sender in self.senders:
            for text, sent in sender.acknowledged.items():
                published = sent.request_id not in unpublished
                yield AcknowledgedWrite("send", sent.conversation, sent.id, text, sent.at, published)

    def list_unpublished_requests(self) -> set[str]:
        """Return the ids of requests that could not publish their message to Redis, as the servers have logged them."""
        lines = [line for server in self.servers for line in server.log.read_text().splitlines()]
        return {json.loads(line)["request_id"] for line in lines if '"message not published"' in line}

    def format_figures(self) -> str:
        stored = sum(len(log) for log in self.list_stored().values())
        unpublished = sum(not one.published for one in self.list_writes())
        reads = sum(len(one.observed) for one in self.readers)
        failed = sum(one.failure_count for one in self.readers)
        return "\n".join(
            [
                f"{stored} messages are stored of {self.acknowledged_count} acknowledged",
                f"{len(self.senders)} senders: {self.retry_count} retries, {unpublished} acknowledged without Redis",
                f"{len(self.readers)} readers: {reads} pages, {failed} failed",
                "faults: " + ", ".join(f"{name} {times}" for name, times in self.faults.items()),
            ]
        )


def run_storm(
    control: Control, hospital: Hospital, logs: Path, seconds: float, senders: int, flush_interval: float
) -> Storm:
    """Run a storm; its first four senders are patients and doctors, the others use the gateway."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(server_process.run_server(logs / f"server-{number}.log"))
            for number in range(SERVER_COUNT)
        ]
        ports = [one.port for one in servers]
        storm = Storm(control, servers, [], [], [], flush_interval)
        _add_consultations(storm, hospital, ports)
        _add_gateway_conversations(storm, hospital, ports, senders - len(storm.senders))
        storm.run(seconds)
    return storm


def _add_sender(storm: Storm, ports: list[int], name: str, token: str, conversations: list[str], **more: Any) -> None:
    first = len(storm.senders) % len(ports)
    others = [*ports[first + 1 :], *ports[:first]]
    storm.senders.append(
        Sender(
            *(ports[first], name, token, conversations, None),
            other_ports=others,
            abandon_share=ABANDON_SHARE,
            **more,
        )
    )


def _add_consultations(storm: Storm, hospital: Hospital, ports: list[int]) -> None:
    """Two patients and two doctors, each of whom writes to both of the others."""
    patients, doctors = [hospital.lin, hospital.wang], [hospital.chen, hospital.zhou]
    sessions = {
        (patient, doctor): consult_client.create_session(patient, doctor) for patient in patients for doctor in doctors
    }
    for (patient, doctor), session_no in sessions.items():
        storm.participants += [Participant(session_no, one, doctor) for one in (patient, doctor)]
    for number, patient in enumerate(patients):
        own = {sessions[patient, doctor]: doctor for doctor in doctors}
        build = partial(_build_patient_request, patient, own)
        _add_sender(storm, ports, f"patient-{number}", patient.token, list(own), build_request=build)
        storm.readers.append(Reader(f"patient-{number}", patient.token, list(own), ports))
    for number, doctor in enumerate(doctors):
        shared = [sessions[patient, doctor] for patient in patients]
        _add_sender(storm, ports, f"doctor-{number}", doctor.token, shared, build_request=_build_doctor_request)
        storm.readers.append(Reader(f"doctor-{number}", doctor.token, shared, ports, read_as_doctor))


def _build_patient_request(
    patient: Person, doctors: dict[str, Person], session_no: str, text: str
) -> tuple[str, dict[str, Any]]:
    """Build the request that names no session: the server finds the one of member and doctor."""
    doctor = doctors[session_no]
    return consult_client.PATIENT_TEXT, {
        "member_id": patient.member_id,
        "doctor_id": doctor.user_id,
        "message": text,
    }


def _build_doctor_request(session_no: str, text: str) -> tuple[str, dict[str, Any]]:
    return consult_client.DOCTOR_TEXT, {"session_no": session_no, "message": text}


def _add_gateway_conversations(storm: Storm, hospital: Hospital, ports: list[int], senders: int) -> None:
    """Small conversations in which all write, and one of all, which is large."""
    users = [gateway_client.create_external_user(hospital, f"sender-{number}") for number in range(senders)]
    groups = [users[start : start + CONVERSATION_SIZE] for start in range(0, senders, NEW_MEMBERS)]
    conversations_of: dict[str, list[str]] = {one.session: [] for one in users}
    for group in (*groups, users):
        conversation = gateway_client.create_conversation_of(hospital, *group)
        for one in group:
            conversations_of[one.session].append(conversation)
    for one in users:
        _add_sender(storm, ports, one.session, one.token, conversations_of[one.session])
    for one in users[::NEW_MEMBERS]:
        storm.readers.append(Reader(one.session, one.token, conversations_of[one.session], ports))
