"""For whom internal keys act: patients and external users always, staff if the hospital allows it, admins never."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.identity import internal_keys, tokens
from chalicelib.settings import settings
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person

SETTINGS = "/pati_service/manager_service/internal_key_settings"
REVOKE = "/pati_service/manager_service/revoke_internal_key"
UNREAD = "/msg_service/msg/unread_count"  # for patients and staff
LABEL = "/pati_service/manager_service/save_group_label"


def request_token(hospital: Hospital, session: Any, key: str = "") -> ApiResponse:
    return post("/inner/get_token", headers={"X-Internal-Key": key or hospital.internal_key}, session=session)


def call_as(hospital: Hospital, **named: Any) -> ApiResponse:
    """Call the messagecenter with the key, on behalf of the person whom the headers name."""
    headers = {"X-Internal-Key": hospital.internal_key, **{name: str(one) for name, one in named.items()}}
    return post("/message/messageCount", headers=headers, userType=2)


def call(token: str) -> int:
    return get(UNREAD, token).status


def read_audit_log(hospital: Hospital) -> list[tuple[str, str, int | None, str]]:
    rows = mysql.autocommit.fetch_all(
        "SELECT actor, action, key_id, subject FROM audit_log WHERE tenant_id = %(id)s ORDER BY entry_id",
        id=hospital.tenant_id,
    )
    return [(row["actor"].decode(), row["action"], row["key_id"], row["subject"].decode()) for row in rows]


def get_key_id(hospital: Hospital) -> int:
    return internal_keys.authenticate(hospital.internal_key).key_id


def test_key_does_not_act_for_staff_unless_the_hospital_allows_it(hospital: Hospital) -> None:
    for person in (hospital.chen, hospital.desk):
        for response in (
            request_token(hospital, person.user_id),
            call_as(hospital, newUserId=person.user_id),
            call_as(hospital, entUserId=person.user_id),
        ):
            assert (response.status, response.code) == (403, 10003)
            assert response.error == "内部密钥不能代表医生和客服：本院管理员尚未允许"
    hospital.allow_keys_for_staff()
    for person in (hospital.chen, hospital.desk):
        assert call(request_token(hospital, person.user_id).data) == 200
        assert call_as(hospital, newUserId=person.user_id).status == 200


def test_key_never_acts_for_admins(hospital: Hospital) -> None:
    hospital.allow_keys_for_staff()
    for response in (
        request_token(hospital, hospital.admin.user_id),
        call_as(hospital, newUserId=hospital.admin.user_id),
        call_as(hospital, entUserId=hospital.admin.user_id),
    ):
        assert (response.status, response.code, response.error) == (403, 10003, "内部密钥不能代表管理员")


def test_setting_of_another_hospital_does_not_count(hospital: Hospital, other_hospital: Hospital) -> None:
    other_hospital.allow_keys_for_staff()
    assert request_token(hospital, hospital.chen.user_id).status == 403


def test_token_of_a_doctor_who_becomes_an_admin_ends(hospital: Hospital) -> None:
    hospital.allow_keys_for_staff()
    token, own = request_token(hospital, hospital.chen.user_id).data, hospital.chen.token
    assert [call(token), call(own)] == [200, 200]
    role: dict[str, Any] = {"user_id": hospital.chen.user_id, "role": "admin"}
    assert post("/pati_service/manager_service/staff_role", hospital.admin.token, **role).status == 200
    assert [call(token), call(own)] == [401, 200]


def test_token_for_staff_lives_for_twelve_hours(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_800_000_000 * clock.SECOND)
    hospital.allow_keys_for_staff()
    lifetimes = []
    for session in (hospital.chen.user_id, hospital.desk.user_id, hospital.lin.user_id, "visitor"):
        found = tokens.find_session(request_token(hospital, session).data)
        assert found is not None
        lifetimes.append(found.expires_at - clock.now())
    half_day, long = 12 * 3600 * clock.SECOND, settings.token_days * clock.DAY
    assert lifetimes == [half_day, half_day, long, long]


def test_forbidding_ends_the_sessions_of_staff_at_once(hospital: Hospital) -> None:
    hospital.allow_keys_for_staff()
    doctors, patients = (request_token(hospital, one.user_id).data for one in (hospital.chen, hospital.lin))
    assert [call(one) for one in (doctors, patients, hospital.chen.token)] == [200] * 3
    for _ in range(2):
        assert post(SETTINGS, hospital.admin.token, act_for_staff=False).data is None
        assert [call(one) for one in (doctors, patients, hospital.chen.token)] == [401, 200, 200]
        redis.get_client().flushdb()


def test_revoked_key_ends_its_tokens_at_once(hospital: Hospital, other_hospital: Hospital) -> None:
    first, second = hospital.internal_key, internal_keys.issue(hospital.tenant_id)
    issued = [request_token(hospital, hospital.lin.user_id, key).data for key in (first, second)]
    foreign = request_token(other_hospital, other_hospital.lin.user_id).data
    assert [call(one) for one in (*issued, hospital.lin.token, foreign)] == [200] * 4
    for _ in range(2):  # a double click
        assert post(REVOKE, hospital.admin.token, key_id=get_key_id_of(first, hospital)).data is None
        assert [call(one) for one in (*issued, hospital.lin.token, foreign)] == [401, 200, 200, 200]
        redis.get_client().flushdb()
    assert request_token(hospital, "visitor", first).status == 401
    assert request_token(hospital, "visitor", second).status == 200


def get_key_id_of(key: str, hospital: Hospital) -> int:
    sql = "SELECT key_id FROM internal_keys WHERE key_hash = %(hash)s AND tenant_id = %(id)s"
    key_id: int = mysql.autocommit.fetch_value(sql, hash=internal_keys._hash_key(key), id=hospital.tenant_id)
    return key_id


def test_rotation_ends_the_tokens_of_the_key_that_it_revokes(hospital: Hospital) -> None:
    token = request_token(hospital, hospital.lin.user_id).data
    for expected in (200, 401):
        assert call(token) == 200
        internal_keys.issue(hospital.tenant_id)
        assert call(token) == expected


def test_token_that_is_issued_while_its_key_is_revoked_is_invalid(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id, real = get_key_id(hospital), tokens.issue_in_transaction

    def issue(*arguments: Any, **named: Any) -> str:
        internal_keys.revoke(hospital.tenant_id, key_id, "")
        return real(*arguments, **named)

    monkeypatch.setattr(tokens, "issue_in_transaction", issue)
    assert call(request_token(hospital, hospital.lin.user_id).data) == 401


@pytest.mark.parametrize("key_id", [None, "", "0", "x", -1, 2**53])
def test_invalid_key_id_is_named(hospital: Hospital, key_id: Any) -> None:
    response = post(REVOKE, hospital.admin.token, key_id=key_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "key_id")


def test_key_of_another_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    response = post(REVOKE, hospital.admin.token, key_id=get_key_id(other_hospital))
    assert (response.status, response.code, response.error) == (404, 10004, "内部密钥不存在")
    assert internal_keys.authenticate(other_hospital.internal_key)


@pytest.mark.parametrize("value", [None, "", "yes", 2])
def test_invalid_setting_is_named(hospital: Hospital, value: Any) -> None:
    response = post(SETTINGS, hospital.admin.token, act_for_staff=value)
    assert (response.status, response.error.partition("：")[0]) == (400, "act_for_staff")


def test_keys_are_listed_with_the_setting(hospital: Hospital, other_hospital: Hospital) -> None:
    assert other_hospital.internal_key
    path = "/pati_service/manager_service/internal_keys"
    assert get(path, hospital.admin.token).data == {"act_for_staff": False, "list": []}
    for _ in range(3):
        internal_keys.issue(hospital.tenant_id)
    post(SETTINGS, hospital.admin.token, act_for_staff=True)
    found = get(path, hospital.admin.token).data
    assert found["act_for_staff"] is True
    assert [bool(one["revoke_time"]) for one in found["list"]] == [False, False, True]
    assert sorted(found["list"][0]) == ["create_time", "key_id", "revoke_time"]


class TestAuditLog:
    """Tests of what is recorded."""

    def test_token_is_recorded_once(self, hospital: Hospital) -> None:
        request_token(hospital, hospital.lin.user_id)
        request_token(hospital, "visitor")
        key_id = get_key_id(hospital)
        subjects = [hospital.lin.principal, "session:visitor"]
        assert read_audit_log(hospital) == [("", "issue_token", key_id, subject) for subject in subjects]

    def test_rejected_token_is_not_recorded(self, hospital: Hospital) -> None:
        assert request_token(hospital, hospital.admin.user_id).status == 403
        assert request_token(hospital, "9" * 12).status == 404
        assert read_audit_log(hospital) == []

    def test_write_of_the_hospitals_system_is_recorded(self, hospital: Hospital) -> None:
        headers = {"X-Internal-Key": hospital.internal_key}
        fields: dict[str, Any] = {"type": 0, "sessions": ["a"]}
        assert post("/inner/create_conversation", headers=headers, **fields).status == 200
        assert post("/inner/create_conversation", headers=headers, **{**fields, "sessions": []}).status == 400
        key_id = get_key_id(hospital)
        assert read_audit_log(hospital) == [("", "call_with_key", key_id, "/inner/create_conversation")]

    def test_write_for_a_person_names_the_person(self, hospital: Hospital) -> None:
        headers = {"X-Internal-Key": hospital.internal_key, "newUserId": str(hospital.lin.user_id)}
        text: dict[str, Any] = {
            "ownType": 1,
            "title": "",
            "content": "您好",
            "item": 0,
            "type": 0,
            "link": "",
            "itemType": 0,
        }
        sent = post("/message/messageAdd", headers=headers, **text, receiveId=hospital.chen.user_id)
        assert sent.status == 200
        assert post("/message/messageCount", headers=headers, userType=2).status == 200, "reads are not recorded"
        key_id = get_key_id(hospital)
        assert read_audit_log(hospital) == [(hospital.lin.principal, "call_with_key", key_id, "/message/messageAdd")]

    def test_write_by_a_token_of_a_key_is_recorded_for_staff(self, hospital: Hospital) -> None:
        hospital.allow_keys_for_staff()
        token = request_token(hospital, hospital.desk.user_id).data
        fields: dict[str, Any] = {"label_name": "慢病", "label_type": 2, "label_id": ""}
        assert post(LABEL, token, **fields).status == 200
        assert post(LABEL, hospital.desk.token, **fields).status == 200, "an ordinary session is not recorded"
        assert get("/pati_service/manager_service/list", token, label_type=2).status == 200
        assert read_audit_log(hospital)[1:] == [(hospital.desk.principal, "call_with_key", get_key_id(hospital), LABEL)]

    def test_write_by_a_token_of_a_key_is_not_recorded_for_patients(self, hospital: Hospital) -> None:
        """The token is recorded; each of their messages would double the writes of a hospital's own pages."""
        lin: Person = hospital.lin
        token = request_token(hospital, lin.user_id).data
        fields: dict[str, Any] = {"member_id": lin.member_id, "doctor_id": hospital.chen.user_id}
        assert post("/msg_service/msg/patient/insert_session", token, **fields).status == 200
        assert [action for _, action, _, _ in read_audit_log(hospital)] == ["issue_token"]

    def test_failure_to_record_is_logged_and_fails_no_call(
        self, hospital: Hospital, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from chalicelib.audit import audit_log

        monkeypatch.setattr(audit_log, "insert_entry", None)
        headers = {"X-Internal-Key": hospital.internal_key}
        assert post("/inner/create_conversation", headers=headers, type=0, sessions=["a"]).status == 200
        assert "call with key not audited" in caplog.text

    def test_changes_of_keys_are_recorded_once(self, hospital: Hospital) -> None:
        key_id, admin = get_key_id(hospital), hospital.admin
        for _ in range(2):
            post(SETTINGS, admin.token, act_for_staff=True)
        for _ in range(2):
            post(REVOKE, admin.token, key_id=key_id)
        for _ in range(3):
            internal_keys.issue(hospital.tenant_id)
        assert read_audit_log(hospital) == [
            (admin.principal, "change_key_settings", None, f"tenant:{hospital.tenant_id}"),
            (admin.principal, "revoke_key", None, f"key:{key_id}"),
            ("", "revoke_key", None, f"key:{key_id + 1}"),
        ]
