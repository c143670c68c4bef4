"""DATABASE_URL, REDIS_URL and S3_ENDPOINT_URL: external services to use instead of private ones."""

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
    """Return the variables that are set.

    Args:
        tests: change the URLs to the database NAME_test and the Redis database 1.

    Raises:
        CommandError: a URL is invalid or names another machine.
    """
    parsed = {name: parse_url(name, os.environ[name]) for name in EXPECTED_URLS if os.environ.get(name)}
    for name, url in parsed.items():
        if url.hostname not in LOOPBACK:  # demo accounts have known passwords, and --reset deletes everything
            raise CommandError(f"{name} points to another machine, but this command fills and empties the service")
    urls = {name: url.geturl() for name, url in parsed.items()}
    if tests and "DATABASE_URL" in parsed:
        urls["DATABASE_URL"] = get_test_database_url(parsed["DATABASE_URL"])
    if tests and "REDIS_URL" in parsed:
        urls["REDIS_URL"] = parsed["REDIS_URL"]._replace(path="/1").geturl()
    return urls


def parse_url(name: str, text: str) -> SplitResult:
    """Parse a URL; raise CommandError unless it has the scheme, a host and, for MySQL, a database."""
    scheme, example = EXPECTED_URLS[name]
    try:
        url = urlsplit(text)
        is_valid = url.scheme in (scheme, f"{scheme}s") and url.hostname and (url.port or 1)
    except ValueError:  # an invalid port
        is_valid = None
    if not is_valid or (name == "DATABASE_URL" and not url.path.strip("/")):
        raise CommandError(f"{name} should look like {example}")
    return url


def get_test_database_url(url: SplitResult) -> str:
    """Return the URL with `_test` appended to the database's name, so that tests never use the developer's own."""
    name = url.path.strip("/")
    return url._replace(path=f"/{name.removesuffix('_test')}_test").geturl()
