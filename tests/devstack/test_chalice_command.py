"""`bin/chalice local` serves the app with Chalice's own command, its auto-reloader and WebSockets included."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from devstack.paths import ROOT
from devstack.services import processes
from tests.support.factories import Hospital
from tests.support.websocket_client import open_websocket


@pytest.fixture
def port() -> Iterator[int]:
    free = processes.find_free_port()
    command = [sys.executable, "-m", "devstack.apigateway.chalice_command", "local", "--port", str(free)]
    url = f"http://127.0.0.1:{free}"
    env = {**os.environ, "WS_ENDPOINT_URL": url, "PUBLIC_URL": url}
    # A session of its own: the command starts a worker process, which must end with it.
    child = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        while processes.is_port_free(free):
            assert child.poll() is None, "the command ended"
            time.sleep(0.05)
        yield free
    finally:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait(10)


def test_chalice_local_serves_requests_and_websockets(port: int, hospital: Hospital) -> None:
    patient = hospital.lin
    client = HTTPConnection("127.0.0.1", port, timeout=20)
    client.request("GET", "/pati_service/patient_service/members", headers={"token": patient.token})
    assert client.getresponse().status == 200
    client.close()
    with open_websocket(f"http://127.0.0.1:{port}", patient.token) as page:
        assert page.receive_backlog()[0] == []
