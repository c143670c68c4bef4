"""The one tool that everything else is installed with: uv, pinned by version and hash, from a package index."""

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
WHEELS = {  # (system, machine) -> file, sha256
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
    """Runs uv; its words are shown only where it fails."""
    done = subprocess.run([get_binary(), *arguments], env=build_environment(), capture_output=True, text=True)
    if done.returncode:
        raise CommandError(f"uv {' '.join(arguments[:2])} failed:\n{done.stderr.strip()}")


def get_binary() -> str:
    """The path of a uv of exactly our version: ours, or the one on PATH; else it is fetched."""
    ours = LOCAL / "bin" / "uv"
    for path in (str(ours), shutil.which("uv") or ""):
        if path and read_version(path) == VERSION:
            return path
    download_binary(ours)
    return str(ours)


def read_version(path: str) -> str:
    with contextlib.suppress(OSError):
        said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout  # "uv 0.13.8 (…)"
        return said.removeprefix("uv ").split(" ")[0].strip()
    return ""


def download_binary(target: Path) -> None:
    here = (platform.system(), platform.machine())
    if here not in WHEELS:
        raise CommandError(f"No pinned uv for {' '.join(here)}. Install uv {VERSION} yourself and have it on PATH.")
    name, digest = WHEELS[here]
    try:
        unpack_binary(download(get_wheel_url(name)), digest, target)
    except urllib.error.URLError as error:
        raise CommandError(
            f"{name} cannot be fetched from {get_index_url()}: {error}. Set UV_DEFAULT_INDEX to a reachable index."
        ) from error


def get_wheel_url(name: str) -> str:
    """Where the index keeps that file (PEP 691)."""
    page = f"{get_index_url().rstrip('/')}/uv/"
    listing = json.loads(download(page, accept="application/vnd.pypi.simple.v1+json"))
    for file in listing["files"]:
        if file["filename"] == name:
            return str(urllib.parse.urljoin(page, file["url"]))
    raise CommandError(f"{get_index_url()} has no {name}.")


def download(url: str, accept: str = "*/*") -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=60) as answer:
        return bytes(answer.read())


def unpack_binary(wheel: bytes, digest: str, target: Path) -> None:
    """Writes the wheel's uv to target; refuses a wheel whose SHA-256 is not the pinned one."""
    found = hashlib.sha256(wheel).hexdigest()
    if found != digest:
        raise CommandError(f"The uv wheel has SHA-256 {found}, pinned is {digest}: nothing was installed.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"uv.{os.getpid()}.draft")
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        draft.write_bytes(archive.read(f"uv-{VERSION}.data/scripts/uv"))
    draft.chmod(0o755)
    draft.replace(target)


def get_index_url() -> str:
    return os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL") or "https://pypi.org/simple"


def build_environment() -> dict[str, str]:
    """The system's certificates (a company's proxy may have its own), no downloaded Pythons, a cache we may write."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_SYSTEM_CERTS": "1", "UV_DEFAULT_INDEX": get_index_url()}
    env.pop("VIRTUAL_ENV", None)
    home = Path(os.environ.get("HOME") or "/nonexistent")
    if "UV_CACHE_DIR" not in env and not os.access(home, os.W_OK):
        env["UV_CACHE_DIR"] = str(LOCAL / "cache")
    return env
