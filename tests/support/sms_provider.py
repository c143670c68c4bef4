"""An SMS provider whose answers a test scripts, in a time of its own."""

from collections.abc import Iterator

import pytest

from chalicelib import clock, errors
from chalicelib.adapters import mysql, sms
from chalicelib.errors import ApiError
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from tests.support.accounts_client import REGISTER_CODE, UNUSED_PHONE, request_code
from tests.support.factories import Hospital


class Provider:
    """An SMS provider in a test's own time. `script` says what each attempt does; the last entry is repeated."""

    def __init__(self) -> None:
        self.now = clock.now()
        self.script = ["accept"]  # accept, refuse, or lose: the SMS arrives, but the provider's response does not
        self.attempts: list[tuple[float, str]] = []  # seconds, code
        self.sent: list[tuple[str, str]] = []  # phone, code; of the same attempts

    def send(self, phone: str, code: str) -> None:
        self.attempts.append((self.now / clock.SECOND, code))
        self.sent.append((phone, code))
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if step == "refuse":
            raise sms.SmsError("isv.BUSINESS_LIMIT_CONTROL")
        if step == "lose":
            raise ApiError(errors.UNAVAILABLE)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * clock.SECOND)

    def request(self, hospital: Hospital, script: str, path: str = REGISTER_CODE, minutes: float = 0) -> str:
        """Request a code after some minutes, let a worker run once, and return the code of its last attempt."""
        self.wait(minutes * 60)
        self.script = script.split()
        phone = UNUSED_PHONE if path == REGISTER_CODE else hospital.lin.phone
        assert request_code(hospital, phone, path).status == 200
        outbox.run_due_jobs(Queue.EXTERNAL)
        return self.attempts[-1][1]


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """Time stands still but for `wait` and the sleep of the worker, which the test runs itself."""
    mysql.autocommit.execute("DELETE FROM outbox")
    provider = Provider()
    monkeypatch.setattr(clock, "now", lambda: provider.now)
    monkeypatch.setattr(clock, "monotonic", lambda: provider.now / clock.SECOND)
    monkeypatch.setattr(clock, "sleep", provider.wait)
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    monkeypatch.setitem(sms.PROVIDERS, "file", provider.send)
    yield provider
    mysql.autocommit.execute("DELETE FROM outbox")
    mysql.autocommit.execute("DELETE FROM quotas")  # which all hospitals share, of a time to come
