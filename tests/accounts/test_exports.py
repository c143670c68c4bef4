"""Exports of an account's own data."""

import json
from typing import Any

import pytest
import requests

from app import sweep_files
from chalicelib import clock, errors
from chalicelib.accounts import export_store, exports
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.mysql import Tx
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.notifications.event_types import EventType
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import documents, guardians, patient_documents
from chalicelib.people.documents import IdType
from chalicelib.people.guardians import Guardian
from tests.support import booking_client, consult_client, gateway_client, helpdesk_client, inbox_client
from tests.support.accounts_client import EXPORT, MEMBER, add_member
from tests.support.booking_client import list_rows
from tests.support.client import build_schedule_event, get, post
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number
from tests.support.outbox_jobs import wait_for_workers
from tests.support.threads import run_in_threads
from tests.support.uploads import find_object_start

HOUR = 3600 * clock.SECOND
SECRET = "只给别人看的话"


@pytest.fixture(autouse=True)
def stopped_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs wait until a test runs them."""
    wait_for_workers()
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)


def request(person: Person) -> Any:
    return post(EXPORT, person.token).data


def read_state(person: Person) -> Any:
    return get(EXPORT, person.token).data


def list_jobs(hospital: Hospital, job: Job = Job.EXPORT_ACCOUNT) -> list[Any]:
    return [json.loads(row["payload"]) for row in list_rows("outbox", hospital) if row["job"] == job]


def run_job(hospital: Hospital) -> None:
    exports.write_export(hospital.tenant_id, list_jobs(hospital)[-1])


def download(person: Person) -> Any:
    response = requests.get(read_state(person)["url"], timeout=10)
    response.raise_for_status()
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Content-Disposition"] == 'attachment; filename="export.json"'
    return response.json()


def export(person: Person, hospital: Hospital) -> Any:
    request(person)
    run_job(hospital)
    return download(person)


def get_object_key(hospital: Hospital) -> str:
    return str(list_rows("account_exports", hospital)[-1]["object_key"].decode())


def make_older(hospital: Hospital, hours: float) -> None:
    """Date the exports of a hospital back."""
    mysql.autocommit.execute(
        """
        UPDATE account_exports
        SET requested_at = requested_at - %(time)s, finished_at = finished_at - %(time)s,
            delete_at = delete_at - %(time)s
        WHERE tenant_id = %(tenant_id)s
        """,
        time=int(hours * HOUR),
        tenant_id=hospital.tenant_id,
    )


@pytest.mark.store
def test_export_is_written_and_reported(hospital: Hospital, lin: Person, wang: Person) -> None:
    assert read_state(lin) == {"status": "none", "url": "", "expires_at": ""}
    requested = request(lin)
    assert read_state(lin) == {"status": "pending", "url": "", "expires_at": ""}
    run_job(hospital)
    state = read_state(lin)
    assert state["status"] == "ready"
    assert state["expires_at"]
    assert download(lin)["profile"]["phone"] == lin.phone
    assert inbox_client.list_texts(lin) == [exports.READY_TEXT]
    [event] = list_jobs(hospital, Job.PUBLISH_EVENT)
    assert (event["type"], event["content"]) == (EventType.ACCOUNT_EXPORTED, {"exportId": requested["export_id"]})
    assert event["principals"] == [lin.principal]
    [entry] = list_rows("audit_log", hospital)
    assert (entry["action"], entry["actor"], entry["subject"]) == ("export_account", *[lin.principal.encode()] * 2)
    assert read_state(wang)["status"] == "none"


@pytest.mark.store
def test_double_click_is_one_export(hospital: Hospital, lin: Person, wang: Person) -> None:
    assert request(lin) == request(lin)
    assert len({json.dumps(one) for one in run_in_threads([lambda: request(wang)] * 5)}) == 1
    assert len(list_jobs(hospital)) == len(list_rows("account_exports", hospital)) == 2
    assert len(list_rows("audit_log", hospital)) == 2


def test_one_export_a_day(hospital: Hospital, lin: Person) -> None:
    first = request(lin)
    make_older(hospital, 23.9)
    assert request(lin)["export_id"] == first["export_id"]
    make_older(hospital, 0.2)
    assert request(lin)["export_id"] != first["export_id"]


@pytest.mark.store
def test_repeated_job_notifies_once(hospital: Hospital, lin: Person) -> None:
    request(lin)
    run_job(hospital)
    before = list_rows("account_exports", hospital)
    run_job(hospital)
    assert list_rows("account_exports", hospital) == before
    assert inbox_client.list_texts(lin) == [exports.READY_TEXT]
    assert len(list_jobs(hospital, Job.PUBLISH_EVENT)) == 1


def test_concurrent_jobs_notify_once(hospital: Hospital, lin: Person) -> None:
    request(lin)
    run_in_threads([lambda: run_job(hospital)] * 3)
    assert inbox_client.list_texts(lin) == [exports.READY_TEXT]
    assert download(lin)["profile"]["phone"] == lin.phone


@pytest.mark.store
@pytest.mark.parametrize("is_cleaned_up", [False, True])
def test_export_that_expires_while_it_is_written_does_not_remain(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch, is_cleaned_up: bool
) -> None:
    """As when the account is closed at that moment."""

    def expire_and_put(*args: Any) -> None:
        export_store.expire_all(mysql.autocommit, hospital.tenant_id, lin.user_id, clock.now())
        if is_cleaned_up:
            sweep_files(build_schedule_event(), None)
        put(*args)

    put = s3.put
    request(lin)
    key = get_object_key(hospital)
    monkeypatch.setattr(s3, "put", expire_and_put)
    run_job(hospital)
    assert read_state(lin)["status"] == "expired"
    assert inbox_client.list_texts(lin) == []
    sweep_files(build_schedule_event(), None)
    assert find_object_start(key) is None


def test_expired_export_is_not_written(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    request(lin)
    make_older(hospital, 49)
    monkeypatch.setattr(s3, "put", lambda *_: pytest.fail("written"))
    run_job(hospital)


def test_failed_upload_is_retried(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ApiError(errors.UNAVAILABLE)

    request(lin)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "put", fail)
        with pytest.raises(ApiError):
            run_job(hospital)
    assert read_state(lin)["status"] == "pending"
    run_job(hospital)
    assert read_state(lin)["status"] == "ready"


@pytest.mark.store
def test_object_is_deleted_after_a_day(hospital: Hospital, lin: Person) -> None:
    request(lin)
    run_job(hospital)
    key = get_object_key(hospital)
    make_older(hospital, 23.9)
    sweep_files(build_schedule_event(), None)
    assert find_object_start(key)
    make_older(hospital, 0.2)
    assert read_state(lin) == {"status": "expired", "url": "", "expires_at": ""}
    sweep_files(build_schedule_event(), None)
    assert find_object_start(key) is None
    assert get_object_key(hospital) == ""
    assert read_state(lin)["status"] == "expired"


def test_object_of_a_job_that_never_finished_is_deleted(hospital: Hospital, lin: Person) -> None:
    request(lin)
    key = get_object_key(hospital)
    exports._write_object(hospital.tenant_id, lin.user_id, key)
    make_older(hospital, 47)
    sweep_files(build_schedule_event(), None)
    assert find_object_start(key)
    make_older(hospital, 2)
    sweep_files(build_schedule_event(), None)
    assert find_object_start(key) is None
    run_job(hospital)
    assert read_state(lin)["status"] == "expired", "a late job writes nothing"
    assert inbox_client.list_texts(lin) == []


def test_object_that_s3_keeps_is_tried_again(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    request(lin)
    run_job(hospital)
    make_older(hospital, 25)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete", set)
        sweep_files(build_schedule_event(), None)
    assert get_object_key(hospital)
    sweep_files(build_schedule_event(), None)
    assert get_object_key(hospital) == ""


def test_content_of_bookings_and_messages(hospital: Hospital, lin: Person, wang: Person, chen: Person) -> None:
    department = booking_client.create_department(hospital)
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id, 2)
    department.book_slot(wang, schedule_id, 3)
    session_no = consult_client.create_session(lin, chen)
    consult_client.send_as_patient(lin, chen, "医生您好")
    consult_client.send_as_doctor(chen, session_no, "请说")
    inbox_client.send(hospital.desk, "明日停水", lin)
    inbox_client.send(hospital.desk, SECRET, wang)
    content = export(lin, hospital)
    [booking] = content["bookings"]
    assert booking == {
        **booking,
        "book_id": int(book_id),
        "member": "林小雨",
        "department": "呼吸内科",
        "doctor": "陈医生",
        "time": f"{booking_client.get_iso_date(1)} 09:00",
        "serial_no": 2,
        "fee": 12.5,
        "status": "已预约",
        "paid": False,
    }
    [conversation] = content["conversations"]
    assert (conversation["kind"], conversation["member"], conversation["doctor"]) == ("consult", "林小雨", "陈医生")
    assert [(one["from"], one["text"]) for one in conversation["messages"]] == [
        ("本人", "医生您好"),
        ("陈医生", "请说"),
    ]
    assert [one["text"] for one in content["site_messages"]] == ["明日停水"]
    assert [one["name"] for one in content["members"]] == ["林小雨"]
    assert content["hospital"] == "仁和医院"
    assert content["sessions"][0]["created_at"]
    assert SECRET not in json.dumps(content, ensure_ascii=False)


def test_members_have_their_documents_and_guardians(hospital: Hospital, lin: Person) -> None:
    number, parents_number = build_unused_id_number(), build_unused_id_number()
    add_member(lin, number)
    birthday = clock.today().replace(year=clock.today().year - 3, day=1)
    guardian = {
        "name": "林大山",
        "idType": "01",
        "IDNo": parents_number,
        "phone": "13800000003",
        "relation": 3,
        "consent": True,
    }
    child: dict[str, Any] = {
        "name": "林小宝",
        "gender": 1,
        "birthday": birthday.isoformat(),
        "IDNo": "",
        "phone": lin.phone,
    }
    assert post(MEMBER, lin.token, **child, guardian=guardian).status == 200
    _, adult, exported_child = export(lin, hospital)["members"]
    assert adult["documents"] == [{"type": "身份证", "number": number, "country": ""}]
    assert (adult["guardian"], adult["is_verified"], adult["phone"]) == (None, False, "13800000001")
    assert exported_child["documents"] == []
    assert exported_child["guardian"] == {
        "name": "林大山",
        "phone": "13800000003",
        "document": {"type": "身份证", "number": parents_number},
    }


def test_what_others_entered_about_a_shared_file_is_not_exported(hospital: Hospital, lin: Person, wang: Person) -> None:
    """Two accounts have one file: the primary document is what both see, a guardian is of who entered them."""
    number, passport = build_unused_id_number(), "E12345678"
    add_member(lin, number)
    pati_id, member_id = mysql.autocommit.fetch_value(
        "SELECT CONCAT(pati_id, ',', member_id) FROM members WHERE user_id = %(id)s ORDER BY member_id DESC LIMIT 1",
        id=lin.user_id,
    ).split(",")
    guardian = Guardian(name="王母", id_type=IdType.PASSPORT, number=passport, phone="13800000004", cont_relation=3)
    field_encryption.preload_keys()
    document = documents.build_document(lin.tenant_id, IdType.PASSPORT, passport)

    def enter(tx: Tx) -> None:
        guardians.save(tx, lin.tenant_id, int(pati_id), guardian, wang.user_id)
        patient_documents.add(tx, lin.tenant_id, int(pati_id), document, wang.user_id)

    mysql.run_transaction(enter)
    [exported] = [one for one in export(lin, hospital)["members"] if one["member_id"] == int(member_id)]
    assert exported["documents"] == [{"type": "身份证", "number": number, "country": ""}]
    assert exported["guardian"] is None


def test_withdrawn_messages_have_no_content(hospital: Hospital, lin: Person, chen: Person) -> None:
    [message] = helpdesk_client.send_all(lin, chen, SECRET)
    helpdesk_client.call_messagecenter(lin, "withdrawMessage", messageId=message, userType=2)
    [conversation] = export(lin, hospital)["conversations"]
    [withdrawn] = conversation["messages"]
    assert (withdrawn["withdrawn"], withdrawn["text"], withdrawn["details"]) == (True, "", {})


def test_announcement_does_not_name_its_author(hospital: Hospital, lin: Person) -> None:
    card: dict[str, Any] = {"itemType": 2, "title": "缴费", "link": "https://example.com/pay"}
    helpdesk_client.add_message(hospital.desk, "点此缴费", ownType=2, receiveId=lin.user_id, **card)
    [conversation] = export(lin, hospital)["conversations"]
    [message] = conversation["messages"]
    assert (message["from"], message["text"]) == ("医院", "点此缴费")
    assert message["details"] == {"title": "缴费", "link": "https://example.com/pay"}


def test_pictures_are_named_and_not_contained(hospital: Hospital, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    consult_client.send_picture_as_patient(lin, chen, consult_client.upload_picture(lin, session_no))
    [conversation] = export(lin, hospital)["conversations"]
    [picture] = conversation["messages"]
    assert (picture["is_file"], picture["text"]) == (True, "")


def test_other_patients_messages_are_left_out(hospital: Hospital, lin: Person, wang: Person, chen: Person) -> None:
    conversation = gateway_client.create_conversation(lin)
    for person, text in ((lin, "我先说"), (wang, SECRET), (chen, "医生说")):
        gateway_client.call_on_conversation(person, "join_conversation", conversation)
        gateway_client.send_all(person, conversation, text)
    [exported] = export(lin, hospital)["conversations"]
    assert [one["text"] for one in exported["messages"]] == ["我先说", "医生说"]


def test_messages_after_leaving_are_left_out(hospital: Hospital, lin: Person, chen: Person) -> None:
    conversation = gateway_client.create_conversation(chen)
    gateway_client.call_on_conversation(lin, "join_conversation", conversation)
    gateway_client.send_all(chen, conversation, "之前")
    gateway_client.call_on_conversation(lin, "leave_conversation", conversation)
    gateway_client.send_all(chen, conversation, SECRET)
    [exported] = export(lin, hospital)["conversations"]
    assert [one["text"] for one in exported["messages"]] == ["之前"]


def test_announcements_are_from_the_hospital(hospital: Hospital, lin: Person) -> None:
    helpdesk_client.add_message(hospital.desk, "门诊时间调整", ownType=2, receiveId=lin.user_id)
    [conversation] = export(lin, hospital)["conversations"]
    assert [(one["from"], one["text"]) for one in conversation["messages"]] == [("医院", "门诊时间调整")]


@pytest.mark.store
def test_long_lists_are_read_in_pages(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_store, "PAGE_SIZE", 2)
    monkeypatch.setattr("chalicelib.accounts.export_content.PAGE_SIZE", 2)
    texts = [f"问{number}" for number in range(5)]
    for text in texts:
        consult_client.send_as_patient(lin, chen, text)
        inbox_client.send(hospital.desk, text, lin)
    content = export(lin, hospital)
    assert [one["text"] for one in content["conversations"][0]["messages"]] == texts
    assert [one["text"] for one in content["site_messages"]] == texts


def test_large_export_is_written_to_the_disk(
    hospital: Hospital, lin: Person, chen: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MEMORY_BYTES", 100)
    for number in range(3):
        consult_client.send_as_patient(lin, chen, f"{number}" + "长" * 3000)
    [conversation] = export(lin, hospital)["conversations"]
    assert [len(one["text"]) for one in conversation["messages"]] == [3001] * 3
