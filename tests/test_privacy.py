"""The check that log lines contain no phone, name, ID number, code, password or token."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import log_privacy
from tests.support.client import post
from tests.support.factories import PASSWORD, Hospital
from tests.support.fast_passwords import fast_hashes
from tests.support.id_numbers import build_id_number
from tests.support.log_privacy import HANDLER, PERSONAL_DATA, list_violations
from tests.support.processes import run_in_processes
from tests.support.soak import server_process

__all__ = ["fast_hashes"]

ROOT = Path(__file__).parents[1]
REGISTER = """
from tests.support.log_privacy import LogPrivacyCheck

def pytest_configure(config):
    config.pluginmanager.register(LogPrivacyCheck())
"""


@pytest.mark.parametrize(
    "text",
    [
        "电话 13800000001",
        build_id_number(),
        f'{{"password":"{PASSWORD}"}}',
        "林小雨",
        "tD6Dr3MrkIFOSLbrVoBbNnHWG9Y6wfP7PMzzzslcqVM",
        *(
            "code 042917",
            "SMS to somebody 042917",
            "verCode=042917",
            '", "code": "042917',
            '\\"verCode\\":\\"042917\\"',
        ),
    ],
)
def test_personal_data_is_reported(text: str) -> None:
    assert PERSONAL_DATA.search(f'{{"event": "{text}"}}')


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-05T09:30:00.123+08:00", "87ba7679-b682-47e7-8499-0385dda22b66", "1795742387926280", "user:13"),
        *('", "outbox_id": 123456, "ms": 123456.7, "job": "code', "user:123456", "log.py:123456 run", "v1.123456"),
    ],
)
def test_other_text_is_not_reported(text: str) -> None:
    assert not PERSONAL_DATA.search(f'{{"event": "{text}"}}')


@pytest.mark.usefixtures("fast_hashes")
def test_log_lines_of_a_sign_in_are_checked(hospital: Hospital) -> None:
    before, where = HANDLER.line_count, {"tenantId": str(hospital.tenant_id)}
    post("/pati_service/patient_service/login", headers=where, phone=hospital.lin.phone, password=PASSWORD)
    assert HANDLER.line_count > before


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
@pytest.mark.parametrize(("text", "code"), [("SMS 042917", 1), ("an SMS", 0)])
def test_run_that_logs_a_secret_fails(tmp_path: Path, workers: list[str], text: str, code: int) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]")
    (tmp_path / "conftest.py").write_text(REGISTER)
    (tmp_path / "test_logs.py").write_text(f"import logging\ndef test_logs():\n    logging.warning({text!r})")
    run = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LOG_VIOLATIONS"))}
    environment = {**run, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "xdist", *workers, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, "1 passed" in done.stdout) == (code, True)
    assert ("secrets in log lines" in done.stdout, f'"{text}"' in done.stdout) == (code == 1, code == 1)


@pytest.fixture
def restore_violations() -> Iterator[None]:
    """Remove the violations that a test produces on purpose."""
    before = log_privacy.VIOLATIONS_FILE.read_bytes() if log_privacy.VIOLATIONS_FILE.exists() else b""
    yield
    log_privacy.VIOLATIONS_FILE.write_bytes(before)


def log_warning(text: str) -> int:
    logging.getLogger(__name__).warning(text)
    return os.getpid()


@pytest.mark.usefixtures("restore_violations")
def test_log_of_a_child_process_is_checked() -> None:
    assert run_in_processes(log_warning, [("电话 13800000001",)]) != [os.getpid()]
    assert "电话 13800000001" in list_violations()[-1]


@pytest.mark.usefixtures("restore_violations")
def test_log_of_a_server_process_is_checked(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with server_process.run_server(log):
        log.write_text("SMS 042917\n")
    assert list_violations()[-1] == "SMS 042917"
