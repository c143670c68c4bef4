"""Privacy notices, consents, and where a consent is required."""

from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import consents
from tests.support import booking_client, consult_client, factories
from tests.support.accounts_client import PATIENT_SERVICE_PATH, add_member, build_tenant_header
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.threads import run_in_threads

NOTICE, PUBLISH = "/pati_service/tenant_service/privacy_notice", "/pati_service/manager_service/privacy_notice"
CONSENT, CONSENTS = f"{PATIENT_SERVICE_PATH}/consent", f"{PATIENT_SERVICE_PATH}/consents"
WITHDRAW = f"{PATIENT_SERVICE_PATH}/consent/withdraw"
BOTH, ALL = ["notice", "health_data"], ["notice", "health_data", "minors"]


def publish(hospital: Hospital, text: str = "我们如何处理您的信息", **fields: Any) -> Any:
    return post(PUBLISH, hospital.admin.token, text=text, **fields).data


def read_notice(hospital: Hospital) -> Any:
    return get(NOTICE, headers=build_tenant_header(hospital)).data


def consent(person: Person, version: Any = 1, purposes: Any = BOTH) -> ApiResponse:
    return post(CONSENT, person.token, version=version, purposes=purposes)


def withdraw(person: Person, purpose: str) -> ApiResponse:
    return post(WITHDRAW, person.token, purpose=purpose)


def add_adult(person: Person) -> ApiResponse:
    return add_member(person, build_unused_id_number())


def test_hospital_without_a_notice_requires_nothing(hospital: Hospital, lin: Person) -> None:
    assert read_notice(hospital) == {"version": 0, "text": "", "requires_consent": False, "published_at": ""}
    assert get(CONSENTS, lin.token).data == {"required_version": 0, "missing": [], "consents": []}
    assert add_adult(lin).status == 200
    assert (consent(lin).status, consent(lin).error) == (409, "医院尚未发布隐私政策")


@pytest.mark.store
def test_versions_are_numbered_and_audited(hospital: Hospital, other_hospital: Hospital) -> None:
    assert publish(hospital)["version"] == 1
    second = publish(hospital, "第二版")
    assert second == read_notice(hospital)
    assert (second["version"], second["text"], second["requires_consent"]) == (2, "第二版", True)
    assert second["published_at"]
    assert read_notice(other_hospital)["version"] == 0
    entries = list_rows("audit_log", hospital)
    assert [(one["action"], one["subject"], one["actor"]) for one in entries] == [
        ("publish_privacy_notice", f"privacy_notice:{version}".encode(), hospital.admin.principal.encode())
        for version in (1, 2)
    ]


def test_text_published_twice_is_one_version(hospital: Hospital) -> None:
    assert publish(hospital) == publish(hospital)
    run_in_threads([lambda: publish(hospital, "第二版")] * 4)
    assert read_notice(hospital)["version"] == 2
    assert publish(hospital, "第二版", keep_consents=True)["version"] == 3
    assert len(list_rows("audit_log", hospital)) == 3


def test_concurrent_publications_get_different_versions(hospital: Hospital) -> None:
    texts = [f"第{number}稿" for number in range(4)]
    versions = run_in_threads([lambda text=text: publish(hospital, text)["version"] for text in texts])  # type: ignore[misc]
    assert sorted(versions) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"text": ""}, "text"),
        ({"text": "　"}, "text"),
        ({"text": "字" * 20_001}, "text"),
        ({"text": "a\0b"}, "text"),
        ({"text": "好", "keep_consents": "maybe"}, "keep_consents"),
    ],
)
def test_invalid_notice_is_rejected(hospital: Hospital, fields: dict[str, Any], name: str) -> None:
    response = post(PUBLISH, hospital.admin.token, **fields)
    assert response.status == 400
    assert response.error.startswith(f"{name}：")


def test_longest_notice_is_stored_unchanged(hospital: Hospital) -> None:
    text = "𠮷" * 20_000
    publish(hospital, text)
    assert read_notice(hospital)["text"] == text


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"version": 0, "purposes": BOTH}, "version"),
        ({"version": "x", "purposes": BOTH}, "version"),
        ({"purposes": BOTH}, "version"),
        ({"version": 1}, "purposes"),
        ({"version": 1, "purposes": []}, "purposes"),
        ({"version": 1, "purposes": ["selling"]}, "purposes.0"),
    ],
)
def test_invalid_consent_is_rejected(hospital: Hospital, lin: Person, fields: dict[str, Any], name: str) -> None:
    publish(hospital)
    response = post(CONSENT, lin.token, **fields)
    assert response.status == 400
    assert response.error.startswith(f"{name}：")
    assert list_rows("consents", hospital) == []


def test_only_a_consent_to_the_current_version_is_accepted(hospital: Hospital, lin: Person) -> None:
    publish(hospital)
    publish(hospital, "第二版")
    response = consent(lin, 1)
    assert (response.status, response.error) == (409, "隐私政策已更新为第 2 版，请重新阅读")
    assert consent(lin, 3).status == 409
    assert consent(lin, 2).status == 200


@pytest.mark.store
def test_consent_is_stored_with_time_and_address_once(hospital: Hospital, lin: Person, wang: Person) -> None:
    publish(hospital)
    first = consent(lin)
    assert first.data["missing"] == []
    assert consent(lin).data == first.data == get(CONSENTS, lin.token).data
    rows = list_rows("consents", hospital)
    assert [(one["user_id"], one["purpose"], one["version"], one["address"]) for one in rows] == [
        (lin.user_id, purpose, 1, b"203.0.113.7") for purpose in BOTH
    ]
    assert get(CONSENTS, wang.token).data == {"required_version": 1, "missing": BOTH, "consents": []}


