"""Fixtures: Lin's account, and the person who has its phone number now."""

import pytest

from tests.accounts.conftest import ReadSms
from tests.support.account_client import sign_in_limited
from tests.support.accounts_client import add_member
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number


@pytest.fixture
def number(lin: Person) -> str:
    """The document number of a member of Lin's account."""
    number = build_unused_id_number()
    assert add_member(lin, number).status == 200
    return number


@pytest.fixture
def intruder(hospital: Hospital, lin: Person, number: str, read_sms: ReadSms) -> Person:
    """Who has Lin's number now, signed in after a reset by code."""
    assert number
    return sign_in_limited(hospital, lin, read_sms)
