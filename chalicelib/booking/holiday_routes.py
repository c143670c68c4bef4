"""Endpoints for holidays and make-up days. closure_routes.py has those for other closed days."""

from chalicelib.booking.change_routes import FRONT_DESK
from chalicelib.booking.closure_routes import routes
from chalicelib.booking.closures import holidays, makeup_days
from chalicelib.booking.closures.holiday_models import (
    ConfirmedHoliday,
    ConfirmHolidaysRequest,
    HolidayProposals,
    HolidayQuery,
    ListedMakeupDay,
    MakeupDayId,
    SaveMakeupDayRequest,
    SaveMakeupDayResult,
)
from chalicelib.errors import CONFLICT, NOT_FOUND
from chalicelib.identity.callers import Caller, Role

__all__ = ["routes"]


@routes.get("/pati_service/manager_service/holiday_proposals", callers=FRONT_DESK)
def holiday_proposals(caller: Caller, query: HolidayQuery) -> HolidayProposals:
    """节假日建议

    The holidays of a year by the State Council's list that are not over, and what closing the hospital would stop; the
    working days of weekends beside them. Nothing is proposed for a year whose list is not known.
    """
    return holidays.list_proposals(caller, query)


@routes.post("/pati_service/manager_service/confirm_holidays", callers=[Role.ADMIN], errors=[NOT_FOUND, CONFLICT])
def confirm_holidays(caller: Caller, body: ConfirmHolidaysRequest) -> list[ConfirmedHoliday]:
    """确认节假日停诊

    Closes the hospital on these holidays, as save_closure does, all in one transaction. Confirming them again stops
    what was added meanwhile; end_closure withdraws one.
    """
    return holidays.confirm(caller, body)


@routes.get("/pati_service/manager_service/makeup_days", callers=FRONT_DESK)
def list_makeup_days(caller: Caller) -> list[ListedMakeupDay]:
    """调休日列表

    Those that are not over, by day.
    """
    return makeup_days.list_coming(caller)


@routes.post("/pati_service/manager_service/save_makeup_day", callers=[Role.ADMIN], errors=[CONFLICT])
def save_makeup_day(caller: Caller, body: SaveMakeupDayRequest) -> SaveMakeupDayResult:
    """设置调休日

    On this Saturday or Sunday, patterns of the given weekday create schedules instead of those of its own; what exists
    already stays. It is a working day for booking_rules.cancel_workdays. Repeating it creates what is missing.
    """
    return makeup_days.save(caller, body)


@routes.post("/pati_service/manager_service/end_makeup_day", callers=[Role.ADMIN], errors=[NOT_FOUND])
def end_makeup_day(caller: Caller, body: MakeupDayId) -> None:
    """取消调休日

    Patterns create no more schedules there as on another weekday. The schedules that exist stay.
    """
    makeup_days.end(caller, body)
