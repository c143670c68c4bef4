"""There is something to book in a demo hospital."""

from functools import partial

from chalicelib.adapters import mysql
from chalicelib.people import departments
from devstack.demo import schedules
from tests.support.booking_client import BookingDepartment, get_iso_date, list_rows
from tests.support.factories import Hospital


def test_each_department_has_half_days_to_book_and_a_second_start_adds_none(hospital: Hospital) -> None:
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
        found = (
            BookingDepartment(hospital, dept_id)
            .get_public("schedule_by_date", deptId=dept_id, date=get_iso_date(1))
            .data["list"]
        )
        assert [one["status"] for one in found] == [1]
