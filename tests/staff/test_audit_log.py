"""The audit log for administrators."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from tests.support.client import ApiResponse, get
from tests.support.factories import Hospital

PATH = "/pati_service/manager_service/audit_log"
NOON = 1_700_000_000 // 86_400 * 86_400 * clock.SECOND + 4 * 3600 * clock.SECOND  # in China


def insert(hospital: Hospital, actor: str = "user:1", subject: str = "user:2", **fields: Any) -> None:
    action = fields.pop("action", AuditAction.CHANGE_STAFF)
    audit_log.insert_entry(mysql.autocommit, hospital.tenant_id, actor, action, subject, **fields)


def read(hospital: Hospital, **query: Any) -> ApiResponse:
    return get(PATH, hospital.admin.token, **query)


def list_subjects(hospital: Hospital, **query: Any) -> list[str]:
    return [one["subject"] for one in read(hospital, **query).data["list"]]


@pytest.mark.usefixtures("frozen_clock")
def test_entry_is_described(hospital: Hospital) -> None:
    admin = hospital.admin
    insert(hospital, admin.principal, hospital.chen.principal, reason="离职", change="disabled")
    insert(hospital, "", "session:abc", action=AuditAction.ISSUE_TOKEN, key_id=5)
    found = read(hospital).data
    first, second = found["list"]
    now = clock.format_wire_time(clock.now())
    assert found["has_more"] is False
    assert int(first["entry_id"]) > int(second["entry_id"])
    assert second == {
        "entry_id": second["entry_id"],
        "time": now,
        "actor": admin.principal,
        "actor_name": "管理员",
        "key_id": "",
        "action": "change_staff",
        "subject": hospital.chen.principal,
        "reason": "离职",
        "address": "",
        "detail": {"change": "disabled"},
    }
    assert first | {"entry_id": ""} == {
        "entry_id": "",
        "time": now,
        "actor": "",
        "actor_name": "",
        "key_id": "5",
        "action": "issue_token",
        "subject": "session:abc",
        "reason": "",
        "address": "",
        "detail": {},
    }


def test_entries_of_other_hospitals_are_not_listed(hospital: Hospital, other_hospital: Hospital) -> None:
    insert(other_hospital)
    assert read(hospital).data == {"list": [], "has_more": False}


def test_filters(hospital: Hospital) -> None:
    admin, desk = hospital.admin, hospital.desk
    insert(hospital, admin.principal, "user:1")
    insert(hospital, desk.principal, "patient:2", action=AuditAction.MERGE_PATIENTS)
    insert(hospital, "", "session:abc", action=AuditAction.ISSUE_TOKEN, key_id=5)
    assert list_subjects(hospital) == ["session:abc", "patient:2", "user:1"]
    assert list_subjects(hospital, user_id=admin.user_id) == ["user:1"]
    assert list_subjects(hospital, subject="patient:2") == list_subjects(hospital, action="merge_patients")
    assert list_subjects(hospital, action="merge_patients") == ["patient:2"]
    assert list_subjects(hospital, key_id=5) == ["session:abc"]
    assert list_subjects(hospital, user_id=desk.user_id, action="change_staff") == []


def test_days_are_those_of_china(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3600 * clock.SECOND
    for name, at in (("a", NOON - 12 * hour - 1), ("b", NOON - 12 * hour), ("c", NOON + 12 * hour - 1)):
        monkeypatch.setattr(clock, "now", lambda at=at: at)
        insert(hospital, subject=f"user:{name}")
    monkeypatch.undo()
    insert(hospital, subject="user:d")
    day = clock.format_wire_time(NOON)[:10]
    assert list_subjects(hospital, from_date=day, to_date=day) == ["user:c", "user:b"]
    assert list_subjects(hospital, to_date=day) == ["user:c", "user:b", "user:a"]
    assert list_subjects(hospital, to_date="1970-01-02") == []
    assert len(list_subjects(hospital, from_date="0001-01-01", to_date="9999-12-31")) == 4


def test_pages_continue_before_the_last_entry(hospital: Hospital) -> None:
    for number in range(5):
        insert(hospital, subject=f"user:{number}")
    pages, before = [], ""
    for more in (True, True, False):
        page = read(hospital, page_size=2, before=before).data
        assert page["has_more"] is more
        pages.append([one["subject"] for one in page["list"]])
        before = page["list"][-1]["entry_id"]
        insert(hospital, subject="user:new")  # does not move what follows
    assert pages == [["user:4", "user:3"], ["user:2", "user:1"], ["user:0"]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("user_id", value) for value in ("x", "-1", "1.5")),
        *(("action", value) for value in ("x", "CHANGE_STAFF")),
        *(("subject", value) for value in ("a b", "x" * 161)),
        *(("from_date", value) for value in ("2026-13-01", "today")),
        *(("to_date", value) for value in ("2026-02-30",)),
        *(("before", value) for value in ("x", "-1")),
        *(("page_size", value) for value in ("-1", "a")),
        *(("key_id", value) for value in ("x",)),
    ],
)
def test_invalid_filter_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = read(hospital, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_only_admins_read_it(hospital: Hospital) -> None:
    for person in (hospital.lin, hospital.chen, hospital.desk):
        assert get(PATH, person.token).status == 403
