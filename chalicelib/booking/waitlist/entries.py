"""Join and leave the waitlist (候补), see one's position, and confirm what it gave.

Who joins locks the patient, then the schedules (in the order of their ids), so that a free slot is either booked before
or kept for those who wait.
"""

from contextlib import suppress
from datetime import timedelta

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.billing import bookings
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.booking.calendar import calendar_store
from chalicelib.booking.reservations import (
    booking_store,
    conflicts,
    count_store,
    deadlines,
    limits,
    reserve,
    suggestions,
    waitlist_store,
)
from chalicelib.booking.reservations.booking_store import MemberFile, PatientFileChangedError, SlotRequest
from chalicelib.booking.reservations.models import BookId
from chalicelib.booking.reservations.waitlist_store import ListedEntry, WaitState
from chalicelib.booking.schedules import rule_store, rules, schedule_store
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.booking.schedules.slots import Schedule
from chalicelib.booking.waitlist.models import (
    JoinWaitlistRequest,
    LeaveWaitlistRequest,
    ScheduleWaitlistQuery,
    WaitlistEntry,
    WaitlistQuery,
)
from chalicelib.errors import ApiError
from chalicelib.http.fields import Page
from chalicelib.identity.callers import Caller

MAX_DAYS = 31  # of a request for a doctor's days


def join(caller: Caller, request: JoinWaitlistRequest) -> list[WaitlistEntry]:
    """Wait for a schedule, or for the days of a doctor that are fully booked. A repeated request has no further effect.

    Raises:
        ApiError: 404 for an unknown member or schedule; 400 unless a schedule or a doctor with days is given; 403 if
            the patient has missed too many bookings or consents are missing; 409 for a member who is not verified, if a
            slot is free, if it is too late, above waitlist_limit, and if all slots conflict with other bookings.
    """
    for _ in range(reserve.MAX_FILE_CHANGES):
        with suppress(PatientFileChangedError):
            return _join(caller, request)
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def leave(caller: Caller, request: LeaveWaitlistRequest) -> None:
    """Leave a line. Leaving again has no effect.

    Raises:
        ApiError: 404 if the account has no such entry, 409 if it has a booking that is to be confirmed or cancelled.
    """
    state = mysql.run_transaction(
        lambda tx: waitlist_store.leave(tx, caller.tenant_id, caller.user_id, request.entry_id)
    )
    if state is None:
        raise ApiError(errors.NOT_FOUND, "候补不存在")
    if state == WaitState.OFFERED:
        raise ApiError(errors.CONFLICT, "已候补到号，请确认或取消该预约")


def list_own(caller: Caller, query: WaitlistQuery) -> Page[WaitlistEntry]:
    """Return a page of the account's entries, the newest first."""
    limits_ = (query.offset, query.page_size)
    total, rows = waitlist_store.list_own(mysql.autocommit, caller.tenant_id, caller.user_id, limits_)
    return Page[WaitlistEntry].build(query, total, [_build_entry(row) for row in rows])


def list_of_schedule(caller: Caller, query: ScheduleWaitlistQuery) -> Page[WaitlistEntry]:
    """Return a page of the entries of a schedule, in their order."""
    limits_ = (query.offset, query.page_size)
    total, rows = waitlist_store.list_of_schedule(mysql.autocommit, caller.tenant_id, query.schedule_id, limits_)
    return Page[WaitlistEntry].build(query, total, [_build_entry(row) for row in rows])


def confirm(caller: Caller, request: BookId) -> None:
    """Accept a booking that the waitlist gave, which is then like any other. Confirming again has no effect.

    Raises:
        ApiError: 404 if the account has no such booking, 409 if it is too late.
    """
    mysql.run_transaction(lambda tx: _confirm(tx, caller, request.book_id))


def _confirm(tx: Tx, caller: Caller, book_id: int) -> None:
    booking = bookings.find_for_update(tx, caller.tenant_id, book_id)
    if booking is None or booking.user_id != caller.user_id:
        raise ApiError(errors.NOT_FOUND, "预约不存在")
    if booking.status == BookingStatus.CANCELLED:
        raise ApiError(errors.CONFLICT, "该预约已取消，请重新预约或候补")
    if booking.confirm_by is None:
        return
    is_paid = booking.payment_state == PaymentState.PAID
    if booking.confirm_by <= clock.now() and not is_paid:
        raise ApiError(errors.CONFLICT, "已过确认时间，号源将让给下一位候补患者，您可重新候补")
    deadlines.confirm(tx, booking, rule_store.load(tx, caller.tenant_id))


def _join(caller: Caller, request: JoinWaitlistRequest) -> list[WaitlistEntry]:
    file = reserve.require_file(caller, request.member_id, with_consents=True)
    if file.is_declared:
        raise ApiError(errors.CONFLICT, f"未核验的就诊人不能候补。{limits.HOW_TO_VERIFY}")
    schedule_ids = _require_schedule_ids(caller, request)
    mysql.run_transaction(lambda tx: _join_in_transaction(tx, caller, request, file, schedule_ids))
    rows = waitlist_store.list_live_of_member(mysql.autocommit, caller.tenant_id, request.member_id, schedule_ids)
    return [_build_entry(row) for row in rows]


