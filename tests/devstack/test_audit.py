"""bin/check audit, with a local list of vulnerabilities in place of the public ones."""

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from devstack.cli import audit, check, testing

LOCK = f"""
jinja2==2.10 \\
    --hash=sha256:{"0" * 64}
pymysql==1.1.1 \\
    --hash=sha256:{"1" * 64}
"""
# Source: https://ossf.github.io/osv-schema/
VULNERABILITY = {
    "id": "GHSA-462w-v97r-4m45",
    "aliases": ["CVE-2019-10906"],
    "modified": "2024-01-01T00:00:00Z",
    "published": "2019-04-10T00:00:00Z",
    "summary": "a sandbox escape",
    "details": "",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.10.1"}]}],
        }
    ],
}


@pytest.fixture(autouse=True)
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text(LOCK)
    monkeypatch.setattr(audit, "LOCKS", [str(tmp_path / "requirements.txt")])
    monkeypatch.setattr(audit, "LOCAL", tmp_path)
    monkeypatch.setattr(testing, "install_tools", lambda: None)


class VulnerabilityList(BaseHTTPRequestHandler):
    """OSV's endpoint, which knows one vulnerability."""

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [VULNERABILITY]} if query["package"]["name"] == "jinja2" else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), VulnerabilityList) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/v1/query"
        monkeypatch.setattr(audit, "SOURCES", {"OSV": ("--vulnerability-service", "osv", "--osv-url", url)})
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("osv")
def test_known_vulnerability_fails_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.audit_dependencies() == 1
    printed = capsys.readouterr().err
    assert "2 packages audited with OSV" in printed
    assert "jinja2 2.10: " in printed
    assert "CVE-2019-10906" in printed
    assert "fixed in 2.10.1" in printed
    assert "pymysql" not in printed


@pytest.mark.usefixtures("osv")
def test_audit_without_findings_passes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(VULNERABILITY, "withdrawn", "2024-02-01T00:00:00Z")
    assert check.run_checks(["audit"]) == 0
    printed = capsys.readouterr().err
    assert "  audit       ok\n" in printed
    assert "not audited" not in printed


def test_unreachable_source_is_reported_and_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:9/v1/query")
    monkeypatch.setattr(audit, "SOURCES", {"OSV": closed})
    assert check.run_checks(["audit"]) == 0
    printed = capsys.readouterr().err
    assert "  audit       not audited\n" in printed
    assert "not audited: no list of known vulnerabilities could be read." in printed
    assert "OSV: " in printed


def fake_result(monkeypatch: pytest.MonkeyPatch, *dependencies: dict[str, Any]) -> None:
    output = json.dumps({"dependencies": dependencies, "fixes": []})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, output, ""))


SKIPPED = {"name": "jinja2", "skip_reason": "Dependency not found on PyPI and could not be audited: jinja2 (2.10)"}


def test_source_without_any_of_the_packages_is_no_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mirror of PyPI without vulnerabilities responds 404, with which pip-audit passes."""
    fake_result(monkeypatch, SKIPPED)
    assert audit.audit_dependencies() == audit.NOT_AUDITED
    assert "not audited: no list" in capsys.readouterr().err


def test_packages_that_a_source_does_not_know_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_result(monkeypatch, SKIPPED, {"name": "pymysql", "version": "1.1.1", "vulns": []})
    assert audit.audit_dependencies() == 0
    printed = capsys.readouterr().err
    assert "1 packages audited with PyPI" in printed
    assert "not audited: 1 packages that PyPI does not know." in printed
    assert "jinja2" in printed
