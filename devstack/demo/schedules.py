"""Schedules of a demo hospital: one doctor's mornings, another's afternoons, and a clinic without a doctor."""

from datetime import timedelta
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules import pattern_store, patterns
from chalicelib.booking.schedules.slots import HalfDay, ScheduleTerms
from chalicelib.people import departments
from chalicelib.people.roles import Role

MORNING = {"half_day": HalfDay.AM, "begins": timedelta(hours=8), "ends": timedelta(hours=12), "slots": 20}
AFTERNOON = {"half_day": HalfDay.PM, "begins": timedelta(hours=14), "ends": timedelta(hours=17), "slots": 15}
PATTERNS: list[dict[str, Any]] = [
    {"dept": "呼吸内科", "doctor": "陈医生", "type": 1, "fee": 5000, "area": "门诊楼二层 A 区", **MORNING},
    {"dept": "儿科", "doctor": "周医生", "type": 0, "fee": 1250, "area": "门诊楼一层 儿科候诊区", **AFTERNOON},
    {"dept": "口腔科", "doctor": "", "type": 0, "fee": 0, "area": "门诊楼三层 口腔科", **MORNING},
]


def seed(tenant_id: int, by: int) -> None:
    """Create weekly patterns if the hospital has none."""
    mysql.run_transaction(lambda tx: _seed(tx, tenant_id, by))


def expand_patterns() -> None:
    """Create the schedules of the coming weeks."""
    patterns.expand_all()


def _seed(tx: Tx, tenant_id: int, by: int) -> None:
    existing, _ = pattern_store.list_page(tx, tenant_id, None, None, (0, 1))
    if existing:
        return
    depts = {one.name: one.dept_id for one in departments.list_all(tx, tenant_id)}
    sql = "SELECT user_id, name FROM staff WHERE tenant_id = %(id)s AND role = %(doctor)s"
    doctors = {row["name"]: row["user_id"] for row in tx.fetch_all(sql, id=tenant_id, doctor=Role.DOCTOR)}
    for one in [one for one in PATTERNS if one["dept"] in depts]:
        dept_id, doctor_id = depts[one["dept"]], doctors.get(one["doctor"])
        fields = {name: one[name] for name in ("half_day", "begins", "ends", "slots", "type", "fee", "area")}
        terms = ScheduleTerms(dept_id=dept_id, doctor_id=doctor_id, **fields)
        for weekday in range(1, 8):
            pattern_store.insert(tx, tenant_id, weekday, terms, by)
