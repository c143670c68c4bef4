"""Consultations with a doctor whose account is disabled."""

from chalicelib.adapters import mysql
from chalicelib.people import staff
from tests.support.consult_client import send_as_patient
from tests.support.factories import Person


def test_disabled_doctor_keeps_sessions_and_gets_no_new_ones(lin: Person, wang: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "您好").data["session_no"]
    mysql.run_transaction(lambda tx: staff.set_disabled(tx, chen.tenant_id, chen.user_id, True))
    assert send_as_patient(lin, chen, "在吗").data["session_no"] == session_no
    assert send_as_patient(wang, chen, "您好").status == 404
