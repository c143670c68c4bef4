"""Endpoints of the waitlist (候补). routes.py has the others."""

from chalicelib.booking.holiday_routes import routes
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.waitlist import entries
from chalicelib.booking.waitlist.models import (
    JoinWaitlistRequest,
    LeaveWaitlistRequest,
    ScheduleWaitlistQuery,
    WaitlistEntry,
    WaitlistQuery,
)
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller, Role

__all__ = ["routes"]


@routes.post(
    "/pati_service/book_service/waitlist/join",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
)
def join(caller: Caller, body: JoinWaitlistRequest) -> list[WaitlistEntry]:
    """加入候补

    For a half-day that is fully booked (scheduleId), or for those of a doctor between two days; for verified members. A
    slot that becomes free is booked for the first one in line and announced (event 1110): confirm it by book/confirm or
    pay it before confirmBy, or decline it by book/cancel. What is not confirmed passes on to the next one, and is no
    missed visit. A person waits for booking_rules.waitlist_limit requests at most. A repeated request has no effect.
    """
    return entries.join(caller, body)


@routes.post("/pati_service/book_service/waitlist/leave", callers=[Role.PATIENT], errors=[NOT_FOUND, CONFLICT])
def leave(caller: Caller, body: LeaveWaitlistRequest) -> None:
    """退出候补"""
    entries.leave(caller, body)


@routes.get("/pati_service/book_service/waitlist", callers=[Role.PATIENT])
def waitlist(caller: Caller, query: WaitlistQuery) -> Page[WaitlistEntry]:
    """我的候补

    Newest first, with the position in line.
    """
    return entries.list_own(caller, query)


@routes.post("/pati_service/book_service/book/confirm", callers=[Role.PATIENT], errors=[NOT_FOUND, CONFLICT])
def confirm(caller: Caller, body: BookId) -> None:
    """确认候补到的预约

    It is then a booking like any other; where the hospital requires payment, the time to pay begins.
    """
    entries.confirm(caller, body)


@routes.get("/pati_service/manager_service/waitlist", callers=[Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN])
def schedule_waitlist(caller: Caller, query: ScheduleWaitlistQuery) -> Page[WaitlistEntry]:
    """某半天的候补患者

    In their order, those who no longer wait included.
    """
    return entries.list_of_schedule(caller, query)
