"""DATABASE_URL, REDIS_URL, S3_ENDPOINT_URL: services run elsewhere. Tests get their own corner there."""

import os
from urllib.parse import SplitResult, urlsplit

from devstack.console import CommandError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
EXPECTED_URLS = {
    "DATABASE_URL": ("mysql", "mysql://user:password@host:3306/database"),
    "REDIS_URL": ("redis", "redis://host:6379/0"),
    "S3_ENDPOINT_URL": ("http", "http://host:port"),
}


def read_urls(tests: bool) -> dict[str, str]:
    """The variables that are set, checked; for tests pointed at database NAME_test and at Redis database 1."""
    found = {name: parse_url(name, os.environ[name]) for name in EXPECTED_URLS if os.environ.get(name)}
    for name, url in found.items():
        if url.hostname not in LOOPBACK:  # people with known passwords are put in, and --reset takes all out
            raise CommandError(f"{name} points away from this machine: what is filled and emptied here must be here")
    urls = {name: url.geturl() for name, url in found.items()}
    if tests and "DATABASE_URL" in found:
        urls["DATABASE_URL"] = get_test_database_url(found["DATABASE_URL"])
    if tests and "REDIS_URL" in found:
        urls["REDIS_URL"] = found["REDIS_URL"]._replace(path="/1").geturl()
    return urls


def parse_url(name: str, text: str) -> SplitResult:
    """Raises Refusal unless the URL names its scheme and host, and for MySQL its database."""
    scheme, example = EXPECTED_URLS[name]
    try:
        url = urlsplit(text)
        sound = url.scheme in (scheme, f"{scheme}s") and url.hostname and (url.port or 1)
    except ValueError:  # a port that is no port
        sound = None
    if not sound or (name == "DATABASE_URL" and not url.path.strip("/")):
        raise CommandError(f"{name} should look like {example}")
    return url


def get_test_database_url(url: SplitResult) -> str:
    """Never the developer's own database: its name with _test added."""
    name = url.path.strip("/")
    return url._replace(path=f"/{name.removesuffix('_test')}_test").geturl()
