import pytest

from tests.support import factories
from tests.support.factories import Hospital, Person
from tests.support.helpdesk_client import HelpDesk


@pytest.fixture
def help_desk(hospital: Hospital) -> HelpDesk:
    return HelpDesk(hospital)


@pytest.fixture
def li(hospital: Hospital) -> Person:
    """The first agent, 客服小李."""
    return hospital.desk


@pytest.fixture
def sun(hospital: Hospital) -> Person:
    """The second agent, 客服小孙."""
    return factories.create_staff(hospital.tenant_id, "13900000005", "客服小孙", "service_staff")
