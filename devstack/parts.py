"""The whole suite in as many parts as there are processors, each on services of its own, with one report.

A part is some of the files, run by one pytest. Which file is in which part follows from the files and the number of
parts alone: they are shared out by the seconds that each takes, by and large. The first part's report is shown as it
goes, each other one's whole when all have ended.
"""

import contextlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from devstack.cli import foreground
from devstack.console import print_line
from devstack.paths import ROOT, write_atomically
from devstack.services import control

Services = Callable[[], AbstractContextManager[dict[str, str]]]

MAX_SHARDS = 4  # parts: the longest file takes a sixth of it all
MEMORY_BYTES_PER_SHARD = 2 << 30  # bytes of the machine's for each part, which itself takes half of that
REPORTING_OPTION = re.compile(r"-q+|-v+|-r\w+|--(tb|durations|durations-min|color)=\S+")  # to report, not what to run
LAST_FAILED_FILE = "v/cache/lastfailed"  # of pytest's cache
IN_EVERY_SHARD = "tests/test_privacy.py"  # looks, at the end of a process, at what that process has logged
KEPT_TOGETHER = ("tests/bundle", "tests/faults")  # folders whose tests share what takes long to make
# Seconds of what takes longer than other files of its length; what is not here makes the parts less even, no more.
SECONDS_BY_PATH = {
    "tests/test_fuzz.py": 65,
    "tests/faults": 45,
    "tests/bundle": 35,
    "tests/booking/test_concurrent_buyers.py": 20,
    "tests/gateway/test_soak.py": 15,
    "tests/wechat/test_signature.py": 14,
    "tests/gateway/test_properties.py": 10,
    "tests/messaging/test_properties.py": 10,
    "tests/gateway/test_history.py": 9,
    "tests/wechat/test_oauth.py": 9,
    "tests/adapters/test_redis.py": 7,
    "tests/devstack/test_control.py": 6,
    "tests/devstack/test_supervisor.py": 6,
    "tests/wechat/test_reply_notifications.py": 5,
    "tests/wechat/test_credential_cache.py": 5,
    "tests/test_openapi.py": 5,
    "tests/accounts/test_members.py": 4,
    "tests/adapters/test_redis_connections.py": 4,
    "tests/adapters/test_wechat_pay_calls.py": 4,
    "tests/wechat/test_booking_notifications.py": 4,
    "tests/wechat/test_booking_notification_failures.py": 4,
    "tests/wechat/test_templates.py": 4,
}
BYTES_PER_SECOND = 9_000  # of any other file, in a second


def is_whole_suite(arguments: list[str]) -> bool:
    """Whether these ask for the whole suite."""
    return all(REPORTING_OPTION.fullmatch(one) for one in arguments)


def get_shard_count() -> int:
    """How many parts this machine bears."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(processors, round(memory / MEMORY_BYTES_PER_SHARD), MAX_SHARDS))


def run_sharded(services: Services, arguments: list[str]) -> int:
    """Returns the worst exit code. Services that are not ours are there once, so that all runs in one part."""
    with ExitStack() as stack:
        environments = [stack.enter_context(services())]
        number = get_shard_count() if len(load_own_services(environments[0])) == 3 else 1
        environments += [stack.enter_context(services()) for _ in range(number - 1)]
        if number == 1:
            return foreground.run(["-m", "pytest", *arguments], environments[0])
        return run_shards(environments, split_into_shards(estimate_seconds(), number), arguments)


def load_own_services(env: dict[str, str]) -> dict[str, object]:
    return {**control.load_services(Path(env["DEVSTACK_CONTROL"]))}


def estimate_seconds() -> dict[str, float]:
    """Seconds of each file, and of each folder that stays together."""
    files = {
        str(path.relative_to(ROOT)): path.stat().st_size / BYTES_PER_SECOND for path in ROOT.glob("tests/**/test_*.py")
    }
    return {name: weight for name, weight in files.items() if not name.startswith(KEPT_TOGETHER)} | SECONDS_BY_PATH


def run_shards(environments: list[dict[str, str]], shares: list[list[str]], arguments: list[str]) -> int:
    """Each share of the files in an environment of its own, side by side."""
    caches = [Path(env["DEVSTACK_CONTROL"]).with_name("cache") for env in environments]
    reports = [None, *(cache.with_name("report") for cache in caches[1:])]
    colour = ["--color=yes"] if sys.stdout.isatty() else []
    pytest = ["-m", "pytest", *colour, *arguments]
    with ExitStack() as stack:
        children = [
            stack.enter_context(foreground.start_child([*pytest, "-o", f"cache_dir={cache}", *share], env, report))
            for cache, share, env, report in zip(caches, shares, environments, reports, strict=True)
        ]
        codes = foreground.wait_for_exit_codes(children)
    print_report(reports, codes, [read_failed_tests(cache) for cache in caches])
    return max(codes)


def split_into_shards(weights: dict[str, float], number: int) -> list[list[str]]:
    """The heaviest first, each to the part that has least to do."""
    shares: list[list[str]] = [[] for _ in range(number)]
    for name in sorted(weights.keys() - {IN_EVERY_SHARD}, key=lambda name: (-weights[name], name)):
        min(shares, key=lambda share: sum(weights[one] for one in share)).append(name)
    return [[*sorted(share), IN_EVERY_SHARD] for share in shares]


def read_failed_tests(cache: Path) -> list[str]:
    """The tests that failed, and the files that could not be read."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(json.loads((cache / LAST_FAILED_FILE).read_text()))
    return []


def print_report(reports: list[Path | None], codes: list[int], failed: list[list[str]]) -> None:
    """Shows what was not shown yet, then each part's end; what failed in any of them is what --lf runs."""
    for part, report in enumerate(reports, 1):
        if report:
            print_line(f"\n== part {part}")
            with report.open("rb") as said:
                shutil.copyfileobj(said, sys.stdout.buffer)
            sys.stdout.flush()
    print_line("")
    for part, (code, names) in enumerate(zip(codes, failed, strict=True), 1):
        print_line("\n    ".join([f"  part {part} of {len(codes)}  {'FAILED' if code else 'ok'}", *names]))
    together = {name: True for names in failed for name in names}
    write_atomically(ROOT / ".pytest_cache" / LAST_FAILED_FILE, json.dumps(together))
