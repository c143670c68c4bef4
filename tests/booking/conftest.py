"""A department where Doctor Chen sees patients."""

import pytest

from tests.support import booking_client as wards
from tests.support.booking_client import BookingDepartment
from tests.support.factories import Hospital


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return wards.create_department(hospital)


@pytest.fixture
def other_department(other_hospital: Hospital) -> BookingDepartment:
    """Another tenant's."""
    return wards.create_department(other_hospital)
