"""The list of all bookings, cancelled ones included, for service staff and admins."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.admin import booking_store
from chalicelib.admin.booking_models import BookingListQuery, ListedBooking
from chalicelib.billing.bookings import BookingOrigin, BookingStatus
from chalicelib.billing.money import to_yuan
from chalicelib.http import pagination
from chalicelib.http.pagination import ListPage, Position


def list_bookings(tenant_id: int, query: BookingListQuery) -> ListPage[ListedBooking]:
    """Return a page of the hospital's bookings, the latest day first."""
    if query.cancel_reason and query.book_status is None:
        query = query.model_copy(update={"book_status": BookingStatus.CANCELLED})  # by whose index they are found
    rows = booking_store.list_bookings(mysql.autocommit, tenant_id, query)
    return pagination.build_page(
        rows, query.bounds, lambda row: Position(row["day"].toordinal(), row["book_id"]), _build_booking
    )


def _build_booking(row: Row) -> ListedBooking:
    minutes = int(row["slot_time"].total_seconds()) // 60
    return ListedBooking(
        book_id=str(row["book_id"]),
        book_code=row["book_code"],
        date=row["day"].isoformat(),
        time=f"{minutes // 60:02d}:{minutes % 60:02d}",
        serial_no=row["serial_no"],
        dept_name=row["dept_name"] or "",
        doctor_name=row["doctor_name"],
        pati_id=str(row["pati_id"]),
        pati_name=row["pati_name"],
        book_status=BookingStatus(row["status"]),
        cancel_reason=row["cancelled_for"],
        change_time=clock.format_wire_time(row["changed_at"]),
        changed_by=str(row["changed_by"] or ""),
        bookfee=to_yuan(row["fee"]),
        visi_charge=row["payment_state"],
        refund=to_yuan(int(row["refund"])),
        origin=BookingOrigin(row["origin"]),
        create_time=clock.format_wire_time(row["created_at"]),
    )
