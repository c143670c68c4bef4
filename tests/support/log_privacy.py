"""Everything that this run of the tests logs, in whichever process, held against what no log line may tell.

A process that a test starts calls listen(), or has its log read by read().
"""

import logging
import os
import re
import tempfile
from pathlib import Path

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
            r'(?<!": )(?<![\w.:/+-])\d{6}(?![\w.:/-])',  # a code by SMS; a number of ours is no text
        ]
    )
)
# What tells something, of all processes: a run's children have its environment.
VIOLATIONS_FILE = Path(os.environ.setdefault("OVERHEARD", str(Path(tempfile.gettempdir(), f"overheard-{os.getpid()}"))))


class PersonalDataHandler(logging.Handler):
    """Keeps the lines that tell something, and counts all."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonFormatter())
        self.line_count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.check_line(self.format(record))

    def check_line(self, line: str) -> None:
        self.line_count += 1
        if PERSONAL_DATA.search(line):
            with VIOLATIONS_FILE.open("a", encoding="utf-8") as found:
                found.write(f"{line}\n")


HANDLER = PersonalDataHandler()


def install_handler() -> None:
    """Hear this process from now on. Importing app would put an end to it: it sets up logging."""
    logging.root.addHandler(HANDLER)


def check_log_file(log: Path) -> None:
    """Hear what a server has written by now."""
    for line in log.read_text("utf-8", "replace").splitlines():
        HANDLER.check_line(line)


def list_violations() -> list[str]:
    return VIOLATIONS_FILE.read_text("utf-8").splitlines() if VIOLATIONS_FILE.exists() else []
