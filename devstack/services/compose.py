"""The containers of localstack-compose.yml, for a machine on which no private service runs.

tests/devstack/test_compose.py compares these constants with the file.
"""

import shutil
import subprocess

from devstack.paths import ROOT

COMPOSE_FILE = "localstack-compose.yml"
URLS = {
    "mysql": "mysql://root:zhenxun@127.0.0.1:13306/zhenxun",
    "redis": "redis://127.0.0.1:16379/0",
    "s3": "http://127.0.0.1:14566",
}
TEST_URLS = {**URLS, "mysql": f"{URLS['mysql']}_test", "redis": "redis://127.0.0.1:16380/0"}
CONTAINERS = {"mysql": "mysql", "redis": "redis", "s3": "localstack"}
TEST_CONTAINERS = {**CONTAINERS, "redis": "redis-test"}


def start_container(name: str, tests: bool) -> str:
    """Start a service's container, wait for its health check, and return its URL; '' if Docker is not available."""
    if not shutil.which("docker"):
        return ""
    container = (TEST_CONTAINERS if tests else CONTAINERS)[name]
    command = ["docker", "compose", "-f", COMPOSE_FILE, "up", "-d", "--wait", container]
    if subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
        return ""
    return (TEST_URLS if tests else URLS)[name]
