"""Check every log line of a test run for what no log line may contain: names, phones, codes, passwords, tokens.

A process that a test starts calls install_handler(), or has its log read by check_log_file(). LogPrivacyCheck is a
pytest plugin that fails the run at its end; with pytest-xdist, each worker sends its lines to the process that started
it.
"""

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from chalicelib import logs

PEOPLE_NAMES = ("林小雨", "林小宝", "王强", "陈医生", "周医生", "客服小李")
SECRETS = ("Demo-12345", "Neues-12345", "Anderes-12345")
PERSONAL_DATA = re.compile(
    "|".join(
        [
            *map(re.escape, (*PEOPLE_NAMES, *SECRETS)),
            r"(?<![\w.])1[3-9]\d{9}(?!\w)",  # a phone
            r"(?<!\w)\d{17}[\dXx](?!\w)",  # an ID number
            r"(?<![\w-])[\w-]{43}(?![\w-])",  # a token
            r'(?<!": )(?<![\w.:/+-])\d{6}(?![\w.:/-])',  # an SMS code; JSON numbers and identifiers are excluded
        ]
    )
)
# Violations of all processes of a run, which share its environment. Each xdist worker has its own file.
_RUN = os.environ.setdefault("LOG_VIOLATIONS_FILE", str(Path(tempfile.gettempdir(), f"log-violations-{os.getpid()}")))
VIOLATIONS_FILE = Path(f"{_RUN}{os.environ.get('PYTEST_XDIST_WORKER', '')}")


class PersonalDataHandler(logging.Handler):
    """Record the lines with personal data, and count all lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self.line_count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.check_line(self.format(record))

    def check_line(self, line: str) -> None:
        self.line_count += 1
        if PERSONAL_DATA.search(line):
            with VIOLATIONS_FILE.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


HANDLER = PersonalDataHandler()


def install_handler() -> None:
    """Check the log of this process. To be called after the import of app, which replaces the handlers."""
    logging.root.addHandler(HANDLER)


def check_log_file(log: Path) -> None:
    """Check the log that a server has written so far."""
    for line in log.read_text("utf-8", "replace").splitlines():
        HANDLER.check_line(line)


def list_violations() -> list[str]:
    return VIOLATIONS_FILE.read_text("utf-8").splitlines() if VIOLATIONS_FILE.exists() else []


class LogPrivacyCheck:
    """Fail the run if any log line of it contained personal data or a secret."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def pytest_collection_finish(self) -> None:
        VIOLATIONS_FILE.unlink(missing_ok=True)
        install_handler()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker of pytest-xdist has ended."""
        self.lines += getattr(node, "workeroutput", {}).get("log_violations", [])

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        self.lines += list_violations()
        VIOLATIONS_FILE.unlink(missing_ok=True)
        logging.root.removeHandler(HANDLER)
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["log_violations"] = self.lines
        elif self.lines:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.lines:
            terminalreporter.section("personal data or secrets in log lines: this run has failed", red=True)
            for line in self.lines:
                terminalreporter.line(line)
