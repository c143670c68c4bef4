"""bin/bench chat --grow: the same requests while the table of messages grows."""

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
BUFFER_POOL_BYTES = 1 << 30  # as on a small instance; the default of MariaDB is an eighth of it
CONTEXT = LambdaContext()
Times = dict[str, list[float]]
COLUMNS = ("send", "newest, cold", "newest, warm", "older page", "SELECT 1, PING")


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    options = _parse_arguments(arguments)
    servers = machine.find_servers()
    print_line(machine.describe(servers))
    silence_app_logs()
    migrations.migrate()
    if servers.pids:
        mysql.autocommit.execute("SET GLOBAL innodb_buffer_pool_size = %(pool)s", pool=BUFFER_POOL_BYTES)
    hospital = Hospital()
    print_line(
        f"\n{'messages':>10} {'conversations':>14} {'MB':>6} |{''.join(f'{name:>16}' for name in COLUMNS)}   (p50, ms)"
    )
    results = []
    for size in [*SIZES, *([LARGEST_SIZE] if options.largest else [])]:
        if size > options.up_to:
            break
        hospital.grow(size)
        results.append(_measure(hospital, options.samples))
        figures = "".join(f"{results[-1][name]:>16.2f}" for name in COLUMNS)
        print_line(
            f"{hospital.messages:>10} {len(hospital.consultations):>14} {_get_table_megabytes():>6.0f} |{figures}"
        )
    figures = "".join(f"{results[-1][name] / results[0][name]:>16.2f}" for name in COLUMNS)
    print_line(f"{'largest / smallest':>32} |{figures}")
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat --grow", description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="conversations measured at each size")
    parser.add_argument("--up-to", type=int, default=LARGEST_SIZE, metavar="N", help="leave out larger tables")
    parser.add_argument("--largest", action="store_true", help="also 10,000,000 messages: 4 GB of disk, half an hour")
    return parser.parse_args(arguments)


def _measure(hospital: Hospital, samples: int) -> dict[str, float]:
    """Return the median of each request in random conversations, in milliseconds."""
    times: Times = defaultdict(list)
    for consultation in random.choices(hospital.consultations, k=samples):
        _delete_caches(consultation)
        tokens.find_session(consultation.patient.token)  # the session of the token is cached before the measurement
        _measure_call(times, "SELECT 1, PING", _run_reference_work)
        _measure_requests(times, consultation)
    return {name: median(times[name]) * 1000 for name in COLUMNS}


def _measure_requests(times: Times, consultation: Consultation) -> None:
    path, token = "/msg_service/msg/patient/msg_list", consultation.patient.token
    where = {"session_no": consultation.session_no, "member_id": consultation.member_id}
    newest = build_get(path, token, page_size=PAGE_SIZE, **where)
    _measure_call(times, "newest, cold", lambda: app(newest, CONTEXT))
    page = _measure_call(times, "newest, warm", lambda: app(newest, CONTEXT))
    oldest = _get_full_page(page)[-1]["msg_id"]
    older = build_get(path, token, page_size=PAGE_SIZE, msg_id=oldest, **where)
    _get_full_page(_measure_call(times, "older page", lambda: app(older, CONTEXT)))
    body = {"message": MESSAGE_TEXT, "doctor_id": consultation.doctor.user_id, **where}
    send = build_post("/msg_service/msg/patient/send_text_msg", token, secrets.token_hex(8), **body)
    response = _measure_call(times, "send", lambda: app(send, CONTEXT))
    if response["statusCode"] != 200:
        raise ValueError(response["body"])


def _measure_call(times: Times, name: str, work: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = work()
    times[name].append(time.perf_counter() - started)
    return result


def _get_full_page(page: Event) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = json.loads(page["body"]).get("data") or []
    if len(messages) != PAGE_SIZE:
        raise ValueError(f"{page['statusCode']} {page['body'][:200]}")
    return messages


def _delete_caches(consultation: Consultation) -> None:
    """Delete a conversation's entries from Redis."""
    pipe = cache.get_client().pipeline(transaction=False)
    state_key, messages_key, *_ = recent_cache.build_keys(consultation.session_no)
    for key in (session_cache._build_key(consultation.session_no), state_key, messages_key):
        pipe.delete(key)
    pipe.execute()


def _run_reference_work() -> None:
    """Run a query and a command whose cost does not depend on the table: they show the load of the machine."""
    mysql.autocommit.fetch_value("SELECT 1")
    cache.get_client().ping()


def _get_table_megabytes() -> float:
    sql = """
        SELECT SUM(data_length + index_length) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'messages'
    """
    return float(mysql.autocommit.fetch_value(sql)) / 1e6