def test_concurrent_consents_are_stored_once(hospital: Hospital, lin: Person) -> None:
    publish(hospital)
    assert {one.status for one in run_in_threads([lambda: consent(lin, 1, ALL)] * 6)} == {200}
    assert len(list_rows("consents", hospital)) == 3


@pytest.mark.store
def test_withdrawn_consent_does_not_count_and_can_be_given_again(hospital: Hospital, lin: Person, wang: Person) -> None:
    publish(hospital)
    consent(lin)
    consent(wang)
    assert withdraw(lin, "health_data").data["missing"] == ["health_data"]
    repeated = withdraw(lin, "health_data").data
    assert repeated["missing"] == ["health_data"]
    assert [(one["purpose"], bool(one["withdrawn_at"])) for one in repeated["consents"]] == [
        ("health_data", True),
        ("notice", False),
    ]
    assert add_adult(lin).code == 10106
    assert add_adult(wang).status == 200, "the consents of another account are unchanged"
    assert consent(lin).data["missing"] == []
    assert add_adult(lin).status == 200
    assert withdraw(lin, "cookies").status == 400


@pytest.mark.store
def test_adding_a_member_requires_consents(hospital: Hospital, lin: Person) -> None:
    publish(hospital)
    before = list_rows("members", hospital)
    response = add_adult(lin)
    assert (response.status, response.code) == (403, 10106)
    assert response.error == "请先阅读隐私政策并同意：隐私政策、处理健康信息"
    consent(lin, 1, ["notice"])
    assert add_adult(lin).error == "请先阅读隐私政策并同意：处理健康信息"
    assert list_rows("members", hospital) == before
    consent(lin)
    assert add_adult(lin).status == 200


def test_child_requires_a_consent_of_its_own(hospital: Hospital, lin: Person) -> None:
    publish(hospital)
    consent(lin)
    birthday = clock.today() - timedelta(days=365 * 5)
    number = build_id_number(f"{birthday:%Y%m%d}")
    response = add_member(lin, number)
    assert (response.code, response.error) == (10106, "请先阅读隐私政策并同意：处理未满十四周岁未成年人的信息")


@pytest.mark.parametrize(
    ("birthday", "minor"),
    [
        (None, False),
        (date(2012, 2, 28), False),
        (date(2012, 2, 29), True),  # 14 on 1 March, as 2026 is no leap year
        (date(2012, 3, 1), True),
        (date(2026, 2, 28), True),
    ],
)
def test_minority_ends_on_the_fourteenth_birthday(
    birthday: date | None, minor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "today", lambda: date(2026, 2, 28))
    assert consents.is_minor(birthday) is minor


def test_minor_correction_keeps_consents(hospital: Hospital, lin: Person) -> None:
    publish(hospital)
    consent(lin)
    publish(hospital, "错别字已改", keep_consents=True)
    assert add_adult(lin).status == 200
    publish(hospital, "新的用途")
    assert add_adult(lin).code == 10106
    publish(hospital, "新的用途。", keep_consents=True)
    assert add_adult(lin).code == 10106, "the version before still requires one"
    assert get(CONSENTS, lin.token).data["required_version"] == 3
    assert consent(lin, 4).status == 200
    assert add_adult(lin).status == 200


def test_first_notice_that_keeps_consents_requires_none(hospital: Hospital, lin: Person) -> None:
    publish(hospital, keep_consents=True)
    assert get(CONSENTS, lin.token).data["missing"] == []
    assert add_adult(lin).status == 200


@pytest.mark.store
def test_booking_requires_consents(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    schedule_id = department.create_schedule()
    publish(hospital)
    response = department.submit(lin, schedule_id)
    assert (response.status, response.code) == (403, 10106)
    assert list_rows("bookings", hospital) == []
    consent(lin)
    assert department.submit(lin, schedule_id).status == 200


def test_booking_for_a_child_requires_the_consent_for_minors(hospital: Hospital, lin: Person) -> None:
    department = booking_client.create_department(hospital)
    schedule_id = department.create_schedule()
    publish(hospital)
    consent(lin)
    born = "UPDATE members SET birthday = %(day)s WHERE member_id = %(id)s"
    mysql.autocommit.execute(born, day=clock.today() - timedelta(days=900), id=lin.member_id)
    assert department.submit(lin, schedule_id).code == 10106
    assert get(CONSENTS, lin.token).data["missing"] == ["minors"]
    consent(lin, 1, ["minors"])
    assert department.submit(lin, schedule_id).status == 200


@pytest.mark.store
def test_starting_a_consultation_requires_consents_and_continuing_does_not(
    hospital: Hospital, lin: Person, chen: Person, zhou: Person
) -> None:
    session_no = consult_client.create_session(lin, chen)
    publish(hospital)
    assert consult_client.create_session(lin, chen) == session_no
    assert consult_client.send_as_patient(lin, chen, "还是发烧").status == 200
    response = consult_client.send_as_patient(lin, zhou, "医生您好")
    assert (response.status, response.code) == (403, 10106)
    consent(lin)
    assert consult_client.send_as_patient(lin, zhou, "医生您好").status == 200


def test_consents_belong_to_an_account(hospital: Hospital) -> None:
    publish(hospital)
    two = [factories.create_patient(hospital.tenant_id, f"1370000000{number}", "甲") for number in (1, 2)]
    consent(two[0])
    assert [add_adult(one).status for one in two] == [200, 403]
