"""Somebody is at the desk of a demo hospital."""

import pytest

from devstack.demo import helpdesk
from tests.support.factories import Hospital
from tests.support.helpdesk_client import call_messagecenter, get_agent_or_place, request_assignment


@pytest.mark.usefixtures("everyone")
def test_a_patient_is_served_and_a_second_start_adds_no_post(hospital: Hospital) -> None:
    hospital.everyone()
    for _ in range(2):
        helpdesk.seed(hospital.tenant_id, hospital.admin.user_id)
        duty = {one["name"]: one["onDuty"] for one in call_messagecenter(hospital.admin, "postList").data}
        assert duty == {"陈医生": False, "周医生": False, "客服小李": True}
    assert get_agent_or_place(request_assignment(hospital.lin)) == "客服小李"
