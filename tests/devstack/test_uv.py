"""uv is downloaded from an index and verified."""

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from devstack.console import CommandError
from devstack.install import uv


def build_wheel(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(f"uv-{uv.VERSION}.data/scripts/uv", content)
    return packed.getvalue()


def test_wheel_with_another_hash_is_rejected_and_not_written(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="SHA-256"):
        uv.unpack_binary(
            build_wheel(b"evil"), hashlib.sha256(build_wheel(b"good")).hexdigest(), tmp_path / "bin" / "uv"
        )
    assert not (tmp_path / "bin").exists()


def test_pinned_wheel_is_unpacked_as_executable(tmp_path: Path) -> None:
    packed = build_wheel(f"#!/bin/sh\necho 'uv {uv.VERSION} (x86_64)'\n".encode())
    uv.unpack_binary(packed, hashlib.sha256(packed).hexdigest(), tmp_path / "bin" / "uv")
    assert uv.read_version(str(tmp_path / "bin" / "uv")) == uv.VERSION


def test_version_of_a_program_is_read(tmp_path: Path) -> None:
    other = tmp_path / "uv"
    other.write_text("#!/bin/sh\necho 'uv 0.1.0'\n")
    other.chmod(0o755)
    assert uv.read_version(str(other)) == "0.1.0"
    assert uv.read_version(str(tmp_path / "none")) == ""


def test_relative_urls_of_a_mirror_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple/")
    listing = {"files": [{"filename": "uv.whl", "url": "../../packages/uv.whl"}]}
    monkeypatch.setattr(uv, "download", lambda url, **_: json.dumps(listing if url.endswith("/simple/uv/") else {}))
    assert uv.get_wheel_url("uv.whl") == "https://mirror.example/packages/uv.whl"
    with pytest.raises(CommandError, match=r"has no other\.whl"):
        uv.get_wheel_url("other.whl")


def test_cache_moves_if_the_home_folder_is_not_writable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "/proc/none")
    assert uv.build_environment()["UV_CACHE_DIR"].endswith("/.local/cache")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_CACHE_DIR" not in uv.build_environment()
