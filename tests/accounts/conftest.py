"""Fixtures that read SMS codes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.adapters import sms
from chalicelib.settings import settings
from tests.support.fast_passwords import fast_hashes
from tests.support.faults.final_state import wait_until

__all__ = ["fast_hashes"]

ReadSms = Callable[..., list[str]]


@pytest.fixture
def read_sms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReadSms:
    """Return read_sms(phone, number), which waits for so many codes and returns all codes of that phone."""
    file = tmp_path / "sms"
    file.touch()
    monkeypatch.setattr(sms, "settings", replace(settings, sms=replace(settings.sms, file_path=str(file))))

    def read(phone: str) -> list[str]:
        lines = [line.split() for line in file.read_text("utf-8").splitlines()]
        # A notice, perhaps of a job that an earlier test enqueued, is no code.
        return [text for _, to, text in lines if to == phone and text.isdecimal()]

    def inbox(phone: str, number: int = 1) -> list[str]:
        wait_until(lambda: len(read(phone)) >= number)
        return read(phone)

    return inbox
