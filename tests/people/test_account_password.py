"""Replacing the password hash of a patient's account."""

from chalicelib.adapters import mysql
from chalicelib.people import accounts
from tests.support.factories import Hospital, Person


def test_hash_is_replaced_if_the_present_one_is_as_expected(hospital: Hospital, lin: Person) -> None:
    read = "SELECT password_hash FROM accounts WHERE user_id = %(user_id)s"
    before = mysql.autocommit.fetch_value(read, user_id=lin.user_id)
    ids = (hospital.tenant_id, lin.user_id)
    assert not accounts.set_password(mysql.autocommit, *ids, b"new", expected_hash=b"other")
    assert mysql.autocommit.fetch_value(read, user_id=lin.user_id) == before
    assert accounts.set_password(mysql.autocommit, *ids, b"new", expected_hash=before)
    assert accounts.set_password(mysql.autocommit, *ids, b"newer")
    assert mysql.autocommit.fetch_value(read, user_id=lin.user_id) == b"newer"
