"""Endpoints for schedules that the hospital stops, and for what it offers their patients."""

from chalicelib.booking.change_routes import FRONT_DESK, routes
from chalicelib.booking.closures import alternatives, closed_days, stopped_schedules, substitution
from chalicelib.booking.closures.models import (
    AcceptAlternativeRequest,
    Alternatives,
    BookIdQuery,
    ClosureDays,
    ClosureId,
    ClosurePreview,
    ListedClosure,
    SaveClosureRequest,
    SaveClosureResult,
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


@routes.get("/pati_service/manager_service/closure_preview", callers=FRONT_DESK)
def closure_preview(caller: Caller, query: ClosureDays) -> ClosurePreview:
    """停诊影响预览

    How many schedules and bookings a doctor's leave or closed days of the whole hospital would affect. Changes nothing.
    """
    return closed_days.preview(caller, query)


@routes.post("/pati_service/manager_service/save_closure", callers=FRONT_DESK, errors=[NOT_FOUND])
def save_closure(caller: Caller, body: SaveClosureRequest) -> SaveClosureResult:
    """医生休假与全院停诊

    Stops all schedules of these days, as stop_schedule does, and lets patterns create none there. Without doctor_id the
    whole hospital is closed, which only an admin can do. Repeating it stops what was added meanwhile.
    """
    return closed_days.save(caller, body)


@routes.get("/pati_service/manager_service/closures", callers=FRONT_DESK)
def closures(caller: Caller) -> list[ListedClosure]:
    """停诊安排列表

    Those that are not over, by day.
    """
    return closed_days.list_coming(caller)


@routes.post("/pati_service/manager_service/end_closure", callers=FRONT_DESK, errors=[NOT_FOUND])
def end_closure(caller: Caller, body: ClosureId) -> None:
    """取消停诊安排

    Patterns create the half-days of these days again that they have not created yet. What was stopped stays stopped.
    """
    closed_days.end(caller, body)


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
