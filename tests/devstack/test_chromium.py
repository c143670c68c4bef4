"""A browser is found on PATH or in Debian's packages; one that does not run is ignored."""

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


def create_program(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_browser_on_path_is_used(path: Path) -> None:
    create_program(path / "chromium", FAILS)
    chrome = create_program(path / "google-chrome", RUNS)
    assert chromium.prepare() == {chromium.PROGRAM_VARIABLE: chrome, chromium.LIBRARIES_VARIABLE: ""}


def test_missing_browser_is_reported_with_the_reason() -> None:
    with pytest.raises(CommandError, match="no apt-get"):
        chromium.prepare()


@pytest.mark.parametrize("text", [RUNS, FAILS])
def test_debian_package_is_unpacked_with_its_libraries(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    root = tmp_path / "unpacked"
    own = create_program(root / "usr/lib/chromium/chromium", text)
    for library in ("usr/lib/x86_64-linux-gnu/libgtk.so.3", "usr/lib/chromium/libGLESv2.so"):
        create_program(root / library, "")
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
