"""A private S3 that enforces POST policies and signatures: ministack.

It has its own Python environment, because it pins its version of botocore.
"""

import http.client
import signal
from pathlib import Path
from urllib.parse import urlsplit

from devstack.install import python_env
from devstack.services import processes
from devstack.services.service import Service

CORS_METHODS = ["GET", "HEAD", "POST"]  # allowed by the bucket's CORS rules
ACCESS_KEY_ID, SECRET_ACCESS_KEY, REGION = "zhenxun-local", "zhenxun-local-secret-key", "cn-northwest-1"


def prepare(folder: Path, log: Path) -> Service:
    """Return a service with its data in folder/s3. It is not started."""
    data, port = folder / "s3", processes.find_free_port()
    (data / "objects").mkdir(parents=True, exist_ok=True)
    python = python_env.get_python("venv-s3")
    dist_info = next(python_env.get_site_packages("venv-s3").glob("ministack-*.dist-info"))
    version = dist_info.name.split("-")[1].removesuffix(".dist")
    return Service(
        name="s3",
        label=f"ministack {version}",
        argv=[python, "-m", "ministack"],
        env=build_environment(data, port),
        port=port,
        folder=str(data),
        log=str(log),
        url=f"http://127.0.0.1:{port}",
        death_signal=signal.SIGKILL,
    )


def build_environment(data: Path, port: int) -> dict[str, str]:
    """Return the server's environment. It has nothing of the developer's, whose AWS credentials may be real."""
    return {
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "SERVICES": "s3,sts,iam",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(data / "objects"),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(data / "state"),
        "HOME": str(data),
        "TMPDIR": str(data),
        "PATH": "/usr/bin:/bin",
        "LOG_LEVEL": "WARNING",
    }


def has_bucket(url: str, bucket: str) -> bool:
    """Return whether the bucket exists with its CORS rules, by a preflight request, which needs no boto3."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        headers = {"Origin": "http://localhost", "Access-Control-Request-Method": "POST"}
        connection.request("OPTIONS", f"/{bucket}/", headers=headers)
        allowed = connection.getresponse().getheader("Access-Control-Allow-Methods", "")
        return sorted(method.strip() for method in allowed.split(",")) == CORS_METHODS
    except OSError:
        return False
    finally:
        connection.close()


def is_ready(service: Service) -> bool:
    """Return whether the server reports that it is healthy."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200
    finally:
        connection.close()
