"""Withdrawn pictures: existing links stop working, no new ones are issued, and the original is kept."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.files import confirmation, withdrawals, withdrawn_objects
from chalicelib.files.models import File
from chalicelib.messaging import log
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from tests.support.client import post
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    request_form,
    send_as_patient,
    send_picture_as_doctor,
    send_picture_as_patient,
    upload_picture,
)
from tests.support.factories import Hospital, Person
from tests.support.file_samples import VALID
from tests.support.multipart_forms import post_form, send_request
from tests.support.threads import run_in_threads
from tests.support.uploads import find_object_key, find_object_start

ACCESS = "/msg_service/msg/doctor/file/upload_access"
WITHDRAW = "/message/withdrawMessage"

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("no_worker")]


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    return create_session(lin, chen)


def send_picture(patient: Person, doctor: Person, file_id: int, key: str = "") -> str:
    """Send an uploaded picture and return its msg_id."""
    return str(send_picture_as_patient(patient, doctor, file_id, key).data["msg_id"])


def withdraw(patient: Person, session_no: str, message_id: str, principal: str | None = None) -> None:
    log.withdraw(patient.tenant_id, session_no, message_id, patient.principal if principal is None else principal)


def get_key(file_id: int) -> str:
    key = find_object_key(file_id)
    assert key
    return key


def get_status(link: str) -> int:
    return send_request("GET", link).status


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs wait until the test runs them."""
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)


def count_jobs(tenant_id: int) -> int:
    sql = "SELECT COUNT(*) FROM outbox WHERE tenant_id = %(tenant_id)s AND job = %(job)s"
    return int(mysql.autocommit.fetch_value(sql, tenant_id=tenant_id, job=Job.MOVE_WITHDRAWN_FILE))


def test_links_to_a_withdrawn_picture_stop_working(lin: Person, chen: Person, session_no: str) -> None:
    file_id = upload_picture(lin, session_no)
    sent = send_picture_as_patient(lin, chen, file_id).data
    links = [
        sent["file_url"],
        list_as_patient(lin, session_no).data[0]["res_url"],
        list_as_doctor(chen, session_no).data[0]["res_url"],
        post(ACCESS, lin.token, file_id=file_id).data["res_url"],
    ]
    assert [get_status(link) for link in links] == [200] * 4
    withdraw(lin, session_no, sent["msg_id"])
    outbox.run_due_jobs()
    assert [get_status(link) for link in links] == [404] * 4


