"""Administration of staff: staff_list, and the endpoints that create and change staff (staff, staff_…)."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import cache, mysql, redis
from chalicelib.identity import tokens
from chalicelib.people import staff
from tests.support import password_reset_races
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.pauses import pause_first_call
from tests.support.staff_client import STAFF_PATH
from tests.support.threads import run_in_threads

__all__ = ["fast_hashes"]
pytestmark = pytest.mark.usefixtures("fast_hashes", "everyone")

ZHAO = {"name": "赵医生", "phone": "13900000009", "role": "doctor", "password": "Zhao-12345"}
DOCTORS_OWN = "/msg_service/msg/doctor/new_session"  # an endpoint for doctors only
BAD_IDS = ["", "0", -1, "a", 2**53, True, None, []]


def create_staff(person: Person, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/staff", person.token, **{**ZHAO, **fields})


def list_staff(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/staff_list", person.token, **query)


def post_change(person: Person, what: str, user_id: Any, **fields: Any) -> ApiResponse:
    return post(f"{STAFF_PATH}/staff_{what}", person.token, user_id=user_id, **fields)


def sign_in(hospital: Hospital, phone: str, password: str) -> ApiResponse:
    return post(f"{STAFF_PATH}/login", headers={"tenantId": str(hospital.tenant_id)}, phone=phone, password=password)


def call_as_doctor(token: str) -> int:
    return get(DOCTORS_OWN, token).status


def read_cached_session(token: str) -> str | None:
    return cache.read(tokens._build_cache_key(tokens.hash_token(token)))


def test_new_doctor_signs_in_and_is_listed_for_patients(hospital: Hospital) -> None:
    user_id = create_staff(hospital.admin).data["user_id"]
    signed_in = sign_in(hospital, ZHAO["phone"], ZHAO["password"]).data
    assert (signed_in["userId"], signed_in["role"], signed_in["name"]) == (user_id, "doctor", "赵医生")
    assert call_as_doctor(signed_in["token"]) == 200
    found = get(f"{STAFF_PATH}/doctor_list", hospital.lin.token, page_num=1, page_size=10, doctor_name="赵").data[
        "list"
    ]
    assert [one["doctor_id"] for one in found] == [user_id]


def test_phone_is_unique_among_staff_of_a_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    assert create_staff(hospital.admin).status == 200
    response = create_staff(hospital.admin, name="别人")
    assert (response.status, response.code, response.error) == (409, 10005, "该手机号已有员工使用")
    assert create_staff(other_hospital.admin).status == 200


def test_four_concurrent_requests_create_one_member_of_staff(hospital: Hospital) -> None:
    names = ("赵医生", "钱医生", "孙医生", "李医生")
    responses = run_in_threads(partial(create_staff, hospital.admin, name=name) for name in names)
    assert sorted(one.status for one in responses) == [200, 409, 409, 409]


@pytest.mark.usefixtures("frozen_clock")
def test_double_click_creates_one_member_of_staff(hospital: Hospital) -> None:
    responses = run_in_threads([lambda: create_staff(hospital.admin)] * 4)
    assert len({one.data["user_id"] for one in responses}) == 1
    for changed in ({"role": "admin"}, {"name": "钱医生"}, {"password": "Anderes-12345"}):
        assert create_staff(hospital.admin, **changed).status == 409
    mysql.autocommit.execute(
        "UPDATE staff SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s", id=hospital.tenant_id
    )
    assert create_staff(hospital.admin).status == 409


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("name", [None, "", " ", "x" * 65, "a\x00", 5]),
        ("phone", [None, "", "1390000000", "12900000000", 13900000009]),
        ("role", [None, "", "patient", "root", "Admin", 1]),
        ("password", [None, "", "Ab-345678", "x" * 73, 12345678, "Aa12345678", "Zhao-13900000009", "赵医生-Abc-9"]),
    ],
)
def test_invalid_field_is_named_and_creates_no_staff(hospital: Hospital, name: str, values: list[Any]) -> None:
    for value in values:
        response = create_staff(hospital.admin, **{name: value})
        assert (response.status, response.error.partition("：")[0]) == (400, name), value
        assert name != "password" or not value or str(value) not in response.error
    assert list_staff(hospital.admin).data["total"] == 4


def test_list_contains_all_staff_with_masked_phones_in_order(hospital: Hospital) -> None:
    post_change(hospital.admin, "disable", hospital.zhou.user_id)
    data = list_staff(hospital.admin).data
    rows = [(one["name"], one["role"], one["phone"], one["disabled"]) for one in data["list"]]
    assert rows == [
        ("陈医生", "doctor", "139****0001", False),
        ("周医生", "doctor", "139****0002", True),
        ("客服小李", "service_staff", "139****0003", False),
        ("管理员", "admin", "139****0004", False),
    ]
    assert (data["total"], data["pages"]) == (4, 1)


def test_list_is_filtered_and_paged(hospital: Hospital) -> None:
    def list_names(**query: Any) -> list[str]:
        return [one["name"] for one in list_staff(hospital.admin, **query).data["list"]]

    assert list_names(role="doctor") == list_names(name="医生") == ["陈医生", "周医生"]
    assert list_names(name="%") == list_names(name="医生", role="admin") == []
    assert list_names(page_num=2, page_size=3) == ["管理员"]


@pytest.mark.parametrize(
    ("name", "value"), [("role", "patient"), ("page_num", "-1"), ("page_size", "a"), ("name", "x" * 65)]
)
def test_invalid_field_of_the_list_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = list_staff(hospital.admin, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_role_change_takes_effect_on_open_sessions(hospital: Hospital) -> None:
    assert call_as_doctor(hospital.chen.token) == 200
    assert read_cached_session(hospital.chen.token)
    for _ in range(2):  # the same request twice
        assert post_change(hospital.admin, "role", hospital.chen.user_id, role="service_staff").data is None
        assert call_as_doctor(hospital.chen.token) == 403
    assert post_change(hospital.admin, "role", hospital.chen.user_id, role="doctor").status == 200
    assert call_as_doctor(hospital.chen.token) == 200


def test_new_role_of_doctor_is_listed_for_patients(hospital: Hospital) -> None:
    post_change(hospital.admin, "role", hospital.desk.user_id, role="doctor")
    found = get(f"{STAFF_PATH}/doctor_list", hospital.lin.token, page_num=1, page_size=10, doctor_name="小李").data
    assert found["total"] == 1


def test_disabling_takes_effect_at_once_and_enabling_revives_no_session(hospital: Hospital) -> None:
    assert call_as_doctor(hospital.chen.token) == 200
    for _ in range(2):
        assert post_change(hospital.admin, "disable", hospital.chen.user_id).data is None
        assert call_as_doctor(hospital.chen.token) == 401
    redis.get_client().flushdb()
    assert call_as_doctor(hospital.chen.token) == 401
    assert sign_in(hospital, hospital.chen.phone, PASSWORD).status == 401
    for _ in range(2):
        assert post_change(hospital.admin, "enable", hospital.chen.user_id).data is None
        assert call_as_doctor(hospital.chen.token) == 401
    signed_in = sign_in(hospital, hospital.chen.phone, PASSWORD)
    assert call_as_doctor(signed_in.data["token"]) == 200


@pytest.mark.store
def test_sign_in_waits_while_its_owner_is_disabled(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    def disable() -> int:
        return post_change(hospital.admin, "disable", hospital.chen.user_id).status

    enter = partial(sign_in, hospital, hospital.chen.phone, PASSWORD)
    assert password_reset_races.sign_in_before_reset_commit(monkeypatch, enter, disable) == 401


def read_audit_log(hospital: Hospital) -> list[tuple[Any, ...]]:
    rows = mysql.autocommit.fetch_all(
        "SELECT actor, action, subject, detail FROM audit_log WHERE tenant_id = %(id)s ORDER BY entry_id",
        id=hospital.tenant_id,
    )
    assert {row["actor"].decode() for row in rows} <= {hospital.admin.principal}
    return [(row["action"], row["subject"].decode(), json.loads(row["detail"] or "{}")) for row in rows]


def test_changes_are_in_the_audit_log(hospital: Hospital) -> None:
    chen = hospital.chen
    created = create_staff(hospital.admin).data["user_id"]
    post_change(hospital.admin, "role", chen.user_id, role="service_staff")
    post_change(hospital.admin, "disable", chen.user_id)
    post_change(hospital.admin, "enable", chen.user_id)
    post_change(hospital.admin, "password", chen.user_id, password="New-123456")
    assert read_audit_log(hospital) == [
        ("change_staff", f"user:{created}", {"change": "created", "role": "doctor"}),
        ("change_staff", chen.principal, {"change": "role", "role": "service_staff"}),
        ("change_staff", chen.principal, {"change": "disabled"}),
        ("change_staff", chen.principal, {"change": "enabled"}),
        ("reset_staff_password", chen.principal, {}),
    ]


def test_rejected_change_is_not_in_the_audit_log(hospital: Hospital) -> None:
    create_staff(hospital.admin, phone=hospital.chen.phone)
    post_change(hospital.admin, "disable", hospital.admin.user_id)
    post_change(hospital.admin, "disable", hospital.lin.user_id)
    post_change(hospital.admin, "password", hospital.lin.user_id, password="New-123456")
    assert read_audit_log(hospital) == []


def test_concurrent_token_lookup_does_not_cache_the_old_role(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cache.write

    def change_role_concurrently(key: str, text: str) -> None:
        monkeypatch.setattr(cache, "write", real)
        post_change(hospital.admin, "role", hospital.chen.user_id, role="service_staff")
        real(key, text)

    monkeypatch.setattr(cache, "write", change_role_concurrently)
    tokens.find_session(hospital.chen.token)
    assert call_as_doctor(hospital.chen.token) == 403


def test_password_reset_ends_all_sessions(hospital: Hospital) -> None:
    other = sign_in(hospital, hospital.chen.phone, PASSWORD).data["token"]
    assert (call_as_doctor(hospital.chen.token), call_as_doctor(other)) == (200, 200)
    assert post_change(hospital.admin, "password", hospital.chen.user_id, password="New-123456").data is None
    for _ in range(2):
        assert (call_as_doctor(hospital.chen.token), call_as_doctor(other)) == (401, 401)
        redis.get_client().flushdb()
    assert sign_in(hospital, hospital.chen.phone, PASSWORD).status == 401
    assert call_as_doctor(sign_in(hospital, hospital.chen.phone, "New-123456").data["token"]) == 200
    assert call_as_doctor(hospital.zhou.token) == 200, "other sessions stay valid"


def test_admin_cannot_demote_or_disable_themselves(hospital: Hospital) -> None:
    own = hospital.admin.user_id
    for response in (
        post_change(hospital.admin, "disable", own),
        post_change(hospital.admin, "role", own, role="doctor"),
    ):
        assert (response.status, response.code) == (409, 10005)
    assert list_staff(hospital.admin).status == 200


@pytest.mark.store
@pytest.mark.parametrize(("what", "fields"), [("disable", {}), ("role", {"role": "doctor"})])
def test_admins_who_end_each_other_at_the_same_moment_leave_one(
    hospital: Hospital, what: str, fields: dict[str, str]
) -> None:
    """Both requests are admitted before either changes anything."""
    assert post_change(hospital.admin, "role", hospital.chen.user_id, role="admin").status == 200
    pairs = ((hospital.admin, hospital.chen), (hospital.chen, hospital.admin))
    with pause_first_call(staff, "lock") as pause, ThreadPoolExecutor(1) as pool:
        first = pool.submit(post_change, pairs[0][0], what, pairs[0][1].user_id, **fields)
        pause.wait_until_reached()
        assert post_change(pairs[1][0], what, pairs[1][1].user_id, **fields).status == 200
        pause.end()
        assert (first.result().status, first.result().code) == (403, 10003)
    rows = [row for row in list_rows("staff", hospital) if row["role"] == "admin" and row["disabled_at"] is None]
    assert [row["user_id"] for row in rows] == [hospital.chen.user_id]


def test_staff_and_patients_of_other_hospitals_are_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    for user_id in (other_hospital.chen.user_id, hospital.lin.user_id):
        for what, fields in (
            ("role", {"role": "admin"}),
            ("disable", {}),
            ("enable", {}),
            ("password", {"password": PASSWORD}),
        ):
            response = post_change(hospital.admin, what, user_id, **fields)
            assert (response.status, response.code, response.error) == (404, 10004, "员工不存在")
    assert call_as_doctor(other_hospital.chen.token) == 200


@pytest.mark.parametrize("what", ["role", "disable", "enable", "password"])
def test_invalid_id_is_named(hospital: Hospital, what: str) -> None:
    for user_id in BAD_IDS:
        response = post_change(hospital.admin, what, user_id, role="admin", password=PASSWORD)
        assert (response.status, response.error.partition("：")[0]) == (400, "user_id"), user_id


@pytest.mark.parametrize(
    ("what", "name", "value"),
    [
        ("role", "role", "patient"),
        *(
            ("password", "password", value)
            for value in ("Ab-345678", "abcdefghij", "Chen-13900000001", "陈医生Abc-95x")
        ),
    ],
)
def test_invalid_change_is_named(hospital: Hospital, what: str, name: str, value: str) -> None:
    response = post_change(hospital.admin, what, hospital.chen.user_id, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


def test_name_and_phone_are_changed_and_the_new_phone_signs_in(hospital: Hospital) -> None:
    user_id = create_staff(hospital.admin).data["user_id"]
    new = {"name": "赵主任", "phone": "13900000010"}
    for _ in range(2):  # a double click
        assert post_change(hospital.admin, "details", user_id, **new).data is None
    [listed] = list_staff(hospital.admin, name="赵").data["list"]
    assert (listed["name"], listed["phone"]) == ("赵主任", "139****0010")
    assert sign_in(hospital, "13900000010", ZHAO["password"]).status == 200
    assert sign_in(hospital, ZHAO["phone"], ZHAO["password"]).status == 401
    [entry] = [one for one in list_rows("audit_log", hospital) if b"name" in one["detail"].encode()]
    assert (entry["action"], json.loads(entry["detail"])) == ("change_staff", {"change": "name phone"})


def test_details_that_are_left_out_stay(hospital: Hospital) -> None:
    user_id = create_staff(hospital.admin).data["user_id"]
    for fields in ({}, {"name": "", "phone": ""}, {"name": ZHAO["name"]}):
        assert post_change(hospital.admin, "details", user_id, **fields).status == 200
    assert len([one for one in list_rows("audit_log", hospital) if one["action"] == "change_staff"]) == 1
    assert post_change(hospital.admin, "details", user_id, name="赵主任").status == 200
    assert sign_in(hospital, ZHAO["phone"], ZHAO["password"]).status == 200


def test_details_that_are_rejected(hospital: Hospital, other_hospital: Hospital) -> None:
    create_staff(hospital.admin)
    chen = hospital.chen
    taken = post_change(hospital.admin, "details", chen.user_id, name="新名", phone=ZHAO["phone"])
    assert (taken.status, taken.error) == (409, "该手机号已有员工使用")
    for name, values in (("name", ["x" * 65, "a\x00"]), ("phone", ["1", "+8613900000001", 12])):
        for value in values:
            response = post_change(hospital.admin, "details", chen.user_id, **{name: value})
            assert (response.status, response.error.partition("：")[0]) == (400, name), value
    assert post_change(other_hospital.admin, "details", chen.user_id, name="新名").status == 404
    for person in (hospital.lin, chen, hospital.desk):
        assert post_change(person, "details", chen.user_id, name="新名").status == 403
    assert list_staff(hospital.admin, name="新名").data["total"] == 0
