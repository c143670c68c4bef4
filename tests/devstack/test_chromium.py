"""A browser is found on PATH, else among Debian's packages, and one that does not run is none."""

from pathlib import Path

import pytest

from devstack.console import CommandError
from devstack.install import chromium, debian

RUNS, FAILS = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 127\n"


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty PATH, and no Debian."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(where: Path, text: str) -> str:
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(text)
    where.chmod(0o755)
    return str(where)


def test_the_one_on_path_is_taken(path: Path) -> None:
    program(path / "chromium", FAILS)
    chrome = program(path / "google-chrome", RUNS)
    assert chromium.prepare() == {chromium.PROGRAM_VARIABLE: chrome, chromium.LIBRARIES_VARIABLE: ""}


def test_without_any_the_reason_is_told() -> None:
    with pytest.raises(CommandError, match="no apt-get"):
        chromium.prepare()


@pytest.mark.parametrize("text", [RUNS, FAILS])
def test_debians_is_unpacked_and_brings_its_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    root = tmp_path / "unpacked"
    own = program(root / "usr/lib/chromium/chromium", text)
    for library in ("usr/lib/x86_64-linux-gnu/libgtk.so.3", "usr/lib/chromium/libGLESv2.so"):
        program(root / library, "")
    monkeypatch.setattr(debian, "is_available", lambda: True)
    monkeypatch.setattr(debian, "unpack_package", lambda package: root if package == "chromium" else None)
    if text == FAILS:
        with pytest.raises(CommandError, match="does not run"):
            chromium.prepare()
        return
    found = chromium.prepare()
    assert found[chromium.PROGRAM_VARIABLE] == own
    assert found[chromium.LIBRARIES_VARIABLE].split(":") == [
        f"{root}/usr/lib/chromium",
        f"{root}/usr/lib/x86_64-linux-gnu",
    ]
