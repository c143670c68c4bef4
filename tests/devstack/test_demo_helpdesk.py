"""The demo hospital has staff at the help desk."""

import pytest

from devstack.demo import helpdesk
from tests.support.factories import Hospital
from tests.support.helpdesk_client import call_messagecenter, get_agent_or_place, request_assignment


@pytest.mark.usefixtures("everyone")
def test_patient_is_assigned_and_repeated_seeding_adds_no_post(hospital: Hospital) -> None:
    hospital.everyone()
    for _ in range(2):
        helpdesk.seed(hospital.tenant_id, hospital.admin.user_id)
        on_duty = {one["name"]: one["onDuty"] for one in call_messagecenter(hospital.admin, "postList").data}
        assert on_duty == {"陈医生": False, "周医生": False, "客服小李": True}
    assert get_agent_or_place(request_assignment(hospital.lin)) == "客服小李"
