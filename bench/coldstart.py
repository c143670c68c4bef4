"""bin/bench coldstart: a fresh process to the first answer of the consult Lambda, and what each import costs."""

import argparse
import compileall
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from py_compile import PycInvalidationMode
from statistics import median

from bench import import_times, machine
from bench.console import print_line
from bench.lambda_events import build_get
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.people import tenants
from tests.support import factories

ROOT = Path(__file__).parent.parent
GROUP = "consult"
CHALICE_FILES = ("chalice/__init__.py", "chalice/app.py")  # all that `chalice package` packs of itself
FIRST_REQUEST_SCRIPT = """
import json, sys, time
event = json.loads(sys.argv[1])
import app
imported = time.monotonic()
answer = app.app(event, None)
sys.stderr.write(f"\\nanswered {answer['statusCode']} {imported} {time.monotonic()}\\n")
sys.stderr.write(f"loaded {' '.join(sys.modules)}\\n")
"""
ANSWERED_LINE = re.compile(r"^answered 200 (\S+) (\S+)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    event = json.dumps(_build_first_request())
    with tempfile.TemporaryDirectory(prefix="coldstart-") as scratch:
        source, compiled = Path(scratch, "source"), Path(scratch, "compiled")
        _copy_bundle(source)
        shutil.copytree(source, compiled)
        mode = PycInvalidationMode.UNCHECKED_HASH
        compileall.compile_dir(compiled, quiet=1, invalidation_mode=mode, workers=1)
        _show_times({"source only": source, "compiled (unchecked-hash)": compiled}, event, options.runs)
        print_line(
            import_times.format_table([_run_process(compiled, event, "-X", "importtime") for _ in range(options.runs)])
        )
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench coldstart", description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="fresh processes of each kind")
    return parser.parse_args(arguments)


def _build_first_request() -> dict[str, object]:
    """A patient without sessions asks for her list: sign-in and both databases, nothing to show."""
    migrations.migrate()
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院"))
    patient = factories.create_patient(tenant_id, "13800000001", "林小雨")
    return build_get("/msg_service/msg/patient/session_list", patient.token)


def _copy_bundle(target: Path) -> None:
    """Lay out what a Lambda of this bundle unpacks, from the packages that are installed here."""
    target.mkdir()
    shutil.copyfile(ROOT / "app.py", target / "app.py")
    plain = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "chalicelib", target / "chalicelib", ignore=plain)
    for name in ["chalice", *_list_locked_packages()]:
        for file in metadata.files(name) or []:
            kept = file.suffix in (".py", ".so") and ".." not in file.parts
            if kept and (name != "chalice" or str(file) in CHALICE_FILES):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target / file)


def _list_locked_packages() -> list[str]:
    """The names in requirements.txt that are installed: others are for another Python."""
    named = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    installed = {one.metadata["Name"].lower().replace("_", "-") for one in metadata.distributions()}
    return [name for name in named if name in installed]


def _show_times(folders: dict[str, Path], event: str, runs: int) -> None:
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in folders}
    for _ in range(runs):
        for kind, folder in folders.items():
            began = time.monotonic()
            found = ANSWERED_LINE.search(_run_process(folder, event))
            assert found, "_answered has seen it"
            times[kind].append((float(found[1]) - began, float(found[2]) - began))
    print_line(f"\nms since the process began, medians of {runs}{'':>10}imported  first answer   least")
    for kind, both in times.items():
        imported, answered = (median(one) * 1000 for one in zip(*both, strict=True))
        print_line(f"  {kind:<44}{imported:>8.0f}{answered:>14.0f}{min(one for _, one in both) * 1000:>8.0f}")


def _run_process(folder: Path, event: str, *options: str) -> str:
    """Start a process that sees no other packages, and return its error output when it has answered and ended."""
    command = [sys._base_executable, "-S", "-s", *options, "-c", FIRST_REQUEST_SCRIPT, event]  # type: ignore[attr-defined]  # CPython's own, not promised
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    deployed = {"GROUP": GROUP, "ZHENXUN_STAGE": "prod"}
    environment = {**kept, **deployed, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode or not ANSWERED_LINE.search(done.stderr):
        raise RuntimeError(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stderr