def _require_schedule_ids(caller: Caller, request: JoinWaitlistRequest) -> list[int]:
    """Return the schedules that a request names, in ascending order."""
    if request.schedule_id:
        return [request.schedule_id]
    if not (request.doctor_id and request.dept_id and request.from_date and request.to_date):
        raise ApiError(errors.BAD_PARAMETER, "scheduleId：与 deptId、doctorId、from_date、to_date 必填其一")
    if not 0 <= (request.to_date - request.from_date).days < MAX_DAYS:
        raise ApiError(errors.BAD_PARAMETER, f"to_date：必须在 from_date 之后 {MAX_DAYS} 天之内")
    days = (request.from_date, request.to_date)
    found = schedule_store.list_ids_of_doctor(
        mysql.autocommit, caller.tenant_id, request.dept_id, request.doctor_id, days
    )
    if not found:
        raise ApiError(errors.NOT_FOUND, "该医生在这些天没有排班")
    return found


def _join_in_transaction(
    tx: Tx, caller: Caller, request: JoinWaitlistRequest, file: MemberFile, schedule_ids: list[int]
) -> None:
    tenant_id = caller.tenant_id
    booking_store.lock_patient(tx, tenant_id, file.pati_id)
    member = booking_store.find_member(tx, tenant_id, caller.user_id, request.member_id)
    if member is None or member.file != file:
        raise PatientFileChangedError
    locked = schedule_store.lock_all(tx, tenant_id, schedule_ids)
    if request.schedule_id and not locked:
        raise ApiError(errors.NOT_FOUND, "排班不存在")
    own = {
        row.schedule_id for row in waitlist_store.list_live_of_member(tx, tenant_id, request.member_id, schedule_ids)
    }
    if own:
        return
    rule = rule_store.load(tx, tenant_id)
    _require_may_wait(tx, caller, rule, file, schedule_ids)
    reserved = calendar_store.get_reserved_slots(tx, tenant_id, [one.schedule_id for one in locked])
    wanted = []
    for schedule in locked:
        reason = _find_obstacle(tx, caller, rule, schedule, file, reserved[schedule.schedule_id])
        if reason and request.schedule_id:
            raise ApiError(errors.CONFLICT, reason)
        if not reason:
            wanted.append(schedule.schedule_id)
    if not wanted:
        raise ApiError(errors.CONFLICT, "该医生在这些天没有约满、可以候补的半天，可直接预约或选择其他日期")
    waitlist_store.insert(tx, tenant_id, caller.user_id, request.member_id, wanted)


def _require_may_wait(tx: Tx, caller: Caller, rule: Rules, file: MemberFile, schedule_ids: list[int]) -> None:
    """Raise ApiError unless a person may wait once more."""
    if not rule.waitlist_limit:
        raise ApiError(errors.CONFLICT, "本院未开放候补，请预约其他半天")
    if waitlist_store.find_live(tx, caller.tenant_id, file.pati_id, schedule_ids):
        raise ApiError(errors.CONFLICT, "其他账号已为该就诊人候补，由该账号确认或退出")
    if waitlist_store.count_live_requests(tx, caller.tenant_id, file.pati_id) >= rule.waitlist_limit:
        raise ApiError(errors.CONFLICT, f"每人同时最多候补 {rule.waitlist_limit} 个，请先退出其他候补")
    counts = count_store.count_bookings(
        tx,
        SlotRequest(
            tenant_id=caller.tenant_id,
            user_id=caller.user_id,
            member_id=None,
            pati_id=file.pati_id,
            is_declared=False,
            schedule_id=0,
            serial_no=0,
            idempotency_key=None,
        ),
        clock.to_instant(clock.today()),
        clock.today() - timedelta(rules.MISSED_WINDOW_DAYS),
    )
    limits.require_not_blocked(rule, counts, is_declared=False)


def _find_obstacle(
    tx: Tx, caller: Caller, rule: Rules, schedule: Schedule, file: MemberFile, reserved: frozenset[int]
) -> str:
    """Return why a person cannot wait for a schedule, "" if they can."""
    if schedule.stopped_at or not schedule.doctor_active:
        return f"该排班已停诊{suggestions.describe_other_half_days(tx, caller.tenant_id, schedule)}"
    if schedule.day > rules.get_last_bookable_day(rule) or not schedule.is_released():
        return "该号源尚未开放，不能候补，开放后可直接预约"
    if not waitlist_store.list_offerable(schedule, rule.offer_stop_minutes, frozenset()):
        return "距就诊时间太近，不能候补，可到医院窗口咨询加号"
    if free := schedule.list_free_slots(reserved):
        return f"{schedule.day} {schedule.half_day.label}还有 {len(free)} 个号可预约，不必候补"
    nearby = booking_store.list_nearby(tx, caller.tenant_id, file.pati_id, schedule.schedule_id)
    try:
        conflicts.require_some_slot(schedule, nearby, rule, caller.user_id)
    except ApiError as error:
        return error.text
    return ""


def _build_entry(row: ListedEntry) -> WaitlistEntry:
    return WaitlistEntry(
        entryId=str(row.entry_id),
        scheduleId=str(row.schedule_id),
        state=row.state,
        position=row.position,
        bookId=str(row.book_id or ""),
        date=row.day.isoformat(),
        half=row.half_day,
        deptName=row.dept_name,
        doctorName=row.doctor_name,
        memberName=row.member_name,
        time=clock.format_wire_time(row.created_at),
    )
