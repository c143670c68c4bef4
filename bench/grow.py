"""bin/bench chat --grow: the same requests with ever more messages in the table."""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

from app import app
from bench import machine
from bench.console import hush, say
from bench.events import SAID, Context, get, post
from bench.load import Hospital, Talk
from bench.rows import PAGE, Event
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.adapters import redis as cache
from chalicelib.consult import session_cache
from chalicelib.identity import tokens
from chalicelib.messaging import ids, recent_cache

SIZES, LARGEST = [1_000, 100_000, 1_000_000], 10_000_000
POOL = 1 << 30  # bytes of the database's cache, as a small instance has; the private server's own default is an eighth
CONTEXT = Context()
Times = dict[str, list[float]]
COLUMNS = ("send", "newest, cold", "newest, warm", "older page", "yardstick")


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    ours = machine.servers()
    say(machine.described(ours))
    hush()
    migrations.migrate()
    if ours.pids:
        mysql.run_autocommit(lambda tx: tx.execute("SET GLOBAL innodb_buffer_pool_size = %(pool)s", pool=POOL))
    hospital = Hospital()
    say(f"\n{'messages':>10} {'of':>8} {'MB':>6} |{''.join(f'{name:>14}' for name in COLUMNS)}   (p50, ms)")
    found = []
    for size in [*SIZES, *([LARGEST] if options.largest else [])]:
        if size > options.up_to:
            break
        hospital.grow(size)
        found.append(_measured(hospital, options.samples))
        shown = "".join(f"{found[-1][name]:>14.2f}" for name in COLUMNS)
        say(f"{hospital.messages:>10} {len(hospital.talks):>8} {_megabytes():>6.0f} |{shown}")
    shown = "".join(f"{found[-1][name] / found[0][name]:>14.2f}" for name in COLUMNS)
    say(f"{'last to first':>26} |{shown}")
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench chat --grow", description=__doc__)
    parser.add_argument("--samples", type=int, default=400, help="conversations asked at each size")
    parser.add_argument("--up-to", type=int, default=LARGEST, metavar="N", help="leave out larger tables")
    parser.add_argument("--largest", action="store_true", help="10,000,000 too: 4 GB of disk, a quarter of an hour")
    return parser.parse_args(arguments)


def _measured(hospital: Hospital, samples: int) -> dict[str, float]:
    """Return the medians of each request, in conversations drawn anew: some will have been asked before."""
    times: Times = defaultdict(list)
    for talk in random.choices(hospital.talks, k=samples):
        _forget(talk)
        tokens.find_session(talk.patient.token)  # whoever reads is signed in already
        _timed(times, "yardstick", _yardstick)
        _ask(times, talk)
    return {name: median(times[name]) * 1000 for name in COLUMNS}


def _ask(times: Times, talk: Talk) -> None:
    path, token = "/msg_service/msg/patient/msg_list", talk.patient.token
    where = {"session_no": talk.session_no, "member_id": talk.member_id}
    newest = get(path, token, page_size=PAGE, **where)
    _timed(times, "newest, cold", lambda: app(newest, CONTEXT))
    page = _timed(times, "newest, warm", lambda: app(newest, CONTEXT))
    oldest = _data(page)[-1]["msg_id"]
    older = get(path, token, page_size=PAGE, msg_id=oldest, **where)
    _data(_timed(times, "older page", lambda: app(older, CONTEXT)))
    said = {"message": SAID, "doctor_id": talk.doctor.user_id, **where}
    send = post("/msg_service/msg/patient/send_text_msg", token, ids.generate_nonce(), **said)
    sent = _timed(times, "send", lambda: app(send, CONTEXT))
    if sent["statusCode"] != 200:
        raise ValueError(sent["body"])


def _timed(times: Times, name: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = work()
    times[name].append(time.perf_counter() - began)
    return result


def _data(page: Event) -> list[dict[str, Any]]:
    """Raises ValueError unless it is a full page."""
    found: list[dict[str, Any]] = json.loads(page["body"]).get("data") or []
    if len(found) != PAGE:
        raise ValueError(f"{page['statusCode']} {page['body'][:200]}")
    return found


def _forget(talk: Talk) -> None:
    """Redis has never heard of it."""
    pipe = cache.get_client().pipeline(transaction=False)
    for key in (
        f"consult:{session_cache.SCHEMA_VERSION}:{{{talk.session_no}}}",
        *(f"log:{recent_cache.SCHEMA_VERSION}:{{{talk.session_no}}}:{part}" for part in ("state", "tail")),
    ):
        pipe.delete(key)
    pipe.execute()


def _yardstick() -> None:
    """What never grows: how busy the machine is at the time."""
    mysql.run_autocommit(lambda tx: tx.fetch_value("SELECT 1"))
    cache.get_client().ping()


def _megabytes() -> float:
    sql = """
        SELECT SUM(data_length + index_length) FROM information_schema.tables
        WHERE table_schema = DATABASE() AND table_name = 'messages'
    """
    return float(mysql.run_autocommit(lambda tx: tx.fetch_value(sql))) / 1e6
