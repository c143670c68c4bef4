"""Download uv, which installs everything else, from a package index; its version and hash are pinned."""

import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

from devstack.console import CommandError
from devstack.paths import LOCAL

VERSION = "0.13.8"
WHEELS = {  # (system, machine): (file, SHA-256)
    ("Linux", "x86_64"): (
        "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
    ("Linux", "aarch64"): (
        "uv-0.13.8-py3-none-manylinux_2_28_aarch64.whl",
        "5337c30bb893b4f9ce0ceb921ba2da0d13f649da644f40ad3bef84083bef0203",
    ),
    ("Darwin", "arm64"): (
        "uv-0.13.8-py3-none-macosx_11_0_arm64.whl",
        "62b6943c7fd64fac6854f780bea6e0359e5a5bc3241f83ee357bb38276afac49",
    ),
    ("Darwin", "x86_64"): (
        "uv-0.13.8-py3-none-macosx_10_12_x86_64.whl",
        "b7124ca1956ec2e476a1003ea5715a15f0266afaec37f4dc9c6972ba8183e6d1",
    ),
}


def run_uv(*arguments: str) -> None:
    """Run uv; raise CommandError with its output if it fails."""
    result = subprocess.run([get_binary(), *arguments], env=build_environment(), capture_output=True, text=True)
    if result.returncode:
        raise CommandError(f"uv {' '.join(arguments[:2])} failed:\n{result.stderr.strip()}")


def get_binary() -> str:
    """Return the path of a uv of the pinned version: in .local/bin or on PATH, otherwise downloaded."""
    ours = LOCAL / "bin" / "uv"
    for path in (str(ours), shutil.which("uv") or ""):
        if path and read_version(path) == VERSION:
            return path
    download_binary(ours)
    return str(ours)


def read_version(path: str) -> str:
    """Return the version of a uv program, or '' if it does not run."""
    with contextlib.suppress(OSError):
        output = subprocess.run([path, "--version"], capture_output=True, text=True).stdout  # "uv 0.13.8 (…)"
        return output.removeprefix("uv ").split(" ")[0].strip()
    return ""


def download_binary(target: Path) -> None:
    """Download the pinned wheel for this machine and unpack its program; raise CommandError if that fails."""
    key = (platform.system(), platform.machine())
    if key not in WHEELS:
        raise CommandError(f"No pinned uv for {' '.join(key)}. Install uv {VERSION} on PATH.")
    name, digest = WHEELS[key]
    try:
        unpack_binary(download(get_wheel_url(name)), digest, target)
    except urllib.error.URLError as error:
        raise CommandError(
            f"{name} cannot be downloaded from {get_index_url()}: {error}. Set UV_DEFAULT_INDEX to a reachable index."
        ) from error


def get_wheel_url(name: str) -> str:
    """Return the URL of a file of uv in the index.

    Raises:
        CommandError: the index has no such file.

    Source: PEP 691
    """
    page = f"{get_index_url().rstrip('/')}/uv/"
    listing = json.loads(download(page, accept="application/vnd.pypi.simple.v1+json"))
    for file in listing["files"]:
        if file["filename"] == name:
            return str(urllib.parse.urljoin(page, file["url"]))
    raise CommandError(f"{get_index_url()} has no {name}.")


def download(url: str, accept: str = "*/*") -> bytes:
    """Return the body of a GET request."""
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as response:
        return bytes(response.read())


def unpack_binary(wheel: bytes, digest: str, target: Path) -> None:
    """Write the program in a wheel to `target`.

    Raises:
        CommandError: the SHA-256 of the wheel is not `digest`; nothing is written.
    """
    actual = hashlib.sha256(wheel).hexdigest()
    if actual != digest:
        raise CommandError(f"The uv wheel has SHA-256 {actual} instead of {digest}: nothing was installed.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f"uv.{os.getpid()}.tmp")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        temporary.write_bytes(archive.read(f"uv-{VERSION}.data/scripts/uv"))
    temporary.chmod(0o755)
    temporary.replace(target)


def get_index_url() -> str:
    """Return the URL of the package index that the environment names, or PyPI's."""
    return os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"


def build_environment() -> dict[str, str]:
    """Return the environment of uv.

    It uses the system's certificates (a company's proxy may have its own) and a writable cache; it downloads no Python.
    """
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1", "UV_DEFAULT_INDEX": get_index_url()}
    env.pop("VIRTUAL_ENV", None)
    home = Path(os.environ.get("HOME") or "/nonexistent")
    if "UV_CACHE_DIR" not in env and not os.access(home, os.W_OK):
        env["UV_CACHE_DIR"] = str(LOCAL / "cache")
    return env
