"""Working days of a hospital: Monday to Friday and make-up days, without the days on which it is closed."""

from datetime import date, timedelta

from chalicelib.adapters.mysql import Tx
from chalicelib.booking.schedules import closure_store, makeup_store

FRIDAY = 5  # as date.isoweekday
LOOK_BACK = timedelta(400)  # closures before are not considered, so that the count ends


def get_workday_before(tx: Tx, tenant_id: int, day: date, count: int) -> date:
    """Return the working day of a hospital that is so many working days before a day."""
    days = (day - LOOK_BACK, day)
    closures = closure_store.list_of_hospital(tx, tenant_id, days)
    makeup_days = {one.day for one in makeup_store.list_between(tx, tenant_id, days)}
    while count:
        day -= timedelta(1)
        is_open = not closure_store.is_closed(closures, None, day)
        count -= is_open and (day.isoweekday() <= FRIDAY or day in makeup_days)
    return day