def test_withdrawal_of_a_picture_wakes_the_worker(
    lin: Person, chen: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[None] = []
    monkeypatch.setattr(outbox, "wake_worker", lambda: woken.append(None))
    withdraw(lin, session_no, send_as_patient(lin, chen, "您好").data["msg_id"])
    assert not woken
    withdraw(lin, session_no, send_picture(lin, chen, upload_picture(lin, session_no)))
    assert woken


def test_original_remains_for_audit(lin: Person, chen: Person, session_no: str) -> None:
    file_id = upload_picture(lin, session_no)
    message_id = send_picture(lin, chen, file_id)
    key = get_key(file_id)
    withdraw(lin, session_no, message_id)
    outbox.run_due_jobs()
    withdrawn_key = withdrawals.build_withdrawn_key(key)
    assert withdrawn_key == key.replace("/files/", "/withdrawn/")
    assert find_object_start(withdrawn_key) == VALID["jpg"]
    assert find_object_start(key) is None
    stored = mysql.autocommit.fetch_value("SELECT COUNT(*) FROM messages WHERE object_key = %(key)s", key=key.encode())
    assert stored == 1


def test_uploader_gets_no_new_link(lin: Person, chen: Person, session_no: str) -> None:
    file_id = upload_picture(lin, session_no)
    withdraw(lin, session_no, send_picture(lin, chen, file_id))
    for _ in range(2):
        for response in (post(ACCESS, lin.token, file_id=file_id), send_picture_as_patient(lin, chen, file_id)):
            assert response.status == 404
            assert response.error.endswith("文件已随消息撤回，请重新上传")
        outbox.run_due_jobs()
    assert [one["withdrawn"] for one in list_as_patient(lin, session_no).data] == [True]


def test_repeated_request_returns_the_withdrawn_message(lin: Person, chen: Person, session_no: str) -> None:
    file_id = upload_picture(lin, session_no)
    first = send_picture_as_patient(lin, chen, file_id, "k1").data
    withdraw(lin, session_no, first["msg_id"])
    repeated = send_picture_as_patient(lin, chen, file_id, "k1").data
    assert (repeated["msg_id"], repeated["file_url"]) == (first["msg_id"], "")


def test_picture_withdrawn_while_it_is_sent_again_is_not_shown(
    lin: Person, chen: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload_picture(lin, session_no)
    first, confirm = send_picture(lin, chen, file_id), confirmation.confirm_upload_for_place

    def confirm_and_withdraw(*arguments: Any) -> File:
        file = confirm(*arguments)
        withdraw(lin, session_no, first)
        return file

    with monkeypatch.context() as patch:
        patch.setattr(confirmation, "confirm_upload_for_place", confirm_and_withdraw)
        assert send_picture_as_patient(lin, chen, file_id).status == 404
    assert [one["withdrawn"] for one in list_as_patient(lin, session_no).data] == [True]


def test_concurrent_sending_and_withdrawing_shows_no_picture_without_a_link(
    lin: Person, chen: Person, session_no: str
) -> None:
    for _ in range(5):
        file_id = upload_picture(lin, session_no)
        first = send_picture(lin, chen, file_id)
        with ThreadPoolExecutor(2) as pool:
            sending = pool.submit(send_picture_as_patient, lin, chen, file_id, f"again-{file_id}")
            pool.submit(withdraw, lin, session_no, first).result()
            sent = sending.result()
        outbox.run_due_jobs()
        newest = list_as_doctor(chen, session_no).data[0]
        if sent.status == 200:
            assert (newest["msg_id"], get_status(newest["res_url"])) == (sent.data["msg_id"], 200)
        else:
            assert (sent.status, newest["withdrawn"]) == (404, True)


def test_form_posted_again_does_not_bring_the_picture_back(lin: Person, chen: Person, session_no: str) -> None:
    form = request_form(lin, session_no)
    assert post_form(form["url"], list(form["fields"].items()), VALID["jpg"]).status == 204
    sent = send_picture_as_patient(lin, chen, form["fileId"]).data
    withdraw(lin, session_no, sent["msg_id"])
    assert post_form(form["url"], list(form["fields"].items()), VALID["png"]).status == 204
    assert post(ACCESS, lin.token, file_id=form["fileId"]).status == 404
    outbox.run_due_jobs()
    assert get_status(sent["file_url"]) == 404


def test_doctor_and_admin_withdraw_pictures_too(hospital: Hospital, session_no: str) -> None:
    by_doctor = send_picture_as_doctor(hospital.chen, session_no, upload_picture(hospital.chen, session_no)).data
    withdraw(hospital.chen, session_no, by_doctor["msg_id"])
    by_patient = send_picture_as_patient(hospital.lin, hospital.chen, upload_picture(hospital.lin, session_no)).data
    assert post(WITHDRAW, hospital.admin.token, messageId=by_patient["msg_id"], userType=1).status == 200
    outbox.run_due_jobs()
    assert [get_status(by_doctor["res_url"]), get_status(by_patient["file_url"])] == [404, 404]


def test_rejected_withdrawal_leaves_the_picture(hospital: Hospital, session_no: str) -> None:
    sent = send_picture_as_patient(hospital.lin, hospital.chen, upload_picture(hospital.lin, session_no)).data
    with pytest.raises(ApiError):
        withdraw(hospital.lin, session_no, sent["msg_id"], hospital.chen.principal)
    for person in (hospital.wang, hospital.chen, hospital.desk):
        assert post(WITHDRAW, person.token, messageId=sent["msg_id"], userType=1).status == 404
    outbox.run_due_jobs()
    assert get_status(sent["file_url"]) == 200


def test_other_pictures_and_texts_are_untouched(hospital: Hospital, other_hospital: Hospital, session_no: str) -> None:
    lin, chen = hospital.lin, hospital.chen
    files = [upload_picture(lin, session_no) for _ in range(2)]
    first, second = (send_picture_as_patient(lin, chen, file_id).data for file_id in files)
    text = send_as_patient(lin, chen, "您好").data["msg_id"]
    other_session = create_session(other_hospital.lin, other_hospital.chen)
    other = send_picture_as_patient(
        other_hospital.lin, other_hospital.chen, upload_picture(other_hospital.lin, other_session)
    ).data
    withdraw(lin, session_no, first["msg_id"])
    withdraw(lin, session_no, text)
    assert (count_jobs(hospital.tenant_id), count_jobs(other_hospital.tenant_id)) == (1, 0)
    outbox.run_due_jobs()
    assert [get_status(one["file_url"]) for one in (first, second, other)] == [404, 200, 200]


def test_picture_sent_twice_works_until_both_messages_are_withdrawn(lin: Person, chen: Person, session_no: str) -> None:
    file_id = upload_picture(lin, session_no)
    first, second = (send_picture_as_patient(lin, chen, file_id, key).data for key in ("k1", "k2"))
    assert first["msg_id"] != second["msg_id"]
    withdraw(lin, session_no, first["msg_id"])
    outbox.run_due_jobs()
    assert get_status(list_as_doctor(chen, session_no).data[0]["res_url"]) == 200
    assert post(ACCESS, lin.token, file_id=file_id).status == 200
    withdraw(lin, session_no, second["msg_id"])
    outbox.run_due_jobs()
    assert get_status(first["file_url"]) == 404


def test_concurrent_withdrawals_of_a_picture_sent_twice_withdraw_it_once(
    lin: Person, chen: Person, session_no: str
) -> None:
    file_id = upload_picture(lin, session_no)
    messages = [send_picture(lin, chen, file_id, f"k{number}") for number in range(4)]
    key = get_key(file_id)
    run_in_threads([partial(withdraw, lin, session_no, message_id) for message_id in messages])
    assert count_jobs(lin.tenant_id) == 1
    outbox.run_due_jobs()
    assert find_object_start(key) is None
    assert find_object_start(withdrawals.build_withdrawn_key(key)) == VALID["jpg"]


def test_repeated_withdrawal_enqueues_no_second_job(lin: Person, chen: Person, session_no: str) -> None:
    message_id = send_picture(lin, chen, upload_picture(lin, session_no))
    run_in_threads([partial(withdraw, lin, session_no, message_id) for _ in range(4)])
    withdraw(lin, session_no, message_id)
    assert count_jobs(lin.tenant_id) == 1


def test_move_is_idempotent_and_repeated_after_a_crash(
    lin: Person, chen: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload_picture(lin, session_no)
    sent = send_picture_as_patient(lin, chen, file_id).data
    key = get_key(file_id)
    payload, withdrawn_key = {"object_key": key}, withdrawals.build_withdrawn_key(key)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete", lambda keys: {*keys})
        with pytest.raises(s3.S3Error):
            withdrawn_objects.move_object(lin.tenant_id, payload)
    assert get_status(sent["file_url"]) == 200
    for _ in range(2):
        withdrawn_objects.move_object(lin.tenant_id, payload)
        assert (get_status(sent["file_url"]), find_object_start(withdrawn_key)) == (404, VALID["jpg"])


def test_move_is_retried_while_s3_is_unreachable(
    lin: Person, chen: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unavailable(*_: object) -> None:
        raise ApiError(UNAVAILABLE)

    sent = send_picture_as_patient(lin, chen, upload_picture(lin, session_no)).data
    with monkeypatch.context() as patch:
        patch.setattr(s3, "find_preview", raise_unavailable)
        withdraw(lin, session_no, sent["msg_id"])
        outbox.run_due_jobs()
    assert get_status(sent["file_url"]) == 200
    later = "UPDATE outbox SET due_at = 0 WHERE tenant_id = %(tenant_id)s"
    mysql.autocommit.execute(later, tenant_id=lin.tenant_id)
    outbox.run_due_jobs()
    assert get_status(sent["file_url"]) == 404
