"""bin/bench chat --grow: the same requests with a small and with a large table of messages."""

import argparse
import json
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlsplit

from app import app
from bench import machine, table_server
from bench.bulk_load import Consultation, Hospital
from bench.chat_cases import PAGE_SIZE, Event
from bench.console import print_line
from bench.lambda_events import MESSAGE_TEXT, LambdaContext, build_get, build_post
from bench.process_pool import ProcessPool
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.consult import session_cache
from chalicelib.identity import tokens
from chalicelib.messaging import recent_cache
from chalicelib.settings import settings

SMALL_SIZE, LARGE_SIZE = 10_000, 10_000_000
ID_RANGE = 100_000_000  # ids of a database: both share Redis, whose keys contain ids
ROUND_COUNT = 20  # of the measurement: small and large alternate, so that both see the same machine load
MAX_RATIO = 1.25  # target: the p50 with the large table over that with the small one
REQUESTS = ("send", "newest, cold", "newest, warm", "older page")
COLUMNS = (*REQUESTS, "SELECT 1, PING")
CONTEXT = LambdaContext()
Times = dict[str, list[float]]  # seconds, by column


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    options = _parse_arguments(arguments)
    servers = machine.find_servers()
    print_line(machine.describe(servers))
    sizes = [options.small, options.large]
    pool = ProcessPool(len(sizes), lambda number: Table(number, sizes[number], is_private_server=bool(servers.pids)))
    print_line(f"\n{'messages':>10} {'conversations':>14} {'MB':>6} {'loaded in s':>12}")
    for row in pool.call_each(Table.fill):
        print_line(row)
    if servers.pids and options.restart:
        table_server.restart()
        pool.call(1, Table.set_cache_size)
    rounds = [pool.call_each(Table.measure, -(-options.samples // ROUND_COUNT)) for _ in range(ROUND_COUNT)]
    times: list[Times] = [
        {name: [one for parts in rounds for one in parts[number][name]] for name in COLUMNS}
        for number in range(len(sizes))
    ]
    _print_times(sizes, times)
    _print_page_reads(sizes, pool.call_each(Table.count_page_reads, options.samples // 4 + 1))
    pool.stop()
    return 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat --grow", description=__doc__)
    parser.add_argument("--small", type=int, default=SMALL_SIZE, metavar="N", help="messages of the small table")
    parser.add_argument("--large", type=int, default=LARGE_SIZE, metavar="N", help="messages of the large table")
    parser.add_argument("--samples", type=int, default=1_000, help="conversations measured in each table")
    parser.add_argument("--no-restart", dest="restart", action="store_false", help="keep MySQL running, and its cache")
    return parser.parse_args(arguments)


def _print_times(sizes: list[int], times: list[Times]) -> None:
    print_line(f"\n{'messages':>10} |{''.join(f'{name:>16}' for name in COLUMNS)}   (p50, ms)")
    medians = [{name: median(one[name]) for name in COLUMNS} for one in times]
    for size, one in zip(sizes, medians, strict=True):
        print_line(f"{size:>10} |{''.join(f'{one[name] * 1000:>16.2f}' for name in COLUMNS)}")
    for size, every in zip(sizes, times, strict=True):
        figures = "".join(f"{quantiles(every[name], n=100)[98] * 1000:>16.2f}" for name in COLUMNS)
        print_line(f"{size:>10} |{figures}   (p99)")
    ratios = {name: medians[1][name] / medians[0][name] for name in COLUMNS}
    print_line(f"{'ratio':>10} |{''.join(f'{ratios[name]:>16.2f}' for name in COLUMNS)}   (p50)")
    missed = [name for name in REQUESTS if ratios[name] > MAX_RATIO]
    print_line(f"target: each ratio ≤ {MAX_RATIO}" + (f"; MISSED: {', '.join(missed)}" if missed else ", met"))


def _print_page_reads(sizes: list[int], counts: list[dict[str, float]]) -> None:
    print_line("\nPages that MySQL read from disk for a request (mean):")
    for size, one in zip(sizes, counts, strict=True):
        print_line(f"{size:>10} |{''.join(f'{one[name]:>16.2f}' for name in COLUMNS)}")


class Table:
    """A process with a database of its own, and the requests measured there.

    Args:
        number: of the process. The first uses the database of the run, each other one creates its own.
    """

    def __init__(self, number: int, size: int, is_private_server: bool) -> None:
        self.number, self.size, self.is_private_server = number, size, is_private_server
        if number:
            _use_new_database(number)
        migrations.migrate()
        for table in ("tenants", "people"):
            mysql.autocommit.execute(f"ALTER TABLE {table} AUTO_INCREMENT = {number * ID_RANGE + 1}")
        self.hospital = Hospital((2 * number + 1) * ID_RANGE)

    def fill(self) -> str:
        """Fill the table and return a line that describes it."""
        started = time.monotonic()
        if self.is_private_server:
            table_server.prepare_for_loading()
        self.hospital.fill(self.size)
        if self.is_private_server:
            table_server.write_changed_pages()
        return (
            f"{self.hospital.messages:>10} {len(self.hospital.consultations):>14} "
            f"{table_server.get_megabytes('messages'):>6.0f} {time.monotonic() - started:>12.0f}"
        )

    def set_cache_size(self) -> None:
        """Give the restarted server its cache."""
        table_server.set_cache_size()

    def measure(self, samples: int) -> Times:
        """Make the requests in random conversations and return their durations."""
        times: Times = defaultdict(list)
        for consultation in self._choose(samples):
            _measure_call(times, "SELECT 1, PING", _run_reference_work)
            _make_requests(consultation, lambda name, work: _measure_call(times, name, work))
        return dict(times)

    def count_page_reads(self, samples: int) -> dict[str, float]:
        """Make the requests and return how many pages MySQL reads from disk for each, on average."""
        counts: Times = defaultdict(list)

        def count(name: str, work: Callable[[], Any]) -> Any:
            before = table_server.count_page_reads()
            result = work()
            counts[name].append(table_server.count_page_reads() - before)
            return result

        for consultation in self._choose(samples):
            count("SELECT 1, PING", _run_reference_work)
            _make_requests(consultation, count)
        return {name: sum(found) / len(found) for name, found in counts.items()}

    def _choose(self, samples: int) -> Iterator[Consultation]:
        """Yield random conversations without entries in Redis; the sessions of their patients are cached."""
        for consultation in random.choices(self.hospital.consultations, k=samples):
            _delete_caches(consultation)
            tokens.find_session(consultation.patient.token)
            yield consultation


def _use_new_database(number: int) -> None:
    """Create a database and let this process use it from now on."""
    parts = urlsplit(settings.database_url)
    name = f"{parts.path.strip('/')}_{number}"
    connection = mysql._connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    vars(mysql)["settings"] = replace(settings, database_url=parts._replace(path=f"/{name}").geturl())


def _make_requests(consultation: Consultation, call: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Make each request of REQUESTS once, by `call` with its name."""
    path, token = "/msg_service/msg/patient/msg_list", consultation.patient.token
    where = {"session_no": consultation.session_no, "member_id": consultation.member_id}
    newest = build_get(path, token, page_size=PAGE_SIZE, **where)
    call("newest, cold", lambda: app(newest, CONTEXT))
    page = call("newest, warm", lambda: app(newest, CONTEXT))
    oldest = _get_full_page(page)[-1]["msg_id"]
    older = build_get(path, token, page_size=PAGE_SIZE, msg_id=oldest, **where)
    _get_full_page(call("older page", lambda: app(older, CONTEXT)))
    body = {"message": MESSAGE_TEXT, "doctor_id": consultation.doctor.user_id, **where}
    send = build_post("/msg_service/msg/patient/send_text_msg", token, secrets.token_hex(8), **body)
    response = call("send", lambda: app(send, CONTEXT))
    if response["statusCode"] != 200:
        raise ValueError(response["body"])
    app(newest, CONTEXT)  # moves the read position; otherwise the next cold page in this conversation would


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
