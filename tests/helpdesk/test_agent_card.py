"""The card of the agent that a patient is shown."""

from tests.support.factories import Hospital
from tests.support.helpdesk_client import HelpDesk, request_assignment


def test_agent_is_shown_with_the_post(hospital: Hospital) -> None:
    position = HelpDesk(hospital).create_post(hospital.desk)
    agent = request_assignment(hospital.lin).data["agent"]
    assert (agent["positionId"], agent["title"], agent["name"]) == (position, "导诊", "客服小李")
