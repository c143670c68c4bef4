"""bin/bench coldstart: time from a process's start to its first response, for every deployed function.

The response time includes the import of app.py and the first connections to MySQL and Redis, but neither TLS nor the
start of Lambda itself.
"""

import argparse
import compileall
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from py_compile import PycInvalidationMode
from statistics import median
from urllib.parse import urlsplit

from bench import coldstart_requests, import_budget, import_times, machine
from bench.coldstart_requests import NEW_CONNECTION_ID, FirstEvent
from bench.console import print_line, silence_app_logs
from bench.import_times import LOADED_LINE
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.settings import settings

ROOT = Path(__file__).parent.parent
STAGE = "prod"
CHALICE_FILES = ("chalice/__init__.py", "chalice/app.py")  # what `chalice package` includes of Chalice
FIRST_EVENT_SCRIPT = """
import json, sys, time, types
event = json.loads(sys.argv[2])
context = types.SimpleNamespace(get_remaining_time_in_millis=lambda: 3000)  # in which /notify does not wait for events
import app
imported = time.monotonic()
response = getattr(app, sys.argv[1])(event, context)
responded = time.monotonic()
status = response.get("statusCode", 200) if isinstance(response, dict) else 200
sys.stderr.write(f"\\nresponse {status} {imported} {responded}\\n")
sys.stderr.write(f"loaded {' '.join(sys.modules)}\\n")
"""
RESPONSE_LINE = re.compile(r"^response 2\d\d (\S+) (\S+)$", re.MULTILINE)
TARGETS_MS = {"consult": 150, "notify": 150, "gateway": 150}
DEFAULT_TARGET_MS = 250


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    options = _parse_arguments(arguments)
    silence_app_logs()
    migrations.migrate()
    with tempfile.TemporaryDirectory(prefix="coldstart-") as scratch:
        if options.record:
            import_budget.record(list_imported_modules(Path(scratch)))
            return 0
        print_line(machine.describe(machine.find_servers()))
        with _create_empty_database() as empty_database_url:
            events = coldstart_requests.build_first_events(empty_database_url)
            if options.only:
                events = [one for one in events if one.function in options.only]
            _measure_all(events, Path(scratch), options)
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench coldstart", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="fresh processes of each kind")
    parser.add_argument("--only", nargs="+", default=[], help="these functions only, with all their imports")
    parser.add_argument("--record", action="store_true", help="measure nothing; record the imported modules")
    return parser.parse_args(arguments)


def list_imported_modules(scratch: Path) -> dict[str, set[str]]:
    """Return the modules that each function has imported when it has handled its first event.

    Args:
        scratch: an empty folder.
    """
    _, compiled = _build_bundles(scratch)
    with _serve_aws() as url, _create_empty_database() as empty_database_url:
        return {
            event.function: set("".join(LOADED_LINE.findall(_run_process(compiled, event, url))).split())
            for event in coldstart_requests.build_first_events(empty_database_url)
        }


def _measure_all(events: list[FirstEvent], scratch: Path, options: argparse.Namespace) -> None:
    """Print a row for each function, and its imports if functions are selected."""
    source, compiled = _build_bundles(scratch)
    print_line(f"\nms from a process's start to its first response, medians of {options.runs}; imports in ms")
    print_line(f"  {'function':<22}{'sources':>9}{'compiled':>10}{'CPU':>8}{'target':>8}{'modules':>9}  imports")
    with _serve_aws() as url:
        for event in events:
            print_line(_measure(event, source, compiled, url, options.runs))
            if options.only:
                reports = [_run_process(compiled, event, url, "-X", "importtime") for _ in range(options.runs)]
                print_line(import_times.format_table(reports))


def _build_bundles(scratch: Path) -> tuple[Path, Path]:
    """Create a folder with the sources of the package and one with the compiled package."""
    source, compiled = scratch / "source", scratch / "compiled"
    _copy_bundle(source)
    shutil.copytree(source, compiled)
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(compiled, quiet=1, invalidation_mode=mode, workers=1)
    return source, compiled


