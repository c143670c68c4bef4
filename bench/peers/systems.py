"""The systems that are compared, each with its running processes and its signed-in clients."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.consultations import INITIAL_MESSAGES, Participants, create_participants
from bench.peers import http_clients, texts, xmpp_clients, xmpp_servers
from bench.peers.load import Client
from bench.peers.xmpp_servers import Database, XmppServer
from chalicelib import migrations
from chalicelib.adapters import mysql
from devstack.services import processes, service
from devstack.services.service import Service

START_SECONDS = 30.0


@dataclass
class System:
    """A running system.

    Attributes:
        groups: the process groups that are its own, without databases.
        clients: those that send, that read, and whose messages are received; each has a conversation of its own.
        count_stored: returns how many messages of the clients that send are in MySQL.
        initial_messages: how many of these were stored when the clients were created.
    """

    name: str
    label: str
    groups: list[int]
    clients: dict[str, list[Client]]
    count_stored: Callable[[], int]
    initial_messages: int = 0

    def count_acknowledged(self) -> int:
        """Return how many messages were acknowledged to the clients."""
        return self.initial_messages + sum(one.number for name in ("send", "deliver") for one in self.clients[name])


@contextmanager
def run_app(folder: Path, clients: int, process_count: int) -> Iterator[System]:
    """Run our app in `process_count` processes, and another process that holds the WebSockets."""
    migrations.migrate()
    sockets, *workers = (_build_front(folder, f"front-{number}") for number in range(process_count + 1))
    environment = {**os.environ, "WS_ENDPOINT_URL": f"http://{http_clients.ADDRESS}:{sockets.port}"}
    for one in (sockets, *workers):
        one.env = environment
    with run_services([sockets, *workers]):
        participants = [create_participants(2) for _ in range(clients)]
        listening = [create_participants(1) for _ in range(clients)]
        ports = [workers[number % process_count].port for number in range(clients)]
        yield System(
            "ours",
            f"app.py in {process_count} processes",
            [one.pid for one in (sockets, *workers)],
            _create_http_clients(ports, sockets.port, participants, listening),
            partial(_count_messages, [*participants, *listening]),
            INITIAL_MESSAGES * clients * 3,
        )


def _build_front(folder: Path, name: str) -> Service:
    port = processes.find_free_port()
    return Service(
        name=name,
        label="the HTTP front",
        argv=[sys.executable, "-m", "bench.peers.http_front", str(port)],
        port=port,
        folder=str(folder),
        log=str(folder / f"{name}.log"),
        url="",
    )


def _create_http_clients(
    ports: list[int], sockets_port: int, participants: list[Participants], listening: list[Participants]
) -> dict[str, list[Client]]:
    connect, complete = http_clients.connect, http_clients.is_complete
    numbered = list(enumerate(zip(ports, participants, listening, strict=True)))
    return {
        "send": [
            Client(connect(port), http_clients.create_send_builder(people, 0, f"s{number}"), complete)
            for number, (port, people, _) in numbered
        ],
        "newest 20": [
            Client(connect(port), http_clients.create_list_builder(people, 1), http_clients.is_complete_page)
            for _, (port, people, _) in numbered
        ],
        "deliver": [
            Client(
                connect(port),
                http_clients.create_send_builder(people, 0, f"d{number}"),
                complete,
                http_clients.open_websocket(sockets_port, people.doctor.token),
                texts.build_mark,
            )
            for number, (port, _, people) in numbered
        ],
    }


def _count_messages(participants: list[Participants]) -> int:
    ids = [one.conversation_id for people in participants for one in people.consultations]
    return int(mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE conversation_id IN %(ids)s", ids=ids))


@contextmanager
def run_xmpp_server(server: XmppServer, root: Path, folder: Path, url: str, clients: int) -> Iterator[System]:
    """Run an XMPP server with accounts for the clients and those that they write to."""
    database = Database(url, f"peer_{server.name}")
    users = [f"{letter}{number}" for letter in "sordwx" for number in range(clients)]
    started = xmpp_servers.start(server, root, folder, database, users)
    try:
        yield System(
            server.name,
            started.label,
            [started.pid],
            _create_xmpp_clients(started.port, clients),
            partial(database.count, server.count_archived),
        )
    finally:
        service.stop(started)


def _create_xmpp_clients(port: int, clients: int) -> dict[str, list[Client]]:
    """Sign in the clients.

    User s1 sends to o1, who is offline; r1 reads its conversation with x1; d1 sends to w1, who waits for it.
    """
    open_sender, numbers = partial(xmpp_clients.open_sender, port), range(clients)
    build_sends, acknowledged = xmpp_clients.create_send_builder, xmpp_clients.is_acknowledged
    for number in numbers:
        xmpp_clients.fill_conversation(port, f"r{number}", f"x{number}", INITIAL_MESSAGES)
    return {
        "send": [Client(open_sender(f"s{number}"), build_sends(f"o{number}"), acknowledged) for number in numbers],
        "newest 20": [
            Client(
                xmpp_clients.sign_in(port, f"r{number}"),
                xmpp_clients.create_page_builder(f"x{number}"),
                xmpp_clients.is_complete_page,
                has_constant_size=True,
            )
            for number in numbers
        ],
        "deliver": [
            Client(
                open_sender(f"d{number}"),
                build_sends(f"w{number}"),
                acknowledged,
                xmpp_clients.open_receiver(port, f"w{number}"),
                texts.build_mark,
            )
            for number in numbers
        ],
    }


@contextmanager
def run_services(services: list[Service]) -> Iterator[None]:
    """Run servers that listen on their ports."""
    try:
        for one in services:
            service.start(one)
        for one in services:
            service.await_ready(one, _accepts_connections, START_SECONDS)
        yield
    finally:
        for one in services:
            service.stop(one)


def _accepts_connections(one: Service) -> bool:
    http_clients.connect(one.port).close()
    return True
