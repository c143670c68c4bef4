"""Packages are downloaded without root, with the machine's package lists or, if these fail, with our own."""

import os
from pathlib import Path

import pytest

from devstack.console import CommandError
from devstack.install import debian

PLAN = """\
Reading package lists...
Inst libaio1 (0.3.113-4 Debian:12.11/stable [amd64])
Inst perl-base [5.36.0-7] (5.36.0-7+deb12u3 Debian:12.11/stable [amd64])
Inst libperl5.36 (5.36.0-7 Debian:12.11/stable [amd64])
Inst server-core (1:10.11 Debian:12.11/stable [amd64])
Conf libaio1 (0.3.113-4 Debian:12.11/stable [amd64])
"""


class FakeApt:
    """A replacement of run_apt that records its calls; the machine's package lists work or fail."""

    def __init__(self, lists_work: bool) -> None:
        self.lists_work = lists_work
        self.downloaded: list[str] = []
        self.commands: list[str] = []

    def __call__(self, *arguments: str, env: dict[str, str], cwd: Path | None = None) -> str:
        self.commands.append(arguments[0])
        if not self.lists_work and "APT_CONFIG" not in env:
            raise CommandError("Unable to locate package")
        if arguments[0] == "download":
            assert cwd
            self.downloaded = [one for one in arguments[1:] if not one.startswith("-")]
        return PLAN


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("APT_CONFIG", raising=False)
    monkeypatch.setattr(debian, "PACKAGES_FOLDER", tmp_path)


@pytest.mark.parametrize(
    ("lists_work", "commands"),
    [(True, ["install", "download"]), (False, ["install", "update", "install", "download"])],
)
def test_missing_packages_are_downloaded_once(
    monkeypatch: pytest.MonkeyPatch, lists_work: bool, commands: list[str]
) -> None:
    apt = FakeApt(lists_work)
    monkeypatch.setattr(debian, "run_apt", apt)
    debian.unpack_package("server-core")
    debian.unpack_package("server-core")
    assert apt.commands == commands
    assert apt.downloaded == ["libaio1", "server-core"], "and no Perl"


def test_several_packages_are_unpacked_to_one_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = FakeApt(lists_work=True)
    monkeypatch.setattr(debian, "run_apt", apt)
    assert debian.unpack_package("server-core", "server-driver") == tmp_path / "server-core"
    assert apt.downloaded == ["libaio1", "server-core", "server-driver"]


def test_interrupted_download_is_repeated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "server-core" / "usr" / "half").mkdir(parents=True)
    monkeypatch.setattr(debian, "run_apt", FakeApt(lists_work=True))
    target = debian.unpack_package("server-core")
    assert not (target / "usr" / "half").exists()
    assert (target / "done").exists()


def test_private_lists_do_not_change_those_of_the_machine(tmp_path: Path) -> None:
    env = debian.build_private_apt_environment(tmp_path / "apt")
    settings = Path(env["APT_CONFIG"]).read_text()
    assert f'Dir::State::lists "{tmp_path}/apt/lists"' in settings
    assert f'Dir::Cache "{tmp_path}/apt/cache"' in settings
    assert env.keys() - os.environ.keys() == {"APT_CONFIG"}


def test_packages_of_sid_are_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "no keys")
    with pytest.raises(CommandError, match="verified"):
        debian.unpack_from_sid("mysql-server-core")
    assert "signed-by=" in next(
        Path(line.split('"')[1]).read_text() for line in debian.build_sid_settings(tmp_path) if "sourcelist" in line
    )
