"""The environment that the app and its tests are given."""

import os
import shlex

from devstack.paths import LOCAL, write_atomically
from devstack.services import data_keys, s3

ENV_FILE = LOCAL / "env"
TEST_SETTINGS = {
    "POLL_SECONDS": "0.3",
    "REDIS_TIMEOUT": "10",  # a busy machine is no silent Redis: where it is silent, the test says how long to wait
    "WECHAT_API_URL": "http://127.0.0.1:9",  # no test speaks to the real WeChat
    "WECHAT_PAY_URL": "http://127.0.0.1:9",
    "PUBLIC_URL": "https://api.renhe.example",
}


def build(venv: str, urls: dict[str, str], tests: bool) -> dict[str, str]:
    """The developer's environment without its AWS part, and ours. Their credentials count only for an S3 of theirs."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "VIRTUAL_ENV"}
    return {
        **plain,
        **urls,
        **get_s3_credentials(),
        "PATH": f"{LOCAL / venv / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "S3_BUCKET": "zhenxun-test" if tests else os.environ.get("S3_BUCKET", "zhenxun"),
        "AWS_REGION": s3.REGION,
        "AWS_DEFAULT_REGION": s3.REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        **(TEST_SETTINGS if tests else {}),
        "SMS_PROVIDER": "file",
        "SMS_FILE": os.devnull if tests else "/dev/stderr",  # bin/dev shows the codes that it "sends"
        "DATA_KEYS_FILE": data_keys.ensure_file(),
        "ZHENXUN_STAGE": "local",
    }


def get_s3_credentials() -> dict[str, str]:
    theirs = os.environ if os.environ.get("S3_ENDPOINT_URL") else {}
    return {
        "AWS_ACCESS_KEY_ID": theirs.get("AWS_ACCESS_KEY_ID", s3.ACCESS_KEY_ID),
        "AWS_SECRET_ACCESS_KEY": theirs.get("AWS_SECRET_ACCESS_KEY", s3.SECRET_ACCESS_KEY),
    }


def write_env_file(env: dict[str, str]) -> None:
    """Writes .local/env, for a shell to source: `set -a; . .local/env; chalice local`."""
    ours = {
        name: value
        for name, value in env.items()
        if os.environ.get(name) != value and name != "PATH" and not name.startswith("DEVSTACK")
    }
    write_atomically(ENV_FILE, "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(ours.items())))


def read_env_file() -> dict[str, str]:
    """The environment of the bin/dev that is running."""
    pairs = (word.partition("=") for word in shlex.split(ENV_FILE.read_text()))
    return {**os.environ, **{name: value for name, _, value in pairs}}
