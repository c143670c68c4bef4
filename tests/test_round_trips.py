"""Network round trips of requests.

Unlike times, counts do not depend on the machine: a lost pipeline or an additional query fails here.
"""

import base64
import secrets
from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import redis as cache
from chalicelib.consult import session_cache
from chalicelib.identity import rate_limits, sms_codes, tokens
from chalicelib.identity.code_store import Budget, CodePurpose
from chalicelib.identity.rate_limits import Rate, RateLimit
from chalicelib.outbox import outbox
from chalicelib.people import phones
from tests.support import booking_client, factories
from tests.support.accounts_client import RESET, VALIDATE, post_as_visitor, sign_in
from tests.support.client import get
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    list_doctor_sessions,
    send_as_doctor,
    send_as_patient,
)
from tests.support.factories import Hospital, Person
from tests.support.fast_passwords import fast_hashes
from tests.support.gateway_client import call_on_conversation, send
from tests.support.round_trips import RoundTrips, trips
from tests.support.uploads import request_form

__all__ = ["fast_hashes", "trips"]


@pytest.fixture
def session(lin: Person, chen: Person) -> str:
    """A consultation with recent messages of both sides: connections are open and caches are filled."""
    session_no = create_session(lin, chen)
    for number in range(25):
        send_as_patient(lin, chen, f"问{number}", session_no=session_no)
        send_as_doctor(chen, session_no, f"答{number}")
    list_as_patient(lin, session_no)
    list_as_doctor(chen, session_no)
    return session_no


