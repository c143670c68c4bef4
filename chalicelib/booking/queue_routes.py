"""Endpoints of the day of the visit: check-in, queues and screens. routes.py has the front desk's registration."""

from chalicelib.booking.queues import calling, check_in, checkin_codes, places, screens
from chalicelib.booking.queues.models import (
    CallNextRequest,
    CheckinCode,
    CheckinCodeQuery,
    CheckInRequest,
    CurrentPatientRequest,
    Queue,
    QueuePlace,
    QueueQuery,
)
from chalicelib.booking.queues.screen_models import CreatedScreen, CreateScreenRequest, ListedScreen, Screen, ScreenId
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.waitlist_routes import routes
from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.http.routing import RateLimit
from chalicelib.identity.callers import Caller, Role

__all__ = ["routes"]

STAFF = [Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]
FRONT_DESK = [Role.SERVICE_STAFF, Role.ADMIN]


@routes.post("/pati_service/book_service/book/check_in", callers=[Role.PATIENT], errors=[NOT_FOUND, CONFLICT])
def check_in_by_code(caller: Caller, body: CheckInRequest) -> QueuePlace:
    """扫码签到

    Registers the booking, as register_booking at the front desk does, by the code of the department, which the patient
    scans in the waiting area. Possible for a verified file on the day of the visit, from booking_rules.checkin_minutes
    before the slot until the half-day ends. After tests, checking in again lets the patient return with the results.
    Repeating it has no further effect. After five wrong codes only the front desk can check in for 15 minutes.
    """
    return check_in.check_in(caller, body)


@routes.get(
    "/pati_service/book_service/queue_place", callers=[Role.PATIENT], errors=[NOT_FOUND], limit=RateLimit.QUEUES
)
def queue_place(caller: Caller, query: BookId) -> QueuePlace:
    """我的排队

    How many wait before the patient. There is no estimate of the time: nothing is known about how long visits take.
    """
    return places.get(caller, query)


@routes.get("/pati_service/manager_service/queue", callers=STAFF, errors=[NOT_FOUND])
def queue(caller: Caller, query: QueueQuery) -> Queue:
    """候诊队列

    Doctors see the queues of their own schedules, service staff and admins all.
    """
    return calling.get(caller, query)


@routes.post("/pati_service/manager_service/queue/call_next", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def call_next(caller: Caller, body: CallNextRequest) -> Queue:
    """叫号：下一位

    The current patient was seen, and the first one who waits is current. `current` names whom the page shows as
    current: if it is another one by now, because of a double click or another device, no patient is called.
    """
    return calling.call_next(caller, body)


@routes.post("/pati_service/manager_service/queue/call_again", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def call_again(caller: Caller, body: CurrentPatientRequest) -> Queue:
    """叫号：再叫一次

    At most once in five seconds. The patient is notified again.
    """
    return calling.call_again(caller, body)


@routes.post("/pati_service/manager_service/queue/skip", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def skip(caller: Caller, body: CurrentPatientRequest) -> Queue:
    """过号

    The current patient has not come, and waits behind the next three.
    """
    return calling.skip(caller, body)


@routes.post("/pati_service/manager_service/queue/done", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def done(caller: Caller, body: CurrentPatientRequest) -> Queue:
    """就诊结束

    No other patient is called. Also for a patient who was sent for tests and need not return.
    """
    return calling.finish(caller, body)


@routes.post("/pati_service/manager_service/queue/await_results", callers=STAFF, errors=[NOT_FOUND, CONFLICT])
def await_results(caller: Caller, body: CurrentPatientRequest) -> Queue:
    """检查后回诊

    The current patient was seen, and is sent for tests. With the results they check in again, by the code or at the
    front desk, and get in line behind the next two.
    """
    return calling.await_results(caller, body)


@routes.get("/pati_service/manager_service/checkin_code", callers=FRONT_DESK, errors=[NOT_FOUND])
def checkin_code(caller: Caller, query: CheckinCodeQuery) -> CheckinCode:
    """科室签到码"""
    return checkin_codes.get(caller, query)


@routes.post("/pati_service/manager_service/replace_checkin_code", callers=FRONT_DESK, errors=[NOT_FOUND])
def replace_checkin_code(caller: Caller, body: CheckinCodeQuery) -> CheckinCode:
    """更换科室签到码

    A random code, to be shown as QR code in the waiting area. The earlier one is invalid at once.
    """
    return checkin_codes.replace(caller, body)


@routes.get("/pati_service/manager_service/screens", callers=[Role.ADMIN])
def list_screens(caller: Caller) -> list[ListedScreen]:
    """候诊屏列表

    Also revoked ones, the newest first.
    """
    return screens.list_all(caller)


@routes.post("/pati_service/manager_service/create_screen", callers=[Role.ADMIN], errors=[NOT_FOUND])
def create_screen(caller: Caller, body: CreateScreenRequest) -> CreatedScreen:
    """新增候诊屏

    For a department or one of its waiting areas. The device key is shown only here: the screen sends it as `token`.
    """
    return screens.create(caller, body)


@routes.post("/pati_service/manager_service/revoke_screen", callers=[Role.ADMIN], errors=[NOT_FOUND])
def revoke_screen(caller: Caller, body: ScreenId) -> None:
    """吊销候诊屏密钥

    Takes effect at once. Revoking it again changes nothing.
    """
    screens.revoke(caller, body)


@routes.get("/pati_service/book_service/screen", callers=[Role.SCREEN], limit=RateLimit.QUEUES)
def screen(caller: Caller) -> Screen:
    """候诊屏内容

    Today's queues of the screen's department or waiting area, with masked names, and the code by which patients check
    in. To be polled every few seconds, with the device key as `token`.
    """
    return screens.get_own(caller)
