"""bin/bench chat --grow: the same requests with ever more messages in the table."""

import argparse
import json
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

from app import app
from bench import machine
from bench.bulk_load import Consultation, Hospital
from bench.chat_cases import PAGE_SIZE, Event
from bench.console import print_line, silence_app_logs
from bench.lambda_events import MESSAGE_TEXT, LambdaContext, build_get, build_post
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.consult import session_cache
from chalicelib.identity import tokens
from chalicelib.messaging import recent_cache

SIZES, LARGEST_SIZE = [1_000, 100_000, 1_000_000], 10_000_000
BUFFER_POOL_BYTES = (
    1 << 30
)  # bytes of the database's cache, as a small instance has; the private server's own default is an eighth
CONTEXT = LambdaContext()
Times = dict[str, list[float]]
COLUMNS = ("send", "newest, cold", "newest, warm", "older page", "yardstick")


def main(arguments: list[str]) -> int:
    options = _parse_arguments(arguments)
    ours = machine.find_servers()
    print_line(machine.describe(ours))
    silence_app_logs()
    migrations.migrate()
    if ours.pids:
        mysql.autocommit.execute("SET GLOBAL innodb_buffer_pool_size = %(pool)s", pool=BUFFER_POOL_BYTES)
    hospital = Hospital()
    print_line(f"\n{'messages':>10} {'of':>8} {'MB':>6} |{''.join(f'{name:>14}' for name in COLUMNS)}   (p50, ms)")
    found = []
    for size in [*SIZES, *([LARGEST_SIZE] if options.largest else [])]:
        if size > options.up_to:
            break
        hospital.grow(size)
        found.append(_measure(hospital, options.samples))
        shown = "".join(f"{found[-1][name]:>14.2f}" for name in COLUMNS)
        print_line(f"{hospital.messages:>10} {len(hospital.consultations):>8} {_get_table_megabytes():>6.0f} |{shown}")
    shown = "".join(f"{found[-1][name] / found[0][name]:>14.2f}" for name in COLUMNS)
    print_line(f"{'last to first':>26} |{shown}")
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat --grow", description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="conversations asked at each size")
    parser.add_argument("--up-to", type=int, default=LARGEST_SIZE, metavar="N", help="leave out larger tables")
    parser.add_argument("--largest", action="store_true", help="10,000,000 too: 4 GB of disk, a quarter of an hour")
    return parser.parse_args(arguments)


def _measure(hospital: Hospital, samples: int) -> dict[str, float]:
    """Return the medians of each request, in conversations drawn anew: some will have been asked before."""
    times: Times = defaultdict(list)
    for talk in random.choices(hospital.consultations, k=samples):
        _delete_caches(talk)
        tokens.find_session(talk.patient.token)  # whoever reads is signed in already
        _measure_call(times, "yardstick", _run_reference_work)
        _measure_requests(times, talk)
    return {name: median(times[name]) * 1000 for name in COLUMNS}


def _measure_requests(times: Times, talk: Consultation) -> None:
    path, token = "/msg_service/msg/patient/msg_list", talk.patient.token
    where = {"session_no": talk.session_no, "member_id": talk.member_id}
    newest = build_get(path, token, page_size=PAGE_SIZE, **where)
    _measure_call(times, "newest, cold", lambda: app(newest, CONTEXT))
    page = _measure_call(times, "newest, warm", lambda: app(newest, CONTEXT))
    oldest = _get_full_page(page)[-1]["msg_id"]
    older = build_get(path, token, page_size=PAGE_SIZE, msg_id=oldest, **where)
    _get_full_page(_measure_call(times, "older page", lambda: app(older, CONTEXT)))
    said = {"message": MESSAGE_TEXT, "doctor_id": talk.doctor.user_id, **where}
    send = build_post("/msg_service/msg/patient/send_text_msg", token, secrets.token_hex(8), **said)
    sent = _measure_call(times, "send", lambda: app(send, CONTEXT))
    if sent["statusCode"] != 200:
        raise ValueError(sent["body"])


def _measure_call(times: Times, name: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = work()
    times[name].append(time.perf_counter() - began)
    return result


def _get_full_page(page: Event) -> list[dict[str, Any]]:
    """Raises ValueError unless it is a full page."""
    found: list[dict[str, Any]] = json.loads(page["body"]).get("data") or []
    if len(found) != PAGE_SIZE:
        raise ValueError(f"{page['statusCode']} {page['body'][:200]}")
    return found


def _delete_caches(talk: Consultation) -> None:
    """Redis has never heard of it."""
    pipe = cache.get_client().pipeline(transaction=False)
    for key in (
        f"consult:{session_cache.SCHEMA_VERSION}:{{{talk.session_no}}}",
        *recent_cache.build_keys(talk.session_no)[:2],
    ):
        pipe.delete(key)
    pipe.execute()


def _run_reference_work() -> None:
    """What never grows: how busy the machine is at the time."""
    mysql.autocommit.fetch_value("SELECT 1")
    cache.get_client().ping()


def _get_table_megabytes() -> float:
    sql = """
        SELECT SUM(data_length + index_length) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'messages'
    """
    return float(mysql.autocommit.fetch_value(sql)) / 1e6
