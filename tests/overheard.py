"""Everything that this run of the tests logs, held against what no log line may tell."""

import logging
import re

from chalicelib import logs

PEOPLE = ("林小雨", "林小宝", "王强", "陈医生", "周医生", "客服小李")
SECRETS = ("Demo-12345", "Neues-12345", "Anderes-12345")
TELLING = re.compile(
    "|".join(
        [
            *map(re.escape, (*PEOPLE, *SECRETS)),
            r"(?<![\w.])1[3-9]\d{9}(?!\w)",  # a phone
            r"(?<!\w)\d{17}[\dXx](?!\w)",  # an ID number
            r"(?<![\w-])[\w-]{43}(?![\w-])",  # a token
        ]
    )
)


class Listener(logging.Handler):
    """Keeps the lines that tell something, and counts the others."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logs.JsonLines())
        self.heard = 0
        self.telling: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard += 1
        line = self.format(record)
        if TELLING.search(line):
            self.telling.append(line)


LISTENER = Listener()
