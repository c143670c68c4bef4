"""Contents of deployment.zip."""

import marshal
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import CodeType

import pytest

import bundle
from infra import archive
from tests.bundle.conftest import ROOT, Package

PYC_HEADER = 16
UNCHECKED_HASH = 0b01  # PEP 552
AARCH64 = 183  # e_machine of ELF


def read_contents(package: Package) -> dict[str, bytes]:
    with zipfile.ZipFile(package.zip) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_build_is_reproducible(packages: list[Path]) -> None:
    one, two = packages
    for name in ("deployment.zip", "sam.json"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


def test_package_contains_the_app_and_its_dependencies(package: Package) -> None:
    sources = {one for one in package.names if "__pycache__/" not in one}
    tops = {one.partition("/")[0] for one in sources}
    locked = (ROOT / "requirements.txt").read_text("utf-8")
    strangers = {one for one in tops if one.endswith(".dist-info") and f"{get_project(one)}==" not in locked}
    assert strangers == set()
    assert not tops & {"boto3", "botocore", "pip", "setuptools", "tests", "devstack", "infra", "bundle.py", "bin"}
    assert {one for one in sources if one.startswith("chalice/")} == {"chalice/app.py", "chalice/__init__.py"}
    assert [one for one in package.names if one.startswith(".") or "/." in one] == []


def get_project(dist_info: str) -> str:
    return dist_info.partition("-")[0].replace("_", "-")


def test_package_contains_all_sources_and_migrations(package: Package) -> None:
    ours = {one for one in package.names if one.startswith("chalicelib/") and not one.endswith(".pyc")}
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "chalicelib").rglob("*") if path.is_file()}
    assert ours == {one for one in wanted if "__pycache__" not in one}
    assert [one for one in ours if one.endswith(".sql")]


def test_modules_are_compiled_for_the_path_of_lambda(package: Package) -> None:
    files = read_contents(package)
    tag = sys.implementation.cache_tag
    for name in (one for one in files if one.endswith(".py")):
        folder, _, module = name.rpartition("/")
        compiled = files[f"{folder}/__pycache__/".lstrip("/") + module.replace(".py", f".{tag}.pyc")]
        assert int.from_bytes(compiled[4:8], "little") == UNCHECKED_HASH
        code = marshal.loads(compiled[PYC_HEADER:])
        assert isinstance(code, CodeType)
        assert code.co_filename == f"/var/task/{name}"


def test_extension_modules_are_built_for_the_architecture(package: Package) -> None:
    libraries = {name: one for name, one in read_contents(package).items() if name.endswith(".so")}
    assert {name.partition("/")[0] for name in libraries} == {
        *("hiredis", "pydantic_core", "cryptography"),
        *(name for name in libraries if name.startswith("_cffi_backend.")),
    }
    assert {int.from_bytes(one[18:20], "little") for one in libraries.values()} == {AARCH64}


def test_package_size_is_limited(package: Package) -> None:
    assert package.zip.stat().st_size < 14_000_000


def test_wheel_with_a_wrong_hash_stops_the_build(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Chalice's own builder would accept it: it checks hashes only for the platform that it runs on."""
    lock = re.search(r"^hiredis==\S+", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert lock
    forged = tmp_path / "requirements.txt"
    forged.write_text(f"{lock[0]} --hash=sha256:{'0' * 64}\n")
    with pytest.raises(subprocess.CalledProcessError):
        archive.install_requirements(forged, tmp_path / "tree", "arm64")
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err


def test_unknown_stage_is_rejected(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bundle.py"), "nowhere", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, (tmp_path / "out").exists()) == (1, False)
    assert "no deployable stage nowhere" in done.stderr


def test_caches_are_not_packaged(tmp_path: Path) -> None:
    assert list((ROOT / "chalicelib").rglob("__pycache__")), "these tests imported it"
    bundle.copy_sources(tmp_path / "project")
    copied = {path.name for path in (tmp_path / "project").rglob("*")}
    assert "routing.py" in copied
    assert "__pycache__" not in copied
