"""unlock_sign_in: an admin lifts the lock after wrong passwords."""

from chalicelib.adapters import mysql
from chalicelib.errors import ApiError
from chalicelib.identity import attempts
from chalicelib.people.roles import PersonKind
from tests.support.admin_client import read_list, send
from tests.support.factories import Hospital, Person

REASON, ADDRESS = "本人到窗口核实", "203.0.113.50"


def is_locked(person: Person, kind: PersonKind) -> bool:
    """Use up a try and return whether there was none."""
    try:
        attempts.consume_password_try(person.tenant_id, kind, find_phone(person, kind), ADDRESS)
    except ApiError:
        return True
    return False


def find_phone(person: Person, kind: PersonKind) -> bytes:
    table = "staff" if kind is PersonKind.STAFF else "accounts"
    sql = f"SELECT phone_blind FROM {table} WHERE user_id = %(id)s"
    return bytes(mysql.autocommit.fetch_value(sql, id=person.user_id))


def test_account_and_member_of_staff_are_unlocked(hospital: Hospital) -> None:
    for person, kind in ((hospital.lin, PersonKind.PATIENT), (hospital.chen, PersonKind.STAFF)):
        for _ in range(attempts.MAX_TRIES):
            assert not is_locked(person, kind)
        assert is_locked(person, kind)
        for _ in range(2):
            assert send(hospital.admin, "unlock_sign_in", user_id=person.user_id, reason=REASON).data is None
        assert not is_locked(person, kind)
    entries = read_list(hospital.admin, "audit_log", action="unlock_sign_in").data["list"]
    assert {(one["subject"], one["reason"]) for one in entries} == {
        (person.principal, REASON) for person in (hospital.lin, hospital.chen)
    }


def test_what_is_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    for person in (hospital.lin, hospital.chen, hospital.desk):
        assert send(person, "unlock_sign_in", user_id=hospital.lin.user_id, reason=REASON).status == 403
    for user_id in (other_hospital.lin.user_id, other_hospital.chen.user_id, 2**50):
        assert send(hospital.admin, "unlock_sign_in", user_id=user_id, reason=REASON).status == 404
    assert send(hospital.admin, "unlock_sign_in", user_id="x", reason=REASON).error.startswith("user_id：")
    assert send(hospital.admin, "unlock_sign_in", user_id=hospital.lin.user_id, reason="").error.startswith("reason：")
    assert read_list(hospital.admin, "audit_log").data["list"] == []
