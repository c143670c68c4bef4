"""External services are used if their variables are set; tests use databases of their own in them."""

import pytest

from devstack.console import CommandError
from devstack.services import app_environment, overrides, s3


@pytest.fixture(autouse=True)
def clear_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*overrides.EXPECTED_URLS, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_unset_variables_override_nothing() -> None:
    assert overrides.read_urls(tests=False) == {}


def test_app_uses_the_urls_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {
        "DATABASE_URL": "mysql://me:p%40ss@localhost:3307/hospital",
        "REDIS_URL": "rediss://127.0.0.1:6380/0",
        "S3_ENDPOINT_URL": "https://localhost",
    }
    for name, url in urls.items():
        monkeypatch.setenv(name, url)
    assert overrides.read_urls(tests=False) == urls


@pytest.mark.parametrize(
    ("database", "test_database"), [("hospital", "hospital_test"), ("hospital_test", "hospital_test")]
)
def test_tests_never_use_the_developers_database(
    monkeypatch: pytest.MonkeyPatch, database: str, test_database: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"mysql://me:secret@localhost:3307/{database}?tls=1")
    assert overrides.read_urls(tests=True) == {
        "DATABASE_URL": f"mysql://me:secret@localhost:3307/{test_database}?tls=1"
    }


@pytest.mark.parametrize("tests", [True, False])
@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "mysql://me:secret@db.example:3306/hospital"),
        ("REDIS_URL", "redis://10.0.0.5:6379/0"),
        ("S3_ENDPOINT_URL", "https://s3.example"),
    ],
)
def test_services_on_other_machines_are_rejected(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str, tests: bool
) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(CommandError, match="points to another machine"):
        overrides.read_urls(tests=tests)


def test_tests_use_redis_database_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1/0")
    assert overrides.read_urls(tests=True) == {"REDIS_URL": "redis://127.0.0.1/1"}


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("DATABASE_URL", "postgres://db/x"),
        ("DATABASE_URL", "mysql://user:password@db:3306"),
        ("DATABASE_URL", "mysql:///x"),
        ("DATABASE_URL", "mysql://db:port/x"),
        ("DATABASE_URL", "mysql://db:99999/x"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("S3_ENDPOINT_URL", "localhost"),
    ],
)
def test_invalid_url_is_rejected_with_an_example(monkeypatch: pytest.MonkeyPatch, name: str, url: str) -> None:
    monkeypatch.setenv(name, url)
    with pytest.raises(CommandError, match=f"{name} should look like"):
        overrides.read_urls(tests=False)


def test_aws_credentials_are_not_passed_to_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "real")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_PROFILE", "production")
    env = app_environment.build("venv", {}, tests=False)
    assert (env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]) == (s3.ACCESS_KEY_ID, s3.SECRET_ACCESS_KEY)
    assert not {"AWS_SESSION_TOKEN", "AWS_PROFILE"} & env.keys()


def test_aws_credentials_are_passed_for_an_external_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "https://localhost")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "theirs")
    assert app_environment.build("venv", {}, tests=False)["AWS_ACCESS_KEY_ID"] == "theirs"
