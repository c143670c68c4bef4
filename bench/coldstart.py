"""bin/bench coldstart: time from a process's start to its first response, and the cost of each import."""

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
CHALICE_FILES = ("chalice/__init__.py", "chalice/app.py")  # what `chalice package` includes of Chalice
FIRST_REQUEST_SCRIPT = """
import json, sys, time
event = json.loads(sys.argv[1])
import app
imported = time.monotonic()
response = app.app(event, None)
sys.stderr.write(f"\\nresponse {response['statusCode']} {imported} {time.monotonic()}\\n")
sys.stderr.write(f"loaded {' '.join(sys.modules)}\\n")
"""
RESPONSE_LINE = re.compile(r"^response 200 (\S+) (\S+)$", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
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
    """Build a request for the session list of a patient who has none: it signs in and uses MySQL and Redis."""
    migrations.migrate()
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院"))
    patient = factories.create_patient(tenant_id, "13800000001", "林小雨")
    return build_get("/msg_service/msg/patient/session_list", patient.token)


def _copy_bundle(target: Path) -> None:
    """Create the contents of the Lambda package from the packages that are installed here."""
    target.mkdir()
    shutil.copyfile(ROOT / "app.py", target / "app.py")
    plain = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "chalicelib", target / "chalicelib", ignore=plain)
    for name in ["chalice", *_list_locked_packages()]:
        for file in metadata.files(name) or []:
            included = file.suffix in (".py", ".so") and ".." not in file.parts
            if included and (name != "chalice" or str(file) in CHALICE_FILES):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target / file)


def _list_locked_packages() -> list[str]:
    """Return the names in requirements.txt that are installed; the others are for other Python versions."""
    named = re.findall(r"^([\w.-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    installed = {one.metadata["Name"].lower().replace("_", "-") for one in metadata.distributions()}
    return [name for name in named if name in installed]


def _show_times(folders: dict[str, Path], event: str, runs: int) -> None:
    times: dict[str, list[tuple[float, float]]] = {kind: [] for kind in folders}
    for _ in range(runs):
        for kind, folder in folders.items():
            started = time.monotonic()
            found = RESPONSE_LINE.search(_run_process(folder, event))
            assert found, "_run_process checks for the line"
            times[kind].append((float(found[1]) - started, float(found[2]) - started))
    print_line(f"\nms since the process started, medians of {runs}{'':>8}imported  first response  lowest")
    for kind, both in times.items():
        imported, responded = (median(one) * 1000 for one in zip(*both, strict=True))
        print_line(f"  {kind:<44}{imported:>8.0f}{responded:>16.0f}{min(one for _, one in both) * 1000:>8.0f}")


def _run_process(folder: Path, event: str, *options: str) -> str:
    """Run a process that sees no other packages and return its standard error.

    Raises:
        RuntimeError: it failed, or its response was not a 200.
    """
    command = [sys._base_executable, "-S", "-s", *options, "-c", FIRST_REQUEST_SCRIPT, event]  # type: ignore[attr-defined]  # an undocumented attribute of CPython
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    deployed = {"GROUP": GROUP, "ZHENXUN_STAGE": "prod"}
    environment = {**inherited, **deployed, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode or not RESPONSE_LINE.search(done.stderr):
        raise RuntimeError(f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stderr
