"""Settings are checked when a process starts."""

import os
import subprocess
import sys

import pytest

KEYS = {"CAPTCHA_KEY_ID": "a", "CAPTCHA_KEY_SECRET": "b", "CAPTCHA_APP_SECRET": "c"}


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-c", "from chalicelib.settings import settings"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "variables",
    [
        {"CODES_OF_ADDRESS": "0"},
        {"CODES_OF_HOSPITAL": "0"},
        {"CODES_OF_PHONE": "-1"},
        {"CAPTCHA_FREE_CODES": "0"},
        {"UPLOAD_FORMS_PER_DAY": ""},
        {"BODY_LIMIT": "1e6"},
        {"TRUSTED_PROXIES": "-1"},
        {"CAPTCHA_APP_ID": "app", **KEYS},
        {"CAPTCHA_APP_ID": "190000001", **KEYS, "CAPTCHA_KEY_ID": ""},
        {"CAPTCHA_APP_ID": "190000001", **KEYS, "CAPTCHA_KEY_SECRET": ""},
        {"CAPTCHA_APP_ID": "190000001", **KEYS, "CAPTCHA_APP_SECRET": ""},
    ],
)
def test_process_with_an_invalid_setting_does_not_start(variables: dict[str, str]) -> None:
    process = start(**variables)
    assert process.returncode == 1
    assert "ValueError: " + next(iter(variables)) in process.stderr


def test_valid_settings_are_accepted() -> None:
    process = start(TRUSTED_PROXIES="0", STAFF_IDLE_MINUTES="0", CODES_OF_ADDRESS="1", CAPTCHA_APP_ID="1", **KEYS)
    assert (process.returncode, process.stderr) == (0, "")
