"""Closing an account."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.accounts import closing
from chalicelib.adapters import mysql
from chalicelib.billing.bookings import BookingStatus
from chalicelib.billing.refunds_due import RefundState
from chalicelib.errors import ApiError
from chalicelib.helpdesk import desk_sessions
from chalicelib.identity import passwords
from chalicelib.identity.callers import Role
from chalicelib.messaging import sockets
from chalicelib.messaging.socket_store import Socket
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people import account_states, persons
from tests.accounts.conftest import ReadSms
from tests.support import booking_client, consult_client, factories, helpdesk_client, inbox_client
from tests.support.account_client import CLOSE, CLOSE_CODE, get_account, list_audit
from tests.support.accounts_client import (
    EXPORT,
    REGISTER_CODE,
    get_other_code,
    is_token_valid,
    register,
    request_code,
    sign_in,
)
from tests.support.booking_client import BookingDepartment, list_rows
from tests.support.client import ApiResponse, post
from tests.support.factories import PASSWORD, Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.usefixtures("fast_hashes")


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return booking_client.create_department(hospital)


def close(person: Person, password: str = PASSWORD) -> ApiResponse:
    return post(CLOSE, person.token, password=password)


def list_jobs(hospital: Hospital, job: Job) -> list[Any]:
    return [json.loads(row["payload"]) for row in list_rows("outbox", hospital) if row["job"] == job]


def get_patient(pati_id: int) -> Any:
    [row] = mysql.autocommit.fetch_all("SELECT * FROM patients WHERE pati_id = %(id)s", id=pati_id)
    return row


def get_pati_id(person: Person) -> int:
    sql = "SELECT pati_id FROM members WHERE member_id = %(id)s"
    return int(mysql.autocommit.fetch_value(sql, id=person.member_id))


@pytest.mark.store
def test_everything_by_which_its_owner_is_reached_ends_at_once(hospital: Hospital, lin: Person, wang: Person) -> None:
    other = sign_in(hospital, lin.phone, PASSWORD).data["token"]
    assert close(lin).data is None
    row = get_account(lin)
    assert (row["phone_sealed"], row["phone_blind"], row["password_hash"]) == (None, None, b"")
    assert row["closed_at"]
    assert not is_token_valid(lin.token)
    assert not is_token_valid(other)
    assert sign_in(hospital, lin.phone, PASSWORD).status == 401
    [member, *others] = list_rows("members", hospital)
    assert (member["live"], member["removed_by"]) == (None, lin.user_id)
    assert [one["live"] for one in others] == [1]
    assert is_token_valid(wang.token)
    assert list_audit(hospital) == [("close_account", lin.principal, lin.principal, "")]


def test_phone_can_sign_up_again_and_gets_a_new_account(hospital: Hospital, lin: Person, read_sms: ReadSms) -> None:
    close(lin)
    request_code(hospital, lin.phone, REGISTER_CODE)
    again = register(hospital, read_sms(lin.phone)[0], lin.phone).data
    assert again["userId"] != str(lin.user_id)
    assert get_account(lin)["closed_at"]


@pytest.mark.store
def test_code_closes_an_account_too(lin: Person, read_sms: ReadSms) -> None:
    assert post(CLOSE_CODE, lin.token).data is None
    assert post(CLOSE_CODE, lin.token).data is None, "a double click sends one code"
    [code] = read_sms(lin.phone)
    assert post(CLOSE, lin.token, verCode=get_other_code(code)).status == 400
    assert post(CLOSE, lin.token, verCode=code).data is None
    assert get_account(lin)["closed_at"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "password：请输入密码，或以 verCode 代替"),
        ({"password": "wrong"}, "password：密码错误"),
        ({"password": "x" * 73}, "password：不能超过 72 个字符"),
        ({"verCode": "000000"}, "verCode：验证码错误或已过期，请重新获取"),
        ({"verCode": "12"}, "verCode：格式不正确，例如 042917"),
    ],
)
def test_its_owner_has_to_prove_who_they_are(lin: Person, fields: dict[str, Any], error: str) -> None:
    response = post(CLOSE, lin.token, **fields)
    assert (response.status, response.error) == (400, error)
    assert get_account(lin)["closed_at"] is None
    assert is_token_valid(lin.token)


def test_passwords_cannot_be_guessed(lin: Person) -> None:
    assert [close(lin, "wrong").status for _ in range(6)] == [400] * 5 + [429]


@pytest.mark.store
def test_bookings_to_come_prevent_it(department: BookingDepartment, lin: Person) -> None:
    schedule_id = department.create_schedule()
    book_id = department.book_slot(lin, schedule_id, 2)
    response = close(lin)
    assert response.status == 409
    day = booking_client.get_iso_date(1)
    assert response.error == f"还有未完成的事项，完成或取消后才能注销：林小雨 {day} 09:00 的预约"
    assert get_account(lin)["closed_at"] is None
    department.cancel(lin, book_id)
    assert close(lin).status == 200


@pytest.mark.parametrize("status", [BookingStatus.REGISTERED, BookingStatus.MISSED])
def test_bookings_of_the_past_do_not(department: BookingDepartment, lin: Person, status: BookingStatus) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    booking_client.set_status(book_id, status)
    assert close(lin).status == 200


@pytest.mark.store
@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RefundState.PENDING, 409),
        (RefundState.PROCESSING, 409),
        (RefundState.ABNORMAL, 409),
        (RefundState.SUCCESS, 200),
    ],
)
def test_open_refunds_prevent_it(department: BookingDepartment, lin: Person, state: str, status: int) -> None:
    book_id = department.book_slot(lin, department.create_schedule())
    department.cancel(lin, book_id)
    mysql.autocommit.execute(
        """
        INSERT INTO refunds
            (tenant_id, payment_id, number, book_id, out_refund_no, fee, reason, state, check_at, created_at)
        VALUES (%(tenant_id)s, %(id)s + 1000000000, 1, %(id)s, %(number)s, 1250, 'patient', %(state)s, %(now)s, %(now)s)
        """,
        tenant_id=lin.tenant_id,
        id=int(book_id),
        number=f"close{book_id}",
        state=state,
        now=clock.now(),
    )
    response = close(lin)
    assert response.status == status
    assert status == 200 or response.error.endswith(f"{booking_client.get_iso_date(1)} 的预约退款 12.50 元")


@pytest.mark.store
def test_patient_file_goes_into_storage_with_its_last_account(department: BookingDepartment, lin: Person) -> None:
    relative = booking_client.create_second_account(department, lin)
    pati_id = get_pati_id(lin)
    before = get_patient(pati_id)
    assert close(lin).status == 200
    now = get_patient(pati_id)
    unconfirmed = {"phone_unconfirmed_since": now["phone_unconfirmed_since"]}
    assert now == {**before, **unconfirmed}
    assert close(relative).status == 200
    stored = get_patient(pati_id)
    assert stored["stored_at"]
    assert {**stored, "stored_at": None} == now, "nothing else has changed"


def test_files_of_other_accounts_stay(department: BookingDepartment, lin: Person, wang: Person) -> None:
    assert department
    close(lin)
    assert get_patient(get_pati_id(wang))["stored_at"] is None


@pytest.mark.store
def test_consultations_are_archived_and_leave_the_lists(hospital: Hospital, lin: Person, chen: Person) -> None:
    session_no = consult_client.create_session(lin, chen)
    consult_client.send_as_patient(lin, chen, "医生您好")
    close(lin)
    assert consult_client.send_as_doctor(chen, session_no, "在吗").status in (403, 404)
    archived = [one["archived_at"] for one in list_rows("conversations", hospital)]
    assert len(archived) == 1
    assert archived[0]
    rows = list_rows("messages", hospital)
    assert [one["content"] for one in rows] == ["医生您好"], "nothing is deleted"


def test_openids_are_removed(lin: Person, wang: Person) -> None:
    for person in (lin, wang):
        mysql.autocommit.execute(
            """
            INSERT INTO wechat_openids (token_hash, tenant_id, user_id, app_id, openid, bound_at)
            VALUES (%(hash)s, %(tenant_id)s, %(user_id)s, 'wx1', 'o1', 1)
            """,
            hash=bytes([person.user_id % 256]) * 32,
            tenant_id=person.tenant_id,
            user_id=person.user_id,
        )
    close(lin)
    sql = "SELECT user_id FROM wechat_openids WHERE tenant_id = %(tenant_id)s"
    assert mysql.autocommit.fetch_all(sql, tenant_id=lin.tenant_id) == [{"user_id": wang.user_id}]


def test_websockets_are_closed(lin: Person, wang: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    result = [True]

    def close_socket(connection_id: str) -> bool:
        closed.append(connection_id)
        return result[0]

    monkeypatch.setattr(sockets, "close", close_socket)
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    for person in (lin, wang):
        socket = Socket(person.tenant_id, person.principal, b"h" * 32, False)
        mysql.run_transaction(partial(sockets.register, connection_id=f"c{person.user_id}", socket=socket))
    close(lin)
    hospital = Hospital(lin.tenant_id)
    [payload] = list_jobs(hospital, Job.CLOSE_SOCKETS)
    sockets.close_revoked(lin.tenant_id, payload)
    assert closed == [f"c{lin.user_id}"]
    result[0] = False
    with pytest.raises(ApiError):  # so that the job is retried
        sockets.close_revoked(lin.tenant_id, payload)
    mysql.autocommit.execute("DELETE FROM sockets WHERE tenant_id = %(id)s", id=lin.tenant_id)


def test_help_desk_session_ends(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)
    helpdesk_client.HelpDesk(hospital).create_post(hospital.desk)
    helpdesk_client.request_assignment(lin)
    close(lin)
    [payload] = list_jobs(hospital, Job.CLOSE_DESK_SESSION)
    for _ in range(2):
        desk_sessions.close_for_account(hospital.tenant_id, payload)
    [chat] = list_rows("chats", hospital)
    assert chat["state"] == "closed"
    assert helpdesk_client.HelpDesk(hospital).list_open_counts() == {"客服小李": 0}


def test_exports_expire(hospital: Hospital, lin: Person) -> None:
    post(EXPORT, lin.token)
    close(lin)
    [export] = list_rows("account_exports", hospital)
    assert export["delete_at"] is None or export["delete_at"] <= clock.now()


def test_internal_key_gets_no_token_and_acts_no_more(hospital: Hospital, lin: Person) -> None:
    close(lin)
    headers = {"X-Internal-Key": hospital.internal_key}
    assert post("/inner/get_token", headers=headers, session=lin.principal, platform=1).status == 404
    named = {**headers, "newUserId": str(lin.user_id)}
    assert post("/message/messageCount", headers=named, userType=2).status == 404
    assert persons.find_role(mysql.autocommit, lin.tenant_id, lin.user_id) is None
    assert persons.find_role(mysql.autocommit, lin.tenant_id, hospital.wang.user_id) == Role.PATIENT


def test_closed_account_receives_no_site_messages(hospital: Hospital, lin: Person) -> None:
    close(lin)
    assert inbox_client.send(hospital.desk, "明日停水", lin).status == 404


@pytest.mark.store
def test_double_click_closes_once(hospital: Hospital, lin: Person) -> None:
    responses = run_in_threads([lambda: close(lin)] * 4)
    assert {one.status for one in responses} <= {200, 400, 401}
    assert 200 in {one.status for one in responses}
    assert len(list_audit(hospital)) == 1


@pytest.mark.store
def test_either_the_booking_or_the_closing_succeeds(department: BookingDepartment, lin: Person) -> None:
    """Whichever locks the patient file first."""
    schedule_id = department.create_schedule(slots=4)
    for serial_no in (1, 2, 3):
        person = booking_client.create_patient(department, serial_no)
        booked, closed = run_in_threads(
            [partial(department.submit, person, schedule_id, serial_no), partial(close, person)]
        )
        assert (booked.status, closed.status) in ((200, 409), (404, 200), (401, 200))
    assert lin


@pytest.mark.store
def test_booking_that_waits_for_a_closing_is_rejected(
    department: BookingDepartment, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The booking has found its member, and waits for the file that the closing has locked."""
    schedule_id = department.create_schedule()
    real = closing._require_nothing_open

    def check(*arguments: Any) -> None:
        real(*arguments)
        pending.append(pool.submit(department.submit, lin, schedule_id))
        wait_until(is_row_lock_waiting)

    pending: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(closing, "_require_nothing_open", check)
        assert close(lin).status == 200
        assert pending[0].result().status in (401, 404)
    assert list_rows("bookings", department.hospital) == []


