"""Create demo data: two hospitals with accounts, and .local/demo.json, which lists the accounts, and ids for examples.

python -m devstack.demo.seed [--base-url URL] can be repeated: existing data stays, expired tokens are issued again.
"""

import argparse
import json
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.consult import sessions
from chalicelib.consult.models import MemberAndDoctor
from chalicelib.crypto import field_encryption
from chalicelib.identity import internal_keys, passwords, tokens
from chalicelib.identity.callers import Caller, Role
from chalicelib.notifications import site_messages
from chalicelib.people import account_phones, accounts, doctors, members, phones, staff, tenants
from devstack.demo import (
    examples,
    helpdesk,
    payment_account,
    privacy_notice,
    records,
    schedules,
    sms_notices,
    wechat_account,
)
from devstack.paths import LOCAL, write_atomically

DEMO_FILE = LOCAL / "demo.json"
PASSWORD = "Demo-12345"
HOSPITALS = {"demo": "仁和医院", "demo-other": "康宁医院"}
PATIENTS = [
    ("13800000001", [("林小雨", 2, date(1990, 5, 17), 1), ("林小宝", 1, date(2024, 9, 1), 4)]),
    ("13800000002", [("王强", 1, date(1985, 1, 30), 1)]),
]
DOCTORS = [("13900000001", "陈医生", "4"), ("13900000002", "周医生", "2")]
STAFF = [("13900000003", "管理员", Role.ADMIN), ("13900000004", "客服小李", Role.SERVICE_STAFF)]


def main() -> None:
    """Create the demo data that is missing, and expand the schedules."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base-url", default="http://127.0.0.1:8018")
    base_url = parser.parse_args().base_url
    if not _is_current(base_url):
        ours, other = (_seed_hospital(external_id, name) for external_id, name in HOSPITALS.items())
        demo = {"base_url": base_url, **ours, "other_tenant": other}
        write_atomically(DEMO_FILE, json.dumps(demo, ensure_ascii=False, indent=2) + "\n")
    schedules.expand_patterns()
    demo = json.loads(DEMO_FILE.read_text("utf-8"))
    demo["examples"] = examples.list_values(demo)
    write_atomically(DEMO_FILE, json.dumps(demo, ensure_ascii=False, indent=2) + "\n")


def _is_current(base_url: str) -> bool:
    """Return whether the file is of this server and its tokens are valid in this database."""
    try:
        demo = json.loads(Path(DEMO_FILE).read_text("utf-8"))
        hospitals = [demo, demo["other_tenant"]]
        people = [p for h in hospitals for kind in ("patients", "doctors", "staff") for p in h[kind]]
    except (OSError, ValueError, KeyError):
        return False
    return demo["base_url"] == base_url and all(tokens.find_session(person["token"]) for person in people)


def _seed_hospital(external_id: str, name: str) -> dict[str, Any]:
    password_hash = passwords.hash_password(PASSWORD)
    field_encryption.preload_keys()
    tenant_id, patients, doctors, others = mysql.run_transaction(
        lambda tx: _create_people(tx, external_id, name, password_hash)
    )
    records.seed(tenant_id, by=int(others[-1]["staff_id"]))
    schedules.seed(tenant_id, by=int(others[-1]["staff_id"]))
    helpdesk.seed(tenant_id, by=int(others[0]["staff_id"]))
    wechat_account.seed(external_id, tenant_id, by=int(others[0]["staff_id"]))
    sms_notices.seed(tenant_id, name, by=int(others[0]["staff_id"]))
    payment_account.seed(external_id, tenant_id, by=int(others[0]["staff_id"]))
    user_ids = [int(person["user_id"]) for person in patients]
    privacy_notice.seed(tenant_id, by=int(others[0]["staff_id"]), user_ids=user_ids)
    _send_welcome_message(tenant_id, name, user_ids)
    first, doctor = patients[0], doctors[0]
    caller = Caller(tenant_id, Role.PATIENT, f"user:{first['user_id']}")
    pair = MemberAndDoctor(member_id=first["members"][0]["member_id"], doctor_id=doctor["doctor_id"])
    return {
        "tenant_id": str(tenant_id),
        "internal_key": internal_keys.issue(tenant_id),
        "patients": [_add_token(person, tenant_id, person["user_id"], Role.PATIENT) for person in patients],
        "doctors": [_add_token(person, tenant_id, person["doctor_id"], Role.DOCTOR) for person in doctors],
        "staff": [_add_token(person, tenant_id, person["staff_id"], person["role"]) for person in others],
        "session_no": sessions.get_or_create_session_no(caller, pair),
    }


def _send_welcome_message(tenant_id: int, name: str, user_ids: list[int]) -> None:
    text = f"欢迎来到{name}。预约、停诊和复诊的通知都会出现在这里。"
    with suppress(mysql.DuplicateKeyError):
        message = (site_messages.SYSTEM_SENDER, "welcome", text, user_ids, clock.now())
        mysql.run_transaction(lambda tx: site_messages.insert(tx, tenant_id, *message))


def _add_token(person: dict[str, Any], tenant_id: int, user_id: str, kind: str) -> dict[str, Any]:
    return {**person, "password": PASSWORD, "token": tokens.issue(tenant_id, f"user:{user_id}", Role(kind))}


def _create_people(tx: Tx, external_id: str, name: str, password_hash: bytes) -> Any:
    tenant_id = tenants.find_by_external_id(tx, external_id) or tenants.create(tx, name, external_id)
    patients = [_get_or_create_patient(tx, tenant_id, phone, people, password_hash) for phone, people in PATIENTS]
    doctors = [
        {
            "doctor_id": _get_or_create_staff(tx, tenant_id, phone, name, Role.DOCTOR, password_hash, duty),
            "name": name,
            "phone": phone,
        }
        for phone, name, duty in DOCTORS
    ]
    others = [
        {
            "staff_id": _get_or_create_staff(tx, tenant_id, phone, name, role, password_hash),
            "role": role,
            "phone": phone,
        }
        for phone, name, role in STAFF
    ]
    return tenant_id, patients, doctors, others


def _get_or_create_patient(
    tx: Tx, tenant_id: int, phone: str, people: list[Any], password_hash: bytes
) -> dict[str, Any]:
    user_id = accounts.find_by_phone(tx, tenant_id, phones.compute_blind_index(tenant_id, phone))
    if user_id is None:
        user_id = account_phones.create_account(tx, tenant_id, phone, password_hash)
        for name, gender, birthday, relation in people:
            members.add(
                *(tx, tenant_id, user_id, name),
                gender=gender,
                birthday=birthday,
                phone=phone,
                cont_relation=relation,
                is_default=relation == 1,
            )
    found = members.list_with_patients(tx, tenant_id, user_id)
    named = [{"member_id": str(one.member_id), "name": one.name} for one in found]
    return {"user_id": str(user_id), "phone": phone, "members": named}


def _get_or_create_staff(
    tx: Tx, tenant_id: int, phone: str, name: str, role: str, password_hash: bytes, duty_code: str = ""
) -> str:
    found = staff.find_by_phone(tx, tenant_id, phones.compute_blind_index(tenant_id, phone))
    if found:
        return str(found.user_id)
    user_id = staff.create(tx, tenant_id, Role(role), phone, name, password_hash)
    if role == Role.DOCTOR:
        doctors.ensure_profile(tx, tenant_id, user_id, duty_code)
    return str(user_id)


if __name__ == "__main__":
    main()
