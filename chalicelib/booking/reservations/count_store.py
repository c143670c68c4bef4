"""SQL of the bookings that count against a patient or an account."""

from datetime import date

from chalicelib.adapters.mysql import Tx
from chalicelib.billing.bookings import BookingOrigin, BookingStatus
from chalicelib.booking.reservations import limits
from chalicelib.booking.reservations.booking_store import SlotRequest
from chalicelib.booking.reservations.limits import BookingCounts


def count_bookings(tx: Tx, request: SlotRequest, midnight: int, missed_since: date) -> BookingCounts:
    """Return the counts of booking_store.lock_booking_context. Lock the patient before."""
    [counts] = tx.fetch_all(
        limits.build_count_sql(request.is_declared),
        **request.build_params(),
        midnight=midnight,
        missed_since=missed_since,
        missed=BookingStatus.MISSED,
        booked=BookingStatus.BOOKED,
        counted_origin=BookingOrigin.PATIENT,
    )
    return BookingCounts(**counts)
