"""The environment variables of the app and its tests."""

import os
import shlex

from devstack.paths import LOCAL, write_atomically
from devstack.services import data_keys, s3

ENV_FILE = LOCAL / "env"
LIMITS = ("messages", "conversations", "searches", "oauth_states", "connections", "queues", "rejections")
# Of the fake, which knows the app id 190000001: with CAPTCHA_APP_ID=190000001, bin/dev requires captchas.
CAPTCHA_KEYS = {
    "CAPTCHA_KEY_ID": "AKIDdemo",
    "CAPTCHA_KEY_SECRET": "demo-not-secret",
    "CAPTCHA_APP_SECRET": "demo-app-not-secret",
}
TEST_SETTINGS = {
    "POLL_SECONDS": "0.3",
    "SLOW_STATEMENT_MS": "60000",  # so that a busy machine adds no log lines; tests of these set their own
    "REDIS_TIMEOUT": "10",  # so that a busy machine is not taken for an outage; tests of an outage set their own
    # Tests and benchmarks act faster than people; tests of the limits set their own.
    "RATE_LIMITS": " ".join(f"{name}=100000/100000" for name in LIMITS),
    **dict.fromkeys(("CODES_OF_ADDRESS", "CODES_OF_HOSPITAL", "CODES_OF_PHONE"), "1000000"),
    "WECHAT_API_URL": "http://127.0.0.1:9",  # no server: tests must not reach the real WeChat
    "WECHAT_PAY_URL": "http://127.0.0.1:9",
    "PUBLIC_URL": "https://api.renhe.example",
}


def build(venv: str, urls: dict[str, str], tests: bool) -> dict[str, str]:
    """Return the developer's environment without its AWS variables, and with ours.

    Args:
        urls: the variables with the URLs of the services.
        tests: True for the environment of the tests.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "VIRTUAL_ENV"
    }
    return {
        **inherited,
        **urls,
        **get_s3_credentials(),
        "PATH": f"{LOCAL / venv / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "S3_BUCKET": "zhenxun-test" if tests else os.environ.get("S3_BUCKET", "zhenxun"),
        "AWS_REGION": s3.REGION,
        "AWS_DEFAULT_REGION": s3.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **(TEST_SETTINGS if tests else {"STAFF_IDLE_MINUTES": os.environ.get("STAFF_IDLE_MINUTES", "0")}),
        **CAPTCHA_KEYS,
        "SMS_PROVIDER": "file",
        "SMS_FILE": os.devnull if tests else "-",  # bin/dev prints SMS codes
        "DATA_KEYS_FILE": data_keys.ensure_file(),
        "ZHENXUN_STAGE": "local",
    }


def get_s3_credentials() -> dict[str, str]:
    """Return the developer's AWS credentials if S3_ENDPOINT_URL names their own S3, otherwise those of ours."""
    source = os.environ if os.environ.get("S3_ENDPOINT_URL") else {}
    return {
        "AWS_ACCESS_KEY_ID": source.get("AWS_ACCESS_KEY_ID", s3.ACCESS_KEY_ID),
        "AWS_SECRET_ACCESS_KEY": source.get("AWS_SECRET_ACCESS_KEY", s3.SECRET_ACCESS_KEY),
    }


def write_env_file(env: dict[str, str]) -> None:
    """Write .local/env, which a shell can source: `set -a; . .local/env; chalice local`."""
    variables = {
        name: value
        for name, value in env.items()
        if os.environ.get(name) != value and name != "PATH" and not name.startswith("DEVSTACK")
    }
    write_atomically(ENV_FILE, "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())))


def read_env_file() -> dict[str, str]:
    """Return the environment of the running bin/dev."""
    pairs = (word.partition("=") for word in shlex.split(ENV_FILE.read_text()))
    return {**os.environ, **{name: value for name, _, value in pairs}}
