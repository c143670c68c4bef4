"""localstack-compose.yml agrees with devstack/services/compose.py; checked without Docker."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from devstack.paths import ROOT
from devstack.services import compose, mariadb

FILE = yaml.safe_load((ROOT / compose.COMPOSE_FILE).read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
CONTAINER_URLS = [
    *((compose.CONTAINERS[name], url) for name, url in compose.URLS.items()),
    *((compose.TEST_CONTAINERS[name], url) for name, url in compose.TEST_URLS.items()),
]


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_every_image_is_pinned_to_a_patch_version_and_has_a_health_check(service: dict[str, Any]) -> None:
    assert re.search(r":\d+\.\d+\.\d+(-alpine)?$", service["image"])
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_images_have_the_versions_of_production() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert images["localstack"] == "localstack/localstack:4.14.0"  # the last version without a token
    assert images["mysql"].startswith("mysql:8.4.")
    assert images["redis"].startswith("redis:7.")


@pytest.mark.parametrize(("container", "url"), CONTAINER_URLS)
def test_urls_agree_with_the_ports_of_the_containers(container: str, url: str) -> None:
    published = [port.rsplit(":", 2) for port in SERVICES[container]["ports"]]
    assert [(host, int(outside)) for host, outside, _ in published] == [("127.0.0.1", urlsplit(url).port)]


def test_every_container_has_its_own_ports() -> None:
    ports = [port for service in SERVICES.values() for port in service["ports"]]
    assert len(ports) == len(set(ports))


def test_database_has_our_account_and_our_sql_mode() -> None:
    url, service = urlsplit(compose.URLS["mysql"]), SERVICES["mysql"]
    assert (url.username, url.password) == ("root", service["environment"]["MYSQL_ROOT_PASSWORD"])
    assert url.path == f"/{service['environment']['MYSQL_DATABASE']}"
    assert f"--sql-mode={mariadb.SQL_MODE}" in service["command"]
    assert "--transaction-isolation=READ-COMMITTED" in service["command"]


def test_caches_are_clusters_and_tests_have_their_own() -> None:
    for name in ("redis", "redis-test"):
        words = SERVICES[name]["command"]
        assert words[words.index("--cluster-enabled") + 1] == "yes"
    assert urlsplit(compose.URLS["redis"]).port != urlsplit(compose.TEST_URLS["redis"]).port
