"""The demo hospital has half-days to book."""

from functools import partial

from chalicelib.adapters import mysql
from chalicelib.people import departments
from devstack.demo import schedules
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.factories import Hospital


def test_every_department_has_half_days_and_repeated_seeding_adds_none(hospital: Hospital) -> None:
    tenant_id = hospital.tenant_id
    ids = [
        mysql.run_transaction(partial(departments.create, tenant_id=tenant_id, name=one["dept"]))
        for one in schedules.PATTERNS
    ]
    for _ in range(2):
        schedules.seed(tenant_id, hospital.admin.user_id)
        schedules.expand_patterns()
        assert len(list_rows("schedules", hospital)) == 3 * 28
    for dept_id in ids:
        department = BookingDepartment(hospital, dept_id)
        page = department.get_public("schedule_by_date", deptId=dept_id, date=get_iso_date(1)).data
        assert [one["status"] for one in page["list"]] == [1]
