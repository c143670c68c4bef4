"""There is something to book in a demo hospital."""

from functools import partial

from chalicelib.adapters import mysql
from chalicelib.people import departments
from devstack import demo_booking
from tests.booking.ward import Ward, day, rows
from tests.people import Hospital


def test_each_department_has_half_days_to_book_and_a_second_start_adds_none(hospital: Hospital) -> None:
    tenant_id = hospital.tenant_id
    ids = [
        mysql.run_transaction(partial(departments.create, tenant_id=tenant_id, name=one["dept"]))
        for one in demo_booking.OFFERED
    ]
    for _ in range(2):
        demo_booking.fill(tenant_id, hospital.admin.user_id)
        demo_booking.go_on()
        assert len(rows("schedules", hospital)) == 3 * 28
    for dept_id in ids:
        found = Ward(hospital, dept_id).look("schedule_by_date", deptId=dept_id, date=day(1)).data["list"]
        assert [one["status"] for one in found] == [1]
