"""Package the bundle: one REST API, one Lambda per endpoint group.

    python bundle.py STAGE OUT [REGION]

writes OUT/sam.json and OUT/deployment.zip from the working tree; docs/deployment.md says how they are deployed.
Chalice makes both. infra/overlay.py adds what its template lacks, infra/archive.py what its zip lacks.
The functions run the Python that packages: 3.11, 3.12 or 3.13.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from infra import archive

ROOT = Path(__file__).resolve().parent
REGION = "cn-northwest-1"
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CHALICE_SCRIPT = "import sys; from chalice.cli import main; sys.exit(main())"


def main() -> int:
    if len(sys.argv) not in (3, 4):
        sys.stderr.write("usage: python bundle.py STAGE OUT [REGION]\n")
        return 2
    try:
        package(sys.argv[1], Path(sys.argv[2]).resolve(), *sys.argv[3:])
    except (subprocess.CalledProcessError, PackagingError) as error:
        sys.stderr.write(f"bundle.py: nothing was packaged: {error}\n")
        return 1
    return 0


class PackagingError(Exception):
    """This working tree cannot be packaged as asked."""


def package(stage: str, out: Path, region: str = REGION) -> None:
    """Write sam.json and deployment.zip to `out`. Raises Unfit, or CalledProcessError where a tool failed."""
    config = json.loads((ROOT / ".chalice" / "config.json").read_text("utf-8"))
    if sys.version_info[:2] not in archive.GLIBC_MINOR:
        raise PackagingError(f"{RUNTIME} is no Python that these functions run on")
    if not config["stages"].get(stage):  # dev is empty: chalice local runs it
        raise PackagingError(f"config.json has no stage {stage} to deploy")
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        project, tree, made = (Path(scratch) / name for name in ("project", "tree", "made"))
        copy_sources(project)
        archive.install_requirements(ROOT / "requirements.txt", tree, config["lambda_architecture"])
        run_chalice(project, made, stage, region)
        out.mkdir(parents=True, exist_ok=True)
        archive.write_archive(made / "deployment.zip", tree, out / "deployment.zip")
        shutil.copyfile(made / "sam.json", out / "sam.json")
    size = (out / "deployment.zip").stat().st_size / 1e6
    sys.stdout.write(f"{out / 'sam.json'}\n{out / 'deployment.zip'} ({size:.1f} MB, {RUNTIME}, {region})\n")


def copy_sources(project: Path) -> None:
    """Give Chalice a project of the sources alone: it packs, and hashes, whatever lies in the folder."""
    stray = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "chalicelib", project / "chalicelib", ignore=stray)
    shutil.copyfile(ROOT / "app.py", project / "app.py")
    (project / ".chalice").mkdir()
    for path in (ROOT / ".chalice").glob("*.json"):
        shutil.copyfile(path, project / ".chalice" / path.name)


def run_chalice(project: Path, made: Path, stage: str, region: str) -> None:
    """Run `chalice package` on the copy, without the dependencies. It needs a region and no credentials."""
    merged = project.with_name("overlay.json")
    merged.write_text(json.dumps(make_overlay(stage, hash_sources(project))), "utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and name != "GROUP"}
    environment |= {
        **archive.DETERMINISTIC_ENVIRONMENT,
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PYTHONPATH": str(ROOT),  # app.py, run by a chalice command, wants devstack
    }
    command = [
        sys.executable,
        "-c",
        CHALICE_SCRIPT,
        "package",
        "--stage",
        stage,
        "--merge-template",
        str(merged),
        str(made),
    ]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise PackagingError(f"chalice package failed:\n{done.stdout}{done.stderr}")


def make_overlay(stage: str, sources: str) -> dict[str, object]:
    os.environ.pop("GROUP", None)  # whatever this shell was set up for, the imports below see the whole app
    import app
    from infra.overlay import Sitemap, build_overlay

    served = {(path, method) for path, methods in app.app.routes.items() for method in methods}
    routes = {
        (endpoint.path, endpoint.method): group for group in app.GROUPS for endpoint in app.load_routes(group).endpoints
    }
    if served != set(routes):
        raise PackagingError(f"no group declares, or the app does not serve: {sorted(served ^ set(routes))}")
    jobs = {job.name: getattr(job, "event_pattern", {}) for job in app.app.event_sources}
    rates = {job.name: job.schedule_expression for job in app.app.event_sources if hasattr(job, "schedule_expression")}
    sockets = tuple(handler.name for handler in app.app.websocket_handlers.values())
    return build_overlay(stage, Sitemap(routes, app.GROUPS, app.CORE, sockets, jobs, rates), RUNTIME, sources)


def hash_sources(project: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in project.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(project).as_posix()}\0".encode())
        total.update(path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
