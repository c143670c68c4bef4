"""Soak test: listeners of all transports lose connections, Redis is flushed, servers are killed."""

from pathlib import Path

from chalicelib.adapters import redis
from tests.support.factories import Hospital
from tests.support.soak import server_process, soak_run
from tests.support.soak.soak_run import SoakRun


def test_every_listener_receives_everything_once_despite_faults(hospital: Hospital, tmp_path: Path) -> None:
    run = run_with_faults(hospital, tmp_path, listeners=200, senders=20, each=100)
    assert run.find_problems() == [], run.format_figures()
    assert [one for one in run.listeners if not one.gap_count] == [], "every listener is notified of the flush"


def run_with_faults(hospital: Hospital, logs: Path, listeners: int, senders: int, each: int) -> SoakRun:
    """Send through one server process and listen through another, as with two Lambda functions."""
    with (
        server_process.run_server(logs / "listen.log") as listen_server,
        server_process.run_server(logs / "send.log", listen_server) as send_server,
    ):
        run = soak_run.create_soak_run(hospital, listen_server, send_server, listeners, senders, each)
        run.start()
        run.wait_until_sent(0.3)
        redis.get_client().flushall()
        run.wait_until_sent(0.5)
        listen_server.restart()
        run.wait_until_sent(0.7)
        send_server.restart()
        run.finish()
    return run
