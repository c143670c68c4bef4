"""bin/bench signin: whether the time of an answer tells if a phone has an account."""

import argparse
import random
import time
from collections.abc import Callable
from functools import partial
from statistics import mean, median, stdev
from typing import Any

from app import app
from bench import machine
from bench.console import print_line, silence_app_logs
from bench.lambda_events import LambdaContext, build_get, build_post
from chalicelib import migrations
from chalicelib.adapters import mysql
from chalicelib.identity import passwords
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.people import accounts, tenants

PATIENT_SERVICE_PATH = "/pati_service/patient_service"
RESET_CODE_PATH = f"{PATIENT_SERVICE_PATH}/reset_password/phone_identifying_code"
CONTEXT = LambdaContext()
KNOWN, UNKNOWN = "known", "unknown"
MAX_STANDARD_ERRORS = 4.0  # standard errors apart: what chance alone does once in 16,000 runs


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench signin", description=__doc__)
    parser.add_argument("--samples", type=int, default=300, help="of each kind of phone")
    samples = parser.parse_args(arguments).samples
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院"))
    _create_accounts(tenant_id, samples)
    print_line(f"\n{'ms':26}{'known p50':>11}{'unknown p50':>13}{'difference':>12}{'std. errors':>13}")
    told = [
        _is_distinguishable("a password, wrong", samples, lambda phone: _request_login(tenant_id, phone)),
        _is_distinguishable("a code for a reset", samples, lambda phone: _request_code(tenant_id, phone)),
    ]
    outbox.run_due_jobs(Queue.EXTERNAL)  # each has its code
    told.append(_is_distinguishable("a guess at that code", samples, lambda phone: _validate_code(tenant_id, phone)))
    print_line("the floor of a password is one scrypt: " + _measure_scrypt(min(samples, 20)))
    print_line(
        f"aim: less than {MAX_STANDARD_ERRORS:.0f} standard errors apart" + ("; MISSED" if any(told) else ", met")
    )
    return int(any(told))


def _create_accounts(tenant_id: int, number: int) -> None:
    """Every other phone has one; none is asked about twice, for tries are limited."""
    password_hash = passwords.hash_password("Demo-12345")
    for n in range(0, 2 * number, 2):
        mysql.run_transaction(
            partial(accounts.create, tenant_id=tenant_id, phone=_format_phone(n), password_hash=password_hash)
        )


def _format_phone(n: int) -> str:
    return f"138{n:08}"


def _is_distinguishable(name: str, samples: int, ask: Callable[[str], Any]) -> bool:
    """In random order, so that whatever drifts does so for both; True where the two differ by more than chance."""
    times: dict[str, list[float]] = {KNOWN: [], UNKNOWN: []}
    for n in random.sample(range(2 * samples), 2 * samples):
        phone = _format_phone(n)
        began = time.perf_counter()
        ask(phone)
        times[UNKNOWN if n % 2 else KNOWN].append((time.perf_counter() - began) * 1000)
    # Without the machine's own fits: the slowest twentieth of each.
    known, unknown = (sorted(times[one])[: int(samples * 0.95)] for one in (KNOWN, UNKNOWN))
    apart = mean(known) - mean(unknown)
    error = (stdev(known) ** 2 / len(known) + stdev(unknown) ** 2 / len(unknown)) ** 0.5
    print_line(f"{name:26}{median(known):>11.2f}{median(unknown):>13.2f}{apart:>12.3f}{apart / error:>13.1f}")
    return bool(abs(apart) > MAX_STANDARD_ERRORS * error)


def _request_login(tenant_id: int, phone: str) -> None:
    event = build_post(f"{PATIENT_SERVICE_PATH}/login", "", "", phone=phone, password="wrong-12345")
    _require_status(_prepare_event(event, tenant_id), 401)


def _request_code(tenant_id: int, phone: str) -> None:
    _require_status(_prepare_event(build_get(RESET_CODE_PATH, "", phone=phone), tenant_id), 200)


def _validate_code(tenant_id: int, phone: str) -> None:
    _require_status(
        _prepare_event(build_post(f"{RESET_CODE_PATH}_validate", "", "", phone=phone, verCode="000000"), tenant_id), 400
    )


def _prepare_event(event: dict[str, Any], tenant_id: int) -> dict[str, Any]:
    """From an address of its own: so many of one are refused."""
    for headers in (event["headers"], {name: [value] for name, value in event["headers"].items()}):
        headers.pop("token", None)
    event["headers"]["tenantId"] = str(tenant_id)
    event["multiValueHeaders"] = {name: [value] for name, value in event["headers"].items()}
    address = ".".join(str(random.randrange(1, 255)) for _ in range(4))
    event["requestContext"] = {**event["requestContext"], "identity": {"sourceIp": address}}
    return event


def _require_status(event: dict[str, Any], status: int) -> None:
    answer = app(event, CONTEXT)
    if answer["statusCode"] != status:
        raise ValueError(answer["body"])


def _measure_scrypt(samples: int) -> str:
    times = []
    for _ in range(samples):
        began = time.perf_counter()
        passwords.matches("wrong-12345", None)
        times.append((time.perf_counter() - began) * 1000)
    return f"{median(times):.2f} ms"