def test_member_added_meanwhile_is_removed_too(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    added: list[int] = []
    real = account_states.find_for_update

    def add_once(*arguments: Any) -> Any:
        if not added:
            added.append(factories.add_member(lin, "新来的"))
        return real(*arguments)

    monkeypatch.setattr(account_states, "find_for_update", add_once)
    assert close(lin).status == 200
    assert [one["live"] for one in list_rows("members", hospital)] == [None, None]


def test_sign_in_during_closing_is_rejected(hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign-in has compared the password before the closing commits."""
    assert lin.token
    real = passwords.matches

    def matches(password: str, stored: bytes | None) -> bool:
        right = real(password, stored)
        monkeypatch.setattr(passwords, "matches", real)
        assert close(lin).status == 200
        return right

    monkeypatch.setattr(passwords, "matches", matches)
    assert sign_in(hospital, lin.phone, PASSWORD).status == 401


@pytest.mark.parametrize("change", ["phone_blind = NULL, phone_sealed = NULL", "password_hash = 'x'"])
def test_account_that_has_changed_since_its_owner_was_verified_stays_open(
    lin: Person, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The code of a phone closes no account that has got another one meanwhile."""
    real = closing._verify_owner

    def verify(*arguments: Any) -> bytes:
        code_hash = real(*arguments)
        mysql.autocommit.execute(f"UPDATE accounts SET {change} WHERE user_id = %(id)s", id=lin.user_id)
        return code_hash

    monkeypatch.setattr(closing, "_verify_owner", verify)
    response = close(lin)
    assert (response.status, response.error) == (409, "手机号或密码刚刚被修改过，请重试")
    assert get_account(lin)["closed_at"] is None
