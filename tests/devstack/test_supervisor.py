"""Starting and stopping the services if something goes wrong."""

import signal
import socket
from pathlib import Path

import pytest

from devstack.console import CommandError
from devstack.services import processes, service, supervisor, valkey
from devstack.services.supervisor import Stack


def test_service_whose_port_was_taken_gets_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "RUN", tmp_path / "run")
    monkeypatch.setattr(supervisor, "URL_VARIABLES", {"redis": "REDIS_URL"})
    stack = Stack("venv-dev", tmp_path, tests=True)
    supervisor.prepare_redis(stack)
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.services["redis"].port))
        other.listen()
        try:
            supervisor.start(stack)
            moved = stack.services["redis"]
            assert moved.port != other.getsockname()[1]
            assert "PONG" in valkey.send_command(moved.port, "PING")
            assert stack.build_env()["REDIS_URL"] == moved.url
        finally:
            supervisor.stop(stack)
    assert not processes.get_start_time(moved.pid)
    assert not list((tmp_path / "run").iterdir())


def test_log_of_a_server_that_ends_is_reported(tmp_path: Path) -> None:
    one = valkey.prepare("venv-dev", tmp_path, tmp_path / "log", durable=False)
    one.argv.append("--no-such-setting")
    service.start(one)
    with pytest.raises(CommandError, match="no-such-setting"):
        service.await_ready(one, valkey.is_ready)
    service.stop(one)


def test_second_ctrl_c_does_not_interrupt_the_stop() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with supervisor.ignore_signals():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGINT) is handler


def test_other_failure_is_reported_and_the_port_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(stack: Stack) -> None:
        supervisor.await_own_service(stack, "redis")
        raise CommandError("a migration is broken")

    monkeypatch.setattr(processes, "RUN", tmp_path / "run")
    monkeypatch.setattr(supervisor, "URL_VARIABLES", {"redis": "REDIS_URL"})
    monkeypatch.setattr(supervisor, "AWAIT_FUNCTIONS", {"redis": fail})
    stack = Stack("venv-dev", tmp_path, tests=True)
    supervisor.prepare_redis(stack)
    first = stack.services["redis"].port
    try:
        with pytest.raises(CommandError, match="a migration is broken"):
            supervisor.start(stack)
        assert stack.services["redis"].port == first
    finally:
        supervisor.stop(stack)
