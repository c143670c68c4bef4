"""Endpoints for schedules that the hospital stops, and for what it offers their patients."""

from chalicelib.booking.change_routes import FRONT_DESK, routes
from chalicelib.booking.closures import alternatives, stopped_schedules, substitution
from chalicelib.booking.closures.models import (
    AcceptAlternativeRequest,
    Alternatives,
    BookIdQuery,
    StopScheduleRequest,
    SubstituteRequest,
    SubstituteResult,
)
from chalicelib.booking.reservations.models import BookId, RescheduleResult
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND
from chalicelib.identity.callers import Caller, Role

__all__ = ["routes"]


@routes.post("/pati_service/manager_service/stop_schedule", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def stop_schedule(caller: Caller, body: StopScheduleRequest) -> None:
    """停诊

    The schedule can no longer be booked. Shortly afterwards each of its patients who still waits is notified once: for
    a later day, another slot is held for them until they accept it (booking_rules.hold_hours); otherwise the booking is
    cancelled and refunded. For a substitute doctor use substitute_doctor instead.
    """
    stopped_schedules.stop(caller, body.schedule_id, body.reason or "")


@routes.post("/pati_service/manager_service/substitute_doctor", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def substitute_doctor(caller: Caller, body: SubstituteRequest) -> SubstituteResult:
    """替诊

    Another doctor sees the patients of a schedule, at the same times and for the same fee. Each patient is notified
    once, and can decline for a full refund until the visit. Repeating it has no effect.
    """
    return substitution.substitute(caller, body)


@routes.get("/pati_service/book_service/alternatives", callers=[Role.PATIENT], errors=[NOT_FOUND])
def book_alternatives(caller: Caller, query: BookIdQuery) -> Alternatives:
    """停诊改约查询

    What the hospital offers for a booking whose schedule it has stopped. The booking has the offered slot already; two
    others are shown, which are not held. After a cancellation they can be booked as usual.
    """
    return alternatives.get(caller, query)


@routes.post(
    "/pati_service/book_service/book/accept_alternative",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
)
def accept_alternative(caller: Caller, body: AcceptAlternativeRequest) -> RescheduleResult:
    """确认停诊改约

    Keeps the slot that is held or, with scheduleId and serialNo, moves the booking to another one of the same fee. The
    limits for rescheduling do not apply. A repeated request has no further effect.
    """
    return alternatives.accept(caller, body)


@routes.post(
    "/pati_service/book_service/book/decline_alternative", callers=[Role.PATIENT], errors=[NOT_FOUND, CONFLICT]
)
def decline_alternative(caller: Caller, body: BookId) -> None:
    """停诊退号

    Cancels a booking that the hospital has moved to a substitute doctor or another slot, until the visit begins. What
    was paid is refunded, whatever the rules for cancelling say.
    """
    alternatives.decline(caller, body)
