"""bin/bench labels: the staff's lists in a hospital with 100,000 patients and 5,000 doctors."""

import argparse
import json
import random
import time
from datetime import date
from functools import partial
from statistics import median, quantiles
from typing import Any

from app import app
from bench import machine
from bench.console import print_line, silence_app_logs
from bench.lambda_events import LambdaContext, build_get
from bench.tables import insert_rows
from chalicelib import clock, migrations
from chalicelib.adapters import mysql
from chalicelib.people import tenants
from chalicelib.people.roles import Role
from chalicelib.staff import store
from chalicelib.staff.labels import LabelKind
from tests.support import factories
from tests.support.factories import Person

GROUP_COUNT, LABEL_COUNT, LABELS_PER_PATIENT = 10, 40, 3
MAX_P50_MS = 50.0  # milliseconds: the target of every list
FAMILY_NAMES, GIVEN_NAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英"
STAFF_PATH = "/pati_service/manager_service"
CONTEXT = LambdaContext()
QUERIES: dict[str, dict[str, Any]] = {
    "groups, first page": {
        "path": "list_person_count",
        "label_type": LabelKind.GROUP,
        "order_type": 1,
        "page_num": 1,
        "page_size": 10,
    },
    "labels, first page": {
        "path": "list_person_count",
        "label_type": LabelKind.LABEL,
        "order_type": 2,
        "page_num": 1,
        "page_size": 10,
    },
    "labels, all": {"path": "list_person_count", "label_type": LabelKind.LABEL, "order_type": 1},
    "patients, page 1": {"path": "patient_list", "page_num": 1, "page_size": 10},
    "patients, 林…": {"path": "patient_list", "pati_name": "林", "page_num": 1, "page_size": 10},
    "doctors, page 1": {"path": "doctor_list", "page_num": 1, "page_size": 10},
    "doctors, page 500": {"path": "doctor_list", "page_num": 500, "page_size": 10},
    "doctors, …伟…": {"path": "doctor_list", "doctor_name": "伟", "page_num": 1, "page_size": 10},
}


def main(arguments: list[str]) -> int:
    """Run the benchmark; return 1 if a list misses the target."""
    options = _parse_arguments(arguments)
    print_line(machine.describe(machine.find_servers()))
    silence_app_logs()
    migrations.migrate()
    admin = _create_hospital(options.patients, options.doctors)
    print_line(f"\n{options.patients} patients, {options.doctors} doctors\n{'':24}{'p50 ms':>10}{'p99 ms':>10}")
    slow = [name for name, query in QUERIES.items() if _measure(name, admin, query, options.samples) > MAX_P50_MS]
    print_line(f"target: a p50 of at most {MAX_P50_MS:.0f} ms" + (f"; MISSED: {', '.join(slow)}" if slow else ", met"))
    return 1 if slow else 0


def _parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench labels", description=__doc__)
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--doctors", type=int, default=5_000)
    parser.add_argument("--samples", type=int, default=60, help="requests of each kind")
    return parser.parse_args(arguments)


def _measure(name: str, admin: Person, query: dict[str, Any], samples: int) -> float:
    event = build_get(
        f"{STAFF_PATH}/{query['path']}", admin.token, **{key: query[key] for key in query if key != "path"}
    )
    times = []
    for _ in range(samples):
        started = time.perf_counter()
        response = app(event, CONTEXT)
        times.append((time.perf_counter() - started) * 1000)
        if response["statusCode"] != 200 or not json.loads(response["body"])["data"]["list"]:
            raise ValueError(f"{name}: {response['statusCode']}")
    print_line(f"{name:24}{median(times):>10.1f}{quantiles(times, n=100)[98]:>10.1f}")
    return median(times)


def _create_hospital(patients: int, doctors: int) -> Person:
    tenant_id = mysql.run_transaction(lambda tx: tenants.create(tx, "仁和医院"))
    admin = factories.create_staff(tenant_id, "13900000001", "管理员", Role.ADMIN)
    names = [
        (label_type, n)
        for label_type, count in ((LabelKind.GROUP, GROUP_COUNT), (LabelKind.LABEL, LABEL_COUNT))
        for n in range(count)
    ]
    label_ids: dict[int, list[int]] = {LabelKind.GROUP: [], LabelKind.LABEL: []}
    for label_type, n in names:
        label = partial(_create_label, admin=admin, label_type=label_type, number=n)
        label_ids[label_type].append(mysql.run_transaction(label))
    now, born = clock.now(), date(1980, 1, 1)
    insert_rows(
        "patients (tenant_id, name, name_key, gender, birthday, created_at, changed_at)",
        [(tenant_id, name, name, 1 + n % 2, born, now, now) for n in range(patients) if (name := _build_name())],
    )
    first = mysql.autocommit.fetch_value("SELECT MIN(pati_id) FROM patients WHERE tenant_id = %(t)s", t=tenant_id)
    rows: list[tuple[Any, ...]] = []
    for pati_id in range(first, first + patients):
        rows.append((random.choice(label_ids[LabelKind.GROUP]), pati_id, tenant_id, 1))
        rows += [
            (one, pati_id, tenant_id, None) for one in random.sample(label_ids[LabelKind.LABEL], LABELS_PER_PATIENT)
        ]
    insert_rows(
        "adm_pati_label_rela (label_id, pati_id, tenant_id, is_group)", sorted(rows, key=lambda row: (row[0], row[1]))
    )
    count = "(SELECT COUNT(*) FROM adm_pati_label_rela r WHERE r.label_id = adm_group_label.label_id)"
    mysql.autocommit.execute(f"UPDATE adm_group_label SET person_number = {count}")
    _insert_doctors(tenant_id, doctors)
    return admin


def _insert_doctors(tenant_id: int, doctors: int) -> None:
    base, now = 10_000_000, clock.now()
    insert_rows(
        "staff (user_id, tenant_id, role, phone_sealed, phone_blind, password_hash, name, created_at)",
        [
            (base + n, tenant_id, Role.DOCTOR, b"", n.to_bytes(32, "big"), b"", _build_name(), now)
            for n in range(doctors)
        ],
    )
    insert_rows(
        "doctors (user_id, tenant_id, duty_code, introduction, sort)",
        [(base + n, tenant_id, "2", "从医二十年。" * 20, random.randrange(100)) for n in range(doctors)],
    )


def _create_label(tx: mysql.Tx, admin: Person, label_type: int, number: int) -> int:
    return store.insert_label(tx, admin.tenant_id, label_type, f"名称{number}", admin.user_id)


def _build_name() -> str:
    return random.choice(FAMILY_NAMES) + "".join(random.choices(GIVEN_NAMES, k=random.randint(1, 2)))
