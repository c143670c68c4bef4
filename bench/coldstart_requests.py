"""A first event for each deployed function: a request that its group often serves, or an event with nothing to do."""

from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import app
from bench.lambda_events import REQUEST_CONTEXT, build_get, build_poll, build_post
from chalicelib.adapters import mysql
from chalicelib.identity import tokens
from chalicelib.messaging import sockets
from chalicelib.messaging.socket_store import Socket
from chalicelib.people import documents, patients
from chalicelib.people.documents import IdType
from chalicelib.people.patients import PatientDetails
from chalicelib.settings import settings
from devstack.fakes import wechat_pay
from tests.support import booking_client, factories, payment_client
from tests.support.client import build_schedule_event
from tests.support.factories import Hospital, Person

Event = dict[str, Any]
NEW_CONNECTION_ID = "{new connection}"  # replaced for each process: an id is used once
OPEN_CONNECTION_ID = "coldstart"
ID_NUMBER = "11010519491231002X"


@dataclass(frozen=True)
class FirstEvent:
    """A deployed function and the event that it handles first."""

    function: str  # also the value of GROUP
    handler: str  # name in app.py
    event: Event
    database_url: str


def build_first_events(empty_database_url: str) -> list[FirstEvent]:
    """Create the rows that the events need, and return an event for each function that app.py declares.

    Args:
        empty_database_url: of a database for the jobs, in which there is nothing to do, at any time of day.

    Each event has the same successful response any number of times.

    Raises:
        KeyError: a function has no event here.
    """
    hospital, used = factories.create_hospital(), settings.database_url
    requests, socket_events, job_events = _build_requests(hospital), _build_socket_events(hospital.lin), _build_jobs()
    return [
        *(FirstEvent(group, "app", requests[group], used) for group in app.GROUPS),
        *(FirstEvent(one.name, one.name, socket_events[one.name], used) for one in app.app.websocket_handlers.values()),
        *(FirstEvent(one.name, one.name, job_events[one.name], empty_database_url) for one in app.app.event_sources),
        FirstEvent("migrate", "migrate", {}, used),
    ]


def _build_requests(hospital: Hospital) -> dict[str, Event]:
    """Build a request for each group. Those of accounts, staff and payment decrypt, and so import cryptography."""
    get, post = partial(build_get, token=hospital.lin.token), partial(build_post, token=hospital.lin.token, key="")
    with wechat_pay.replace_real_server() as fake:
        checkout = payment_client.create_checkout(hospital, fake)
        notification = checkout.pay_without_notification(checkout.book_slot())
    doctor: dict[str, Any] = {"deptId": checkout.department.dept_id, "doctorId": hospital.chen.user_id}
    pati_id = _create_patient_file(hospital)
    return {
        "consult": get("/msg_service/msg/patient/session_list"),
        "notify": build_poll(hospital.lin.token, limit=20),
        "gateway": post("/get_joined_conversation"),
        "staff": build_get(f"{booking_client.STAFF_PATH}/pati_info", hospital.admin.token, pati_id=pati_id),
        "accounts": get("/pati_service/patient_service/myinfo"),
        "booking": get(f"{booking_client.PUBLIC_PATH}/schedule/info", **doctor),
        "payment": checkout.build_notification_event(notification),
        "wechat": get("/pati_service/wechat/service_info"),
        "inbox": get("/msg_service/msg/unread_count"),
        "helpdesk": post("/message/messageCount", userType=2),
        "admin": build_get(f"{booking_client.STAFF_PATH}/booking_list", hospital.admin.token),
    }


def _create_patient_file(hospital: Hospital) -> int:
    """Create a patient file with an encrypted document number and return its pati_id."""
    document = documents.build_document(hospital.tenant_id, IdType.RESIDENT_CARD, ID_NUMBER)
    details = PatientDetails(name="林小雨", gender=2, birthday=date(1949, 12, 31), phone="13800000001")
    return mysql.run_transaction(
        lambda tx: patients.insert_verified(tx, hospital.tenant_id, details, document, hospital.admin.user_id)
    )


def _build_socket_events(patient: Person) -> dict[str, Event]:
    """Build the events of API Gateway's WebSocket API: a new connection, a ping of an open one, and a closed one."""
    socket = Socket(patient.tenant_id, patient.principal, tokens.hash_token(patient.token), wants_events=False)
    mysql.run_transaction(lambda tx: sockets.register(tx, OPEN_CONNECTION_ID, socket))
    return {
        "websocket_connect": {
            **_build_socket_event(NEW_CONNECTION_ID, "CONNECT"),
            "queryStringParameters": {"protoc": "ws", "token": patient.token},
        },
        "websocket_message": {**_build_socket_event(OPEN_CONNECTION_ID, "MESSAGE"), "body": '{"action":"ping","id":1}'},
        "websocket_disconnect": _build_socket_event(NEW_CONNECTION_ID, "DISCONNECT"),
    }


def _build_socket_event(connection_id: str, kind: str) -> Event:
    context = {**REQUEST_CONTEXT, "connectionId": connection_id, "eventType": kind, "domainName": "127.0.0.1"}
    return {"requestContext": context, "isBase64Encoded": False}


def _build_jobs() -> dict[str, Event]:
    """Build the events of the scheduled functions, and of an uploaded object that is not ours."""
    arrival = {"bucket": {"name": settings.s3_bucket}, "object": {"key": "unknown"}}
    scheduled = [one.name for one in app.app.event_sources if hasattr(one, "schedule_expression")]
    return {
        **{name: build_schedule_event() for name in scheduled},
        "file_arrived": {**build_schedule_event(), "detail": arrival},
    }
