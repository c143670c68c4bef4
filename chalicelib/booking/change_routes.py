"""Endpoints that change a booking in other ways than cancelling it. routes.py has the others."""

from chalicelib.booking.reservations import rescheduling
from chalicelib.booking.reservations.models import RescheduleRequest, RescheduleResult
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND
from chalicelib.http.routing import IdempotencyKeyHeader, Routes
from chalicelib.identity.callers import Caller, Role

routes = Routes(__name__)
FRONT_DESK = [Role.SERVICE_STAFF, Role.ADMIN]


@routes.post(
    "/pati_service/book_service/book/reschedule",
    callers=[Role.PATIENT],
    errors=[NOT_FOUND, CONFLICT, CONSENT_REQUIRED],
)
def reschedule(caller: Caller, body: RescheduleRequest, idempotency_key: IdempotencyKeyHeader) -> RescheduleResult:
    """改期

    Moves a booking to another slot of the same fee; its id, code and payment stay, and the old slot can be booked by
    others. The rules of book/submit and book/cancel apply; it does not count as a new booking, but a booking can be
    rescheduled only so often (booking_rules.reschedule_limit). For another fee, cancel and book again. A repeated
    request has no further effect; with the same Idempotency-Key not even after the booking was rescheduled again.
    """
    return rescheduling.reschedule_own(caller, body, idempotency_key)


@routes.post("/pati_service/manager_service/reschedule_booking", callers=FRONT_DESK, errors=[NOT_FOUND, CONFLICT])
def reschedule_booking(caller: Caller, body: RescheduleRequest) -> RescheduleResult:
    """前台改期

    As book/reschedule, for a booking of any account, without the limits for patients. The patient is notified.
    """
    return rescheduling.reschedule_for_patient(caller, body)
