import pytest

from tests import people
from tests.helpdesk.desk import Desk
from tests.people import Hospital, Person


@pytest.fixture
def desk(hospital: Hospital) -> Desk:
    return Desk(hospital)


@pytest.fixture
def li(hospital: Hospital) -> Person:
    """Little Li of the service desk."""
    return hospital.desk


@pytest.fixture
def sun(hospital: Hospital) -> Person:
    """Another of the service desk."""
    return people.worker(hospital.tenant_id, "13900000005", "客服小孙", "service_staff")
