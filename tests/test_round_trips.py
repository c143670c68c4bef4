"""What a request costs on the network, counted below every driver: a round trip is a send that follows an answer.

A test counts where a benchmark would time: a lost pipeline or a second look-up fails here on any machine.
"""

import secrets
import socket
from collections.abc import Callable, Iterator
from functools import partial
from threading import get_ident
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import pytest

from chalicelib import clock
from chalicelib.adapters import redis as cache
from chalicelib.consult import session_cache
from chalicelib.identity import sms_codes
from chalicelib.identity.sms_codes import CodePurpose
from chalicelib.outbox import outbox
from chalicelib.settings import settings
from tests.support import booking_client as wards
from tests.support import factories
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

__all__ = ["fast_hashes"]
PORTS = {urlsplit(settings.database_url).port or 3306: "mysql", urlsplit(settings.redis_url).port or 6379: "redis"}


class Trips:
    """Round trips of this thread since the last look, by server: the outbox of a test before may still be at work."""

    def __init__(self) -> None:
        self.thread = get_ident()
        self.sent: list[str] = []
        self.waiting: WeakKeyDictionary[socket.socket, bool] = WeakKeyDictionary()

    def sends(self, line: socket.socket) -> None:
        if get_ident() == self.thread and not self.waiting.get(line):
            self.waiting[line] = True
            self.sent.append(PORTS.get(line.getpeername()[1], "another company's"))

    def receives(self, line: socket.socket) -> None:
        self.waiting[line] = False

    def of(self, work: Callable[[], Any], before: Callable[[], Any] = lambda: None) -> tuple[int, int]:
        """Return how many round trips to MySQL and to Redis a request makes: the least of three.

        A machine so busy that Redis misses its 300 ms sends a request the other way round, which is not meant here.
        """
        return min(self._once(work, before) for _ in range(3))

    def _once(self, work: Callable[[], Any], before: Callable[[], Any]) -> tuple[int, int]:
        before()
        self.sent.clear()
        work()
        return self.sent.count("mysql"), self.sent.count("redis")


@pytest.fixture
def trips(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trips]:
    """Every socket of this process tells when it sends and when it hears."""
    counted = Trips()

    def telling(name: str, tell: Callable[[socket.socket], None]) -> None:
        do = getattr(socket.socket, name)

        def told(line: socket.socket, *arguments: Any) -> Any:
            tell(line)
            return do(line, *arguments)

        monkeypatch.setattr(socket.socket, name, told)

    for name in ("send", "sendall", "sendmsg"):
        telling(name, counted.sends)
    for name in ("recv", "recv_into", "recvmsg"):
        telling(name, counted.receives)
    yield counted
    assert counted.sent, "nothing was counted: the drivers no longer use these calls"


@pytest.fixture
def session(lin: Person, chen: Person) -> str:
    """A consultation in which both sides have just spoken and read: connections are open, copies are made."""
    session_no = create_session(lin, chen)
    for number in range(25):
        send_as_patient(lin, chen, f"问{number}", session_no=session_no)
        send_as_doctor(chen, session_no, f"答{number}")
    list_as_patient(lin, session_no)
    list_as_doctor(chen, session_no)
    return session_no


def test_what_lin_sends_takes_two_trips_to_mysql_and_three_to_redis(
    trips: Trips, lin: Person, chen: Person, session: str
) -> None:
    mysql, redis = trips.of(
        lambda: send_as_patient(lin, chen, "还是发烧", key=secrets.token_hex(8), session_no=session)
    )
    assert mysql <= 2
    assert redis <= 3


def test_what_chen_sends_takes_one_trip_to_mysql_and_three_to_redis(trips: Trips, chen: Person, session: str) -> None:
    mysql, redis = trips.of(lambda: send_as_doctor(chen, session, "明天来复查", key=secrets.token_hex(8)))
    assert mysql <= 1
    assert redis <= 3


def test_a_resend_takes_three_more_trips_to_mysql(trips: Trips, lin: Person, chen: Person, session: str) -> None:
    """The transaction that the unique index refuses, its rollback, then what was sent and who must hear of it."""
    send_as_patient(lin, chen, "还是发烧", key="k1", session_no=session)
    mysql, redis = trips.of(lambda: send_as_patient(lin, chen, "还是发烧", key="k1", session_no=session))
    assert mysql <= 5
    assert redis <= 3
    send_as_doctor(chen, session, "明天来复查", key="k1")
    mysql, redis = trips.of(lambda: send_as_doctor(chen, session, "明天来复查", key="k1"))
    assert mysql <= 4
    assert redis <= 3


def test_the_newest_page_takes_two_trips_to_redis_when_nothing_is_new(
    trips: Trips, lin: Person, chen: Person, session: str
) -> None:
    assert trips.of(lambda: list_as_patient(lin, session, page_size=20)) == (0, 2)
    assert trips.of(lambda: list_as_doctor(chen, session, page_size=20)) == (0, 2)


def test_moving_the_read_position_takes_one_trip_more_to_each(
    trips: Trips, lin: Person, chen: Person, session: str
) -> None:
    mysql, redis = trips.of(
        lambda: list_as_patient(lin, session, page_size=20), before=lambda: send_as_doctor(chen, session, "好些了吗？")
    )
    assert mysql <= 1
    assert redis <= 3
    mysql, redis = trips.of(
        lambda: list_as_doctor(chen, session, page_size=20),
        before=lambda: send_as_patient(lin, chen, "好多了", session_no=session),
    )
    assert mysql <= 1
    assert redis <= 3


