"""`bin/chalice local` serves the app with Chalice's own command, its auto-reloader and WebSockets included."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from chalice.cli import reloader
from chalice.cli.filewatch.stat import StatFileWatcher

from devstack.apigateway import chalice_command
from devstack.paths import ROOT
from devstack.services import processes
from tests.support.factories import Hospital
from tests.support.faults.final_state import wait_until
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
        wait_until(lambda: child.poll() is not None or not processes.is_port_free(free))
        assert child.poll() is None, "the command ended"
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


def test_reloader_watches_source_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The services write to .local all the time, and Python to its cache at each first import."""
    for path in (".local/dev/log", ".git/index", "chalicelib/__pycache__/a.pyc", "chalicelib/a.py", "app.py", ".swp"):
        write_new_version(tmp_path / path)
    watched: list[StatFileWatcher] = []
    monkeypatch.setattr(StatFileWatcher, "watch_for_file_changes", lambda watcher, *_: watched.append(watcher))
    monkeypatch.setattr(reloader, "get_best_worker_process", None)
    chalice_command.patch_reloader()
    worker: Any = reloader.get_best_worker_process()
    worker(None)._start_file_watcher(str(tmp_path))
    [watcher] = watched
    watcher._seed_mtime_cache(str(tmp_path))
    changes: list[str] = []

    def write_and_poll(path: str) -> None:
        write_new_version(tmp_path / path)
        watcher._single_pass_poll(str(tmp_path), lambda: changes.append(path))

    for path in (".local/dev/log", ".local/dev/new", ".git/new", "chalicelib/__pycache__/b.pyc", ".new"):
        write_and_poll(path)
    assert changes == []
    write_and_poll("chalicelib/a.py")
    assert changes == ["chalicelib/a.py"]


def write_new_version(path: Path) -> None:
    """Create a file, or give it a later time of change."""
    path.parent.mkdir(parents=True, exist_ok=True)
    changed_at = path.stat().st_mtime + 1 if path.exists() else time.time()
    path.touch()
    os.utime(path, (changed_at, changed_at))
