"""Holidays: the official list proposes, the admin confirms. What a holiday would stop is counted first."""

from datetime import date

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing.money import to_yuan
from chalicelib.booking.closures import affected_store, closed_days, holiday_list
from chalicelib.booking.closures.holiday_list import Holiday
from chalicelib.booking.closures.holiday_models import (
    ConfirmedHoliday,
    ConfirmHolidaysRequest,
    HolidayProposals,
    HolidayQuery,
    ProposedHoliday,
    ProposedMakeupDay,
)
from chalicelib.booking.schedules import closure_store, makeup_store
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox


def list_proposals(caller: Caller, query: HolidayQuery) -> HolidayProposals:
    """Return the holidays of a year that are not over; none if the official list of the year is not known."""
    year = query.year or clock.today().year
    official = holiday_list.HOLIDAY_YEARS.get(year)
    if official is None:
        return HolidayProposals(year=year, published=False, source=_explain_unknown_year(year), holidays=[])
    proposed = mysql.run_autocommit(lambda tx: [_build_proposal(tx, caller, one) for one in _list_coming(year)])
    return HolidayProposals(year=year, published=True, source=official.source, holidays=proposed)


def confirm(caller: Caller, request: ConfirmHolidaysRequest) -> list[ConfirmedHoliday]:
    """Close the hospital on holidays of the official list. Confirming again stops what was added meanwhile.

    Raises:
        ApiError: 409 if the list of the year is not known, or a holiday is over; 404 for a holiday that it does not
            have. Then none is confirmed.
    """
    holidays = [_require_holiday(request.year, name) for name in dict.fromkeys(request.holidays)]
    confirmed = mysql.run_transaction(lambda tx: [_confirm(tx, caller, one) for one in holidays])
    outbox.wake_worker()
    return confirmed


def _list_coming(year: int) -> list[Holiday]:
    return [one for one in holiday_list.HOLIDAY_YEARS[year].holidays if one.to_day >= clock.today()]


def _explain_unknown_year(year: int) -> str:
    return f"没有 {year} 年的放假安排（国务院办公厅尚未公布，或系统尚未收录），请用 save_closure 登记停诊"


def _require_holiday(year: int, name: str) -> Holiday:
    if year not in holiday_list.HOLIDAY_YEARS:
        raise ApiError(errors.CONFLICT, _explain_unknown_year(year))
    found = next((one for one in holiday_list.HOLIDAY_YEARS[year].holidays if one.name == name), None)
    if found is None:
        raise ApiError(errors.NOT_FOUND, f"{year} 年放假安排中没有该节日：{name}")
    if found not in _list_coming(year):
        raise ApiError(errors.CONFLICT, f"{year} 年{name}假期已过")
    return found


def _confirm(tx: Tx, caller: Caller, holiday: Holiday) -> ConfirmedHoliday:
    days = (holiday.from_day, holiday.to_day)
    saved = closed_days.close(tx, caller, None, days, f"{holiday.name}放假")
    return ConfirmedHoliday(name=holiday.name, closure_id=saved.closure_id, stopped=saved.stopped)


def _build_proposal(tx: Tx, caller: Caller, holiday: Holiday) -> ProposedHoliday:
    tenant_id, days = caller.tenant_id, (holiday.from_day, holiday.to_day)
    counts = affected_store.count(tx, tenant_id, None, (max(days[0], clock.today()), days[1]))
    return ProposedHoliday(
        name=holiday.name,
        from_date=days[0].isoformat(),
        to_date=days[1].isoformat(),
        closure_id=str(closure_store.find_equal(tx, tenant_id, None, days) or ""),
        makeup_days=[_build_makeup_day(tx, tenant_id, one) for one in holiday.makeup_days],
        schedules=counts.schedules,
        bookings=counts.bookings,
        paid=counts.paid,
        paid_fee=to_yuan(counts.paid_fee),
        no_account=counts.no_account,
    )


def _build_makeup_day(tx: Tx, tenant_id: int, day: date) -> ProposedMakeupDay:
    saved = makeup_store.list_between(tx, tenant_id, (day, day))
    return ProposedMakeupDay(date=day.isoformat(), weekday=saved[0].weekday if saved else None)