def test_eighty_sessions_take_three_trips_to_redis(trips: Trips, hospital: Hospital, chen: Person) -> None:
    for number in range(80):
        send_as_patient(
            factories.create_patient(hospital.tenant_id, f"1370000{number:04d}", f"患者{number}"), chen, "医生您好"
        )
    # For 15 s after a new session its list is not cached.
    cache.get_client().delete(f"consults:{session_cache.SCHEMA_VERSION}:{{{chen.principal}}}")
    assert len(list_doctor_sessions(chen)) == 80
    mysql, redis = trips.of(lambda: list_doctor_sessions(chen))
    assert mysql == 0
    assert redis <= 3


def test_the_gateways_newest_messages_take_two_trips_to_redis(
    trips: Trips, lin: Person, chen: Person, session: str
) -> None:
    """The token and the tail: which conversation it is and who sits there, the tail knows too."""
    for what in ("get_conversation_last_30_msg", "get_conversation_lastone_msg", "get_lastone_msgid"):
        for who in (lin, chen):
            assert trips.of(partial(call_on_conversation, who, what, session)) == (0, 2)


def test_what_is_sent_through_the_gateway_takes_one_trip_to_mysql_and_three_to_redis(
    trips: Trips, lin: Person, session: str
) -> None:
    mysql, redis = trips.of(lambda: send(lin, session, "还是发烧", secrets.token_hex(8)))
    assert mysql <= 1
    assert redis <= 3


def test_a_stretch_of_the_gateways_history_takes_two_trips_to_mysql(trips: Trips, lin: Person, session: str) -> None:
    [newest] = call_on_conversation(lin, "get_conversation_lastone_msg", session).data["Msg"]
    mysql, redis = trips.of(
        lambda: call_on_conversation(lin, "get_conversation_30msg_before_the_id", session, msg_id=newest["MsgId"])
    )
    assert mysql <= 2
    assert redis <= 2  # the token, and whether the tail knows what was said just now


def test_a_page_of_history_takes_no_more_trips_the_longer_it_is(trips: Trips, lin: Person, session: str) -> None:
    oldest = list_as_patient(lin, session, page_size=20).data[-1]["msg_id"]
    few = trips.of(lambda: list_as_patient(lin, session, page_size=2, msg_id=oldest))
    many = trips.of(lambda: list_as_patient(lin, session, page_size=30, msg_id=oldest))
    assert few == many
    assert many <= (3, 1)
    assert len(list_as_patient(lin, session, page_size=30, msg_id=oldest).data) == 30


def test_a_guess_at_a_code_costs_the_same_for_a_phone_without_an_account(trips: Trips, hospital: Hospital) -> None:
    """Both while it has tries left and when it has none."""
    for path in (VALIDATE, RESET):
        costs = []
        for phone in (hospital.lin.phone, "13899999999"):
            asked_for = {"phone": phone, "purpose": CodePurpose.RESET_PASSWORD, "until": clock.now() + clock.DAY}
            sms_codes.generate_and_send(hospital.tenant_id, asked_for)
            guess = partial(post_as_visitor, hospital, path, phone=phone, verCode="000000", newPassword="Anderes-12345")
            costs.append([trips.of(guess) for _ in range(2)])  # three times each
        assert costs[0] == costs[1], path
        assert costs[0][0] > costs[0][1], path


@pytest.mark.usefixtures("fast_hashes")
def test_a_wrong_password_costs_the_same_whatever_is_known_of_the_phone(trips: Trips, hospital: Hospital) -> None:
    """Of Lin also the address, of Wang the account alone, of the last nothing."""
    assert sign_in(hospital, hospital.lin.phone, factories.PASSWORD).status == 200
    phones = (hospital.lin.phone, hospital.wang.phone, "13899999999")
    costs = {trips.of(partial(sign_in, hospital, phone, "wrong")) for phone in phones}
    assert len(costs) == 1


def test_booking(trips: Trips, hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda: None)  # what is promised is another function's to do
    ward = wards.create_department(hospital)
    ward.save_rules(daily_limit=0)
    lin, wang, schedule_id = hospital.lin, hospital.wang, ward.create_schedule()
    held: list[str] = []

    def give_back() -> None:
        held.extend([ward.submit(lin, schedule_id, 1).data["bookId"]] if not held else [])
        ward.cancel(lin, held.pop())

    # The member; BEGIN, everything that must be true, the slot, the promise, COMMIT. Then what others are shown.
    assert trips.of(lambda: held.append(ward.book_slot(lin, schedule_id, 1)), before=give_back) == (6, 2)
    assert trips.of(lambda: ward.submit(wang, schedule_id, 1)) == (5, 1), "refused: the member, BEGIN, …, ROLLBACK"


def test_looking_at_the_calendar(trips: Trips, hospital: Hospital) -> None:
    ward = wards.create_department(hospital)
    ids = [ward.create_schedule(date=wards.get_iso_date(ahead)) for ahead in range(1, 8)]
    asked = {"deptId": ward.dept_id, "doctorId": hospital.chen.user_id}
    paths: dict[str, dict[str, Any]] = {
        "schedule/info": asked,
        "schedule": {**asked, "date": wards.get_iso_date(1)},
        "schedule_by_date": {"deptId": ward.dept_id, "date": wards.get_iso_date(1)},
        "schedule_by_doctor": {"deptId": ward.dept_id},
        "schedule/left_appo": {"scheduleId": ids[0]},
    }
    for path, query in paths.items():
        look = partial(get, f"{wards.PUBLIC_PATH}/{path}", hospital.lin.token, **query)
        look()
        assert trips.of(look) == (1, 2), path
