"""A department where Doctor Chen sees patients."""

import pytest

from tests.booking import ward as wards
from tests.booking.ward import Ward
from tests.people import Hospital


@pytest.fixture
def ward(hospital: Hospital) -> Ward:
    return wards.ward(hospital)


@pytest.fixture
def other(elsewhere: Hospital) -> Ward:
    """Another tenant's."""
    return wards.ward(elsewhere)
