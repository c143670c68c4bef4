"""Tests for bin/bench peers: the load generator, the front and clients of our app, and the report."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from bench.consultations import create_participants
from bench.peers import (
    command,
    http_clients,
    http_front,
    load,
    measurement,
    prosody,
    report,
    texts,
    xmpp_clients,
    xmpp_servers,
)
from bench.peers.load import Client, RejectedError, Slice
from bench.peers.measurement import Figures, Row
from bench.peers.systems import System
from devstack.console import CommandError
from devstack.install import debian


@contextmanager
def run_echo(respond: Callable[[bytes], list[bytes]], has_receiver: bool = False) -> Iterator[Client]:
    """Yield a client of a server that sends, for each request, these bytes to the client and to its receiver."""
    pairs = [socket.socketpair() for _ in range(2)]
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))

    def serve() -> None:
        while request := theirs[0].recv(1 << 16):
            for sock, data in zip(theirs, respond(request), strict=False):
                sock.sendall(data)

    thread = Thread(target=serve)
    thread.start()
    try:
        yield Client(
            ours[0],
            lambda number: b"%d" % number,
            lambda data, number: data == b"ok%d" % number,
            ours[1] if has_receiver else None,
            lambda number: b"<%d>" % number,
        )
    finally:
        ours[0].shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in (*ours, *theirs):
            one.close()


def test_client_sends_one_request_after_another() -> None:
    with run_echo(lambda request: [b"ok" + request]) as client:
        done = load.run([client], 0.05)
    assert client.number == len(done.responses) > 1
    assert done.seconds >= 0.05
    assert not done.deliveries


def test_message_is_done_when_it_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    with run_echo(lambda request: [b"ok" + request, b"..<%b>.." % request], has_receiver=True) as client:
        done = load.run([client], 0.05, pause=0.001)
    assert client.number == len(done.responses) == len(done.deliveries) > 1
    monkeypatch.setattr(load, "TIMEOUT_SECONDS", 0.1)
    with run_echo(lambda request: [b"ok" + request, b"<12>"], has_receiver=True) as client, pytest.raises(TimeoutError):
        load.run([client], 5)
    assert (client.number, client.has_response, client.has_delivery) == (1, True, False)


def test_rejected_request_ends_the_run() -> None:
    with run_echo(lambda _: [b"HTTP/1.1 403 Error\r\nContent-Length: 2\r\n\r\n{}"]) as client:
        client.is_complete = http_clients.is_complete
        with pytest.raises(RejectedError, match="403"):
            load.run([client], 5)


def test_text_has_100_bytes_of_utf_8() -> None:
    assert len(texts.build_text(7)) == 100
    assert texts.build_text(7).decode().startswith(texts.build_mark(7).decode())
    assert texts.build_mark(7) not in texts.build_text(77)


@pytest.mark.parametrize("size", [1, 10_000])
def test_front_serves_the_requests_of_the_clients(size: int) -> None:
    people = create_participants(1)
    for number in (1, 2):
        response = exchange(http_clients.create_send_builder(people, 0, "s0")(number), size)
        assert http_clients.is_complete(response)
        assert not http_clients.is_complete(response[:-1])
    page = exchange(http_clients.create_list_builder(people, 0)(1), size)
    assert http_clients.is_complete_page(page, 1)
    assert page.index(texts.build_text(2)) < page.index(texts.build_text(1))
    with pytest.raises(RejectedError):
        http_clients.is_complete_page(page.replace(b'"msg_id"', b'"msgs_id"', 1), 1)


def exchange(request: bytes, size: int) -> bytes:
    """Send a request to the front in pieces of `size` bytes and return the response."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = http_front.Connection(theirs)
        for begin in range(0, len(request), size):
            ours.sendall(request[begin : begin + size])
            assert connection.serve()
        return ours.recv(1 << 18)


def test_acknowledgement_counts_every_message_of_the_session() -> None:
    assert xmpp_clients.is_acknowledged(b"<a h='12' xmlns='urn:xmpp:sm:3'/>", 12)
    assert xmpp_clients.is_acknowledged(b'<a xmlns="urn:xmpp:sm:3" h="12"/>', 12)
    assert not xmpp_clients.is_acknowledged(b"<a h='11' xmlns='urn:xmpp:sm:3'/>", 12)
    assert not xmpp_clients.is_acknowledged(b"<r xmlns='urn:xmpp:sm:3'/>", 12)
    with pytest.raises(RejectedError):
        xmpp_clients.is_acknowledged(b"<message type='error' id='m12'></message>", 12)


def test_page_of_an_archive_has_20_messages() -> None:
    results = b"<message><result id='1'></result></message>" * 20
    assert not xmpp_clients.is_complete_page(results, 1)
    assert xmpp_clients.is_complete_page(results + b"<iq><fin/></iq>", 1)
    with pytest.raises(RejectedError):
        xmpp_clients.is_complete_page(results * 2 + b"<iq><fin/></iq>", 1)


