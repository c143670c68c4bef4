"""Uploads for one place do not count for another."""

from chalicelib.adapters import mysql
from chalicelib.files import store
from chalicelib.people.accounts import AVATAR
from tests.support.consult_client import create_session, request_form
from tests.support.factories import Person


def test_upload_for_a_consultation_is_no_avatar(lin: Person, chen: Person) -> None:
    request_form(lin, create_session(lin, chen))
    assert store.find_unconfirmed(mysql.autocommit, lin.tenant_id, lin.principal, AVATAR, 0) is None
