"""Redis servers of a test's own: a cluster of two nodes, a server with a password, and one behind TLS."""

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from socket import create_connection, create_server
from socket import socket as Socket
from typing import Any

import pytest
import redis as library

from chalicelib.adapters import redis
from chalicelib.settings import settings
from devstack.services import service, valkey
from devstack.services.service import Service

SLOT_COUNT = 16384


def use_redis(monkeypatch: pytest.MonkeyPatch, url: str, **changed: Any) -> None:
    """Have this process use another Redis; `changed` are other settings."""
    monkeypatch.setattr(redis, "settings", replace(settings, redis_url=url, **changed))
    monkeypatch.setattr(redis, "_backoff_until", {})
    redis.close_connections()


@contextmanager
def run_server(folder: Path, *options: str) -> Iterator[Service]:
    """Run a Valkey server with these command-line options."""
    folder.mkdir(parents=True)
    server = valkey.prepare("venv-dev", folder, folder / "log", durable=False)
    server.argv += options
    service.start(server)
    try:
        service.await_ready(server, lambda one: valkey.send_command(one.port, "PING").startswith(("+PONG", "-NOAUTH")))
        yield server
    finally:
        service.stop(server)


class TwoNodes:
    """A cluster whose first node holds the lower half of the slots."""

    def __init__(self, first: Service, second: Service) -> None:
        self.services = (first, second)
        self.nodes: tuple[Any, ...] = tuple(
            library.Redis(port=one.port, decode_responses=True) for one in self.services
        )
        bus_port = int(second.argv[second.argv.index("--cluster-port") + 1])
        self.nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", second.port, bus_port)
        self.nodes[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, SLOT_COUNT // 2 - 1)
        self.nodes[1].execute_command("CLUSTER", "ADDSLOTSRANGE", SLOT_COUNT // 2, SLOT_COUNT - 1)
        deadline = time.monotonic() + 20
        while not all(self.is_complete(one) for one in self.nodes):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    @staticmethod
    def is_complete(node: Any) -> bool:
        info = str(node.execute_command("CLUSTER", "INFO"))
        return "cluster_state:ok" in info and f"cluster_slots_ok:{SLOT_COUNT}" in info

    def begin_move(self, slot: int) -> None:
        """Begin to move a slot of the first node: keys that it does not hold are asked for at the second."""
        ids = [str(one.execute_command("CLUSTER", "MYID")) for one in self.nodes]
        self.nodes[1].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
        self.nodes[0].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])

    def end_move(self, slot: int) -> None:
        """Give an empty slot of the first node to the second."""
        second = str(self.nodes[1].execute_command("CLUSTER", "MYID"))
        for node in reversed(self.nodes):
            node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", second)

    def close(self) -> None:
        for node in self.nodes:
            node.close()


@contextmanager
def run_two_nodes(folder: Path) -> Iterator[TwoNodes]:
    """Run a cluster of two nodes."""
    with ExitStack() as stack:
        cluster = TwoNodes(*(stack.enter_context(run_server(folder / name)) for name in ("one", "two")))
        stack.callback(cluster.close)
        yield cluster


@contextmanager
def run_tls_proxy(context: ssl.SSLContext, upstream: int) -> Iterator[int]:
    """Accept TLS connections on a port, which is yielded, and forward them to another port."""
    with create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, context, upstream), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: Socket, context: ssl.SSLContext, upstream: int) -> None:
    with suppress(OSError):  # the server was closed
        while True:
            client, _ = server.accept()
            threading.Thread(target=_serve, args=(client, context, upstream), daemon=True).start()


def _serve(client: Socket, context: ssl.SSLContext, upstream: int) -> None:
    with (
        client,
        suppress(OSError),
        context.wrap_socket(client, server_side=True) as secured,
        create_connection(("127.0.0.1", upstream)) as server,
    ):
        while request := secured.recv(65536):
            server.sendall(request)
            secured.sendall(server.recv(65536))