@pytest.mark.parametrize(("stored", "code"), [(12, 0), (13, 0), (11, 1)])
def test_lost_message_fails_the_run(stored: int, code: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(ours, lambda _: b"", lambda *_: True, number=5)
        system = System("ours", "", [], {"send": [client], "deliver": [client]}, lambda: stored, initial_messages=2)
        assert command._report_stored([system]) == code


def test_peer_that_is_not_here_is_named_with_its_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "PACKAGES_FOLDER", tmp_path)
    monkeypatch.setattr(debian, "unpack_package", lambda *packages: tmp_path / " ".join(packages))
    monkeypatch.setattr(debian, "is_available", lambda: True)
    server = xmpp_servers.XmppServer("x", ("x", "x-mysql"), ("no/such/file",), prosody.prepare, "")
    with pytest.raises(CommandError, match="not installed"):
        xmpp_servers.find_root(server, may_download=False)
    assert xmpp_servers.find_root(server, may_download=True) == tmp_path / "x x-mysql"
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "done").touch()
    assert xmpp_servers.find_root(server, may_download=False) == tmp_path / "x"


def build_rows(ours: float, peer: float, case: str, clients: int) -> report.Rows:
    def build_row(p50: float) -> Row:
        done = Slice(seconds=1.0)
        done.responses.extend([p50] * round(1 / p50))
        return Row(
            [measurement.build_figures(measurement.CASES["send"], done, {"app": 0.1, "mysql": 0.2, "redis": 0.0}, 0.0)]
        )

    return {(case, clients, "ours"): build_row(ours), (case, clients, "ejabberd"): build_row(peer)}


@pytest.mark.parametrize(
    ("case", "clients", "ours", "missed"),
    [
        ("send", 1, 0.0099, False),
        ("send", 1, 0.0101, True),
        ("send", 8, 0.0078, False),
        ("send", 8, 0.0085, True),
        ("newest 20", 1, 0.0016, False),
        ("newest 20", 1, 0.0019, True),
        ("deliver", 1, 0.0099, False),
        ("deliver", 1, 0.0101, True),
    ],
)
def test_missed_targets_are_marked(case: str, clients: int, ours: float, missed: bool) -> None:
    text = report.format_tables(build_rows(ours, 0.01, case, clients), ["ours", "ejabberd"])
    assert "≤" in text or "≥" in text
    assert ("MISSED" in text) == missed


def test_figures_are_medians_of_the_slices() -> None:
    slices = [Figures(rate, *[0.0] * 8) for rate in (100, 900, 300)]
    assert Row(slices).get_median(lambda one: one.rate) == 300


@pytest.mark.parametrize(("p50", "p99", "missed"), [(2.0, 2.0, False), (3.0, 2.0, True), (2.0, 3.0, True)])
def test_delivery_must_be_as_fast_as_the_better_peer_in_both_percentiles(p50: float, p99: float, missed: bool) -> None:
    rows = {
        ("deliver", 1, name): Row([Figures(1.0, *percentiles, *[0.0] * 6)])
        for name, percentiles in {"ours": (p50, p99), "ejabberd": (2.0, 9.0), "prosody": (9.0, 2.0)}.items()
    }
    assert ("MISSED" in report.format_tables(rows, ["ours", "ejabberd", "prosody"])) == missed


def test_response_of_constant_size_is_received_at_once() -> None:
    with run_echo(lambda request: [b"ok" + request]) as client:
        client.has_constant_size = True
        client.build_request, client.is_complete = lambda _: b"page", lambda data, _: data == b"okpage"
        load.run([client], 0.02)
        assert client.number > 1
        assert client.sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT) == len(b"okpage")


def test_times_of_a_delivery_are_those_of_the_arrival() -> None:
    done = Slice(seconds=1.0)
    done.responses.extend([0.001] * 3)
    done.deliveries.extend([0.005] * 3)
    cpu = {"app": 0.003, "mysql": 0.006, "redis": 0.009}
    delivered = measurement.build_figures(measurement.CASES["deliver"], done, cpu, 0.0)
    sent = measurement.build_figures(measurement.CASES["send, online"], done, cpu, 0.0)
    assert [round(one, 6) for one in (delivered.p50, delivered.p99, delivered.response_p50)] == [5, 5, 1]
    assert [round(one, 6) for one in (sent.p50, sent.p99, sent.response_p50)] == [1, 1, 1]
    assert [round(one) for one in (sent.app_cpu, sent.mysql_cpu, sent.redis_cpu, sent.server_cpu)] == [
        *(1000, 2000, 3000, 6000)
    ]


NO_PROCESS_GROUP = 1 << 30


def test_cpu_of_a_process_group_includes_its_children() -> None:
    group = os.getpgrp()
    before = measurement.get_cpu_seconds({"app": [group], "redis": [NO_PROCESS_GROUP]})
    burn = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-S", "-c", burn], check=True)
    after = measurement.get_cpu_seconds({"app": [group], "redis": [NO_PROCESS_GROUP]})
    assert after["app"] - before["app"] >= 0.09
    assert before["redis"] == after["redis"] == 0