@contextmanager
def _create_empty_database() -> Iterator[str]:
    """Create a database with the schema and without rows; yield its URL."""
    parts = urlsplit(settings.database_url)
    name = f"{parts.path.strip('/')}_{uuid.uuid4().hex[:12]}"
    url = parts._replace(path=f"/{name}").geturl()
    mysql.autocommit.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
    try:
        command = [sys.executable, "-m", "chalicelib.migrations"]
        subprocess.run(command, env={**os.environ, "DATABASE_URL": url}, cwd=ROOT, check=True, capture_output=True)
        yield url
    finally:
        mysql.autocommit.execute(f"DROP DATABASE `{name}`")


@contextmanager
def _serve_aws() -> Iterator[str]:
    """Serve what Lambda's and API Gateway's endpoints answer to a job's start and to a push; yield the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _AcceptAll)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _AcceptAll(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(202)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _measure(event: FirstEvent, source: Path, compiled: Path, url: str, runs: int) -> str:
    """Return the row of a function."""
    from_source = median(_time_response(event, source, url)[0] for _ in range(runs))
    responses = [_time_response(event, compiled, url) for _ in range(runs)]
    from_compiled, cpu = (median(one) for one in zip(*responses, strict=True))
    imports = import_times.parse_report(_run_process(compiled, event, url, "-X", "importtime"))
    target = TARGETS_MS.get(event.function, DEFAULT_TARGET_MS)
    return (
        f"  {event.function:<22}{from_source:>9.1f}{from_compiled:>10.1f}{cpu:>8.1f}{target:>8}{len(imports):>9}"
        f"  {import_times.format_heaviest(imports)}{'' if from_compiled <= target else '  MISSED'}"
    )


def _time_response(event: FirstEvent, folder: Path, url: str) -> tuple[float, float]:
    """Return the milliseconds until a new process responds, and those of CPU that it uses until its end."""
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    responded = RESPONSE_LINE.search(_run_process(folder, event, url))
    assert responded, "_run_process checks for the line"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (float(responded[2]) - started) * 1000, cpu * 1000


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


def _run_process(folder: Path, event: FirstEvent, url: str, *options: str) -> str:
    """Run a process that sees no other packages and return its standard error.

    Args:
        url: of the server that replaces AWS.

    Raises:
        RuntimeError: it failed, or its response was not successful.
    """
    text = json.dumps(event.event).replace(NEW_CONNECTION_ID, uuid.uuid4().hex)
    python = [sys._base_executable, "-S", "-s", *options]  # type: ignore[attr-defined]  # an undocumented attribute of CPython
    command = [*python, "-c", FIRST_EVENT_SCRIPT, event.handler, text]
    own = {"DATABASE_URL": event.database_url, "PYTHONPATH": str(folder)}
    environment = {**_build_environment(event.function, url), **own}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    if done.returncode or not RESPONSE_LINE.search(done.stderr):
        raise RuntimeError(f"{event.function}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stderr


def _build_environment(function: str, url: str) -> dict[str, str]:
    """Return the variables of a deployed function, with the local services."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    stage = json.loads((ROOT / ".chalice" / "config.json").read_text("utf-8"))["stages"][STAGE]
    workers = {"OUTBOX_FUNCTION": "run_outbox", "EXTERNAL_OUTBOX_FUNCTION": "run_outbox_external"}
    aws = {"LAMBDA_ENDPOINT_URL": url, "WS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    own = {"GROUP": function, "AWS_LAMBDA_FUNCTION_NAME": function, "DATA_KEYS_FILE": settings.data_keys_file}
    return {**inherited, **stage["environment_variables"], **workers, **aws, **own, "PYTHONDONTWRITEBYTECODE": "1"}
