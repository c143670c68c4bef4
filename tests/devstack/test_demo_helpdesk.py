"""Somebody is at the desk of a demo hospital."""

from devstack import demo_helpdesk
from tests.helpdesk.desk import ask, served_by, shunt
from tests.people import Hospital


def test_a_patient_is_served_and_a_second_start_adds_no_post(hospital: Hospital) -> None:
    for _ in range(2):
        demo_helpdesk.fill(hospital.tenant_id, hospital.admin.user_id)
        duty = {one["name"]: one["onDuty"] for one in ask(hospital.admin, "postList").data}
        assert duty == {"陈医生": False, "周医生": False, "客服小李": True}
    assert served_by(shunt(hospital.lin)) == "客服小李"