def test_patient_message_takes_one_trip_to_mysql_and_two_to_redis(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    mysql, redis = trips.count(
        lambda: send_as_patient(lin, chen, "还是发烧", key=secrets.token_hex(8), session_no=session)
    )
    assert (mysql, redis) == (1, 2)


def test_doctor_message_takes_one_trip_to_mysql_and_two_to_redis(trips: RoundTrips, chen: Person, session: str) -> None:
    mysql, redis = trips.count(lambda: send_as_doctor(chen, session, "明天来复查", key=secrets.token_hex(8)))
    assert (mysql, redis) == (1, 2)


def test_message_without_session_no_takes_the_same_trips(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    assert session
    assert trips.count(lambda: send_as_patient(lin, chen, "还是发烧", key=secrets.token_hex(8))) == (1, 2)


def test_unknown_token_takes_one_more_trip(trips: RoundTrips, lin: Person, chen: Person, session: str) -> None:
    """A process learns the owner of a token by checking it; until then it cannot know which scripts to run beside."""
    assert trips.count(lambda: list_as_patient(lin, session, page_size=20), before=tokens._owners.clear) == (0, 2)
    send_counts = trips.count(
        lambda: send_as_doctor(chen, session, "明天来复查", key=secrets.token_hex(8)), before=tokens._owners.clear
    )
    assert send_counts == (1, 3)


def test_limit_takes_no_trip_of_its_own(trips: RoundTrips, lin: Person) -> None:
    """It is checked with the token; if the process does not know the token yet, afterwards."""
    search = partial(get, "/pati_service/manager_service/doctor_list", lin.token, page_num=1, page_size=10)
    mysql, redis = trips.count(search)
    assert redis == 1
    assert trips.count(search, before=tokens._owners.clear) == (mysql, 2)


def test_rejected_message_takes_one_trip_to_redis(
    trips: RoundTrips, lin: Person, chen: Person, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the token is checked, in a process that knows that the bucket is empty."""
    monkeypatch.setitem(rate_limits.rates, RateLimit.MESSAGES, Rate(0.001, 1))
    send_one = partial(send_as_patient, lin, chen, "还是发烧", session_no=session)
    assert [send_one().status, send_one().status] == [200, 429]
    assert trips.count(send_one) == (0, 1)


def test_repeated_message_takes_three_more_trips_to_mysql(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    """The transaction that the unique index rejects, its rollback, and the query of the stored message."""
    send_as_patient(lin, chen, "还是发烧", key="k1", session_no=session)
    mysql, redis = trips.count(lambda: send_as_patient(lin, chen, "还是发烧", key="k1", session_no=session))
    assert mysql <= 4
    assert redis <= 2
    send_as_doctor(chen, session, "明天来复查", key="k1")
    mysql, redis = trips.count(lambda: send_as_doctor(chen, session, "明天来复查", key="k1"))
    assert mysql <= 4
    assert redis <= 2


def test_newest_page_without_new_messages_takes_one_trip_to_redis(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    assert trips.count(lambda: list_as_patient(lin, session, page_size=20)) == (0, 1)
    assert trips.count(lambda: list_as_doctor(chen, session, page_size=20)) == (0, 1)


def test_moving_the_read_position_takes_one_more_trip_to_each(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    mysql, redis = trips.count(
        lambda: list_as_patient(lin, session, page_size=20), before=lambda: send_as_doctor(chen, session, "好些了吗？")
    )
    assert mysql <= 1
    assert redis <= 2
    mysql, redis = trips.count(
        lambda: list_as_doctor(chen, session, page_size=20),
        before=lambda: send_as_patient(lin, chen, "好多了", session_no=session),
    )
    assert mysql <= 1
    assert redis <= 2


def test_eighty_sessions_take_two_trips_to_redis(trips: RoundTrips, hospital: Hospital, chen: Person) -> None:
    for number in range(80):
        send_as_patient(
            factories.create_patient(hospital.tenant_id, f"1370000{number:04d}", f"患者{number}"), chen, "医生您好"
        )
    # For 15 s after a new session its list is not cached.
    cache.get_client().delete(f"consults:{session_cache.SCHEMA_VERSION}:{{{chen.principal}}}")
    assert len(list_doctor_sessions(chen)) == 80
    mysql, redis = trips.count(lambda: list_doctor_sessions(chen))
    assert (mysql, redis) == (0, 2)


def test_newest_messages_of_the_gateway_take_one_trip_to_redis(
    trips: RoundTrips, lin: Person, chen: Person, session: str
) -> None:
    """The token and the recent-message cache, which contains conversation and participants too, at once."""
    for what in ("get_conversation_last_30_msg", "get_conversation_lastone_msg", "get_lastone_msgid"):
        for who in (lin, chen):
            assert trips.count(partial(call_on_conversation, who, what, session)) == (0, 1)


def test_gateway_message_takes_one_trip_to_mysql_and_two_to_redis(trips: RoundTrips, lin: Person, session: str) -> None:
    mysql, redis = trips.count(lambda: send(lin, session, "还是发烧", secrets.token_hex(8)))
    assert (mysql, redis) == (1, 2)


def test_history_of_the_gateway_takes_two_trips_to_mysql(trips: RoundTrips, lin: Person, session: str) -> None:
    [newest] = call_on_conversation(lin, "get_conversation_lastone_msg", session).data["Msg"]
    mysql, redis = trips.count(
        lambda: call_on_conversation(lin, "get_conversation_30msg_before_the_id", session, msg_id=newest["MsgId"])
    )
    assert mysql <= 2
    assert redis <= 2  # the token, and the recent-message cache


def test_length_of_a_history_page_does_not_change_its_trips(trips: RoundTrips, lin: Person, session: str) -> None:
    oldest = list_as_patient(lin, session, page_size=20).data[-1]["msg_id"]
    few = trips.count(lambda: list_as_patient(lin, session, page_size=2, msg_id=oldest))
    many = trips.count(lambda: list_as_patient(lin, session, page_size=30, msg_id=oldest))
    assert few == many
    assert many <= (3, 1)
    assert len(list_as_patient(lin, session, page_size=30, msg_id=oldest).data) == 30


def send_reset_code(hospital: Hospital, phone: str, request_id: int) -> None:
    """Run the job of a request without the request, whose limits would count."""
    tenant_id, subject = hospital.tenant_id, phones.compute_blind_index(hospital.tenant_id, phone)
    sealed = phones.seal(tenant_id, f"code:{subject.hex()}", 0, phone)
    assert sealed
    payload = {
        "subject": subject.hex(),
        "purpose": CodePurpose.RESET_PASSWORD,
        "request_id": request_id,
        "network": "203.0.113.7",
        "until": clock.now() + clock.DAY,
        "budget": Budget.HIDDEN,
        "recipient": {"phone_sealed": base64.b64encode(sealed).decode()},
    }
    sms_codes.send_code(tenant_id, payload)


def test_code_guess_has_the_same_cost_without_an_account(trips: RoundTrips, hospital: Hospital) -> None:
    """With tries left and without."""
    for request_id, path in enumerate((VALIDATE, RESET), 1):
        costs = []
        for phone in (hospital.lin.phone, "13899999999"):
            send_reset_code(hospital, phone, request_id)
            guess = partial(post_as_visitor, hospital, path, phone=phone, verCode="000000", newPassword="Anderes-12345")
            costs.append([trips.count(guess) for _ in range(2)])  # of three runs each
        assert costs[0] == costs[1], path
        assert costs[0][0] > costs[0][1], path


@pytest.mark.usefixtures("fast_hashes")
def test_wrong_password_has_the_same_cost_for_every_phone(trips: RoundTrips, hospital: Hospital) -> None:
    """Account and address of the first phone are known, only the account of the second, nothing of the third."""
    assert sign_in(hospital, hospital.lin.phone, factories.PASSWORD).status == 200
    numbers = (hospital.lin.phone, hospital.wang.phone, "13899999999")
    costs = {trips.count(partial(sign_in, hospital, phone, "wrong")) for phone in numbers}
    assert len(costs) == 1


def test_booking(trips: RoundTrips, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)  # the worker is another function
    department = booking_client.create_department(hospital)
    department.save_rules(daily_limit=0)
    lin, wang, schedule_id = hospital.lin, hospital.wang, department.create_schedule()
    held: list[str] = []

    def cancel_held() -> None:
        held.extend([department.submit(lin, schedule_id, 1).data["bookId"]] if not held else [])
        department.cancel(lin, held.pop())

    # The member; BEGIN, the locks and checks, the slot, the outbox job, COMMIT. Then the availability in Redis.
    assert trips.count(lambda: held.append(department.book_slot(lin, schedule_id, 1)), before=cancel_held) == (6, 2)
    assert trips.count(lambda: department.submit(wang, schedule_id, 1)) == (5, 1), (
        "rejected: the member, BEGIN, …, ROLLBACK"
    )


def test_calendar(trips: RoundTrips, hospital: Hospital) -> None:
    department = booking_client.create_department(hospital)
    ids = [department.create_schedule(date=booking_client.get_iso_date(ahead)) for ahead in range(1, 8)]
    filters = {"deptId": department.dept_id, "doctorId": hospital.chen.user_id}
    paths: dict[str, dict[str, Any]] = {
        "schedule/info": filters,
        "schedule": {**filters, "date": booking_client.get_iso_date(1)},
        "schedule_by_date": {"deptId": department.dept_id, "date": booking_client.get_iso_date(1)},
        "schedule_by_doctor": {"deptId": department.dept_id},
        "schedule/left_appo": {"scheduleId": ids[0]},
    }
    for path, query in paths.items():
        request = partial(get, f"{booking_client.PUBLIC_PATH}/{path}", hospital.lin.token, **query)
        request()
        assert trips.count(request) == (1, 2), path


def test_upload_form_takes_one_trip_to_mysql(trips: RoundTrips, lin: Person) -> None:
    """Its row is inserted by the packet that counts the quota."""
    assert trips.count(lambda: request_form(lin)) == (1, 0)
