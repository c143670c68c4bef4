"""Endpoints of booking (document 003): calendar (tenant_service), bookings (book_service), staff (manager_service).

change_routes.py has those that reschedule, and those with which staff book for patients; closure_routes.py has those
for stopped schedules; holiday_routes.py those for holidays; waitlist_routes.py those of the waitlist; queue_routes.py
those of check-in and queues; notification_routes.py those about notifications.
"""

from chalicelib.booking.calendar import offers
from chalicelib.booking.calendar.models import (
    BookableDepartment,
    BookableDoctor,
    DepartmentDayQuery,
    DepartmentQuery,
    DoctorDay,
    DoctorDayQuery,
    DoctorInfo,
    DoctorInfoQuery,
    DoctorOnDay,
    FreeSlot,
    PageNoQuery,
    ScheduleQuery,
)
from chalicelib.booking.front_desk import missed_blocks, registration
from chalicelib.booking.front_desk.models import (
    ClearMissedBlockRequest,
    DayBooking,
    DayBookingsQuery,
    MissedBlock,
    MissedBlockQuery,
    RegisterRequest,
    RegisterResult,
)
from chalicelib.booking.notification_routes import routes
from chalicelib.booking.reservations import bookings, cancellation, reserve
from chalicelib.booking.reservations.models import (
    Book,
    BookId,
    HalfDayCheckRequest,
    ListedBook,
    PathBookId,
    PresubmitRequest,
    PresubmitResult,
    SubmitRequest,
    SubmitResult,
)
from chalicelib.booking.schedules import patterns, rules, schedules
from chalicelib.booking.schedules.models import (
    BookingRules,
    ListedPattern,
    ListedSchedule,
    PatternId,
    PatternsQuery,
    SavePatternRequest,
    SavePatternResult,
    SaveScheduleRequest,
    SaveScheduleResult,
    SchedulesQuery,
)
from chalicelib.errors import CONFLICT, CONSENT_REQUIRED, NOT_FOUND
from chalicelib.http.fields import Page
from chalicelib.http.routing import IdempotencyKeyHeader
from chalicelib.identity.callers import Caller, Role

STAFF = [Role.DOCTOR, Role.SERVICE_STAFF, Role.ADMIN]
FRONT_DESK = [Role.SERVICE_STAFF, Role.ADMIN]
NOT_FOUND_OR_CONFLICT = [NOT_FOUND, CONFLICT]


@routes.get("/pati_service/tenant_service/depts", callers=[Role.PUBLIC])
def depts(caller: Caller) -> list[BookableDepartment]:
    """科室列表"""
    return offers.list_departments(caller)


@routes.get("/pati_service/tenant_service/schedule_by_date", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def schedule_by_date(caller: Caller, query: DepartmentDayQuery) -> Page[DoctorOnDay]:
    """科室按日期排班列表

    One entry for each doctor (or the general clinic) and type; status is 1 if either half-day has a free slot.
    """
    return offers.list_by_date(caller, query)


@routes.get("/pati_service/tenant_service/schedule_by_doctor", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def schedule_by_doctor(caller: Caller, query: DepartmentQuery) -> Page[BookableDoctor]:
    """科室按医生排班列表

    The doctors who see patients on the days that can be booked; status is 1 if any of their slots is free.
    """
    return offers.list_by_doctor(caller, query)


@routes.get("/pati_service/tenant_service/schedule", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def schedule(caller: Caller, query: DoctorDayQuery) -> DoctorDay:
    """具体医生某天的挂号情况"""
    return offers.get_doctor_day(caller, query)


@routes.get("/pati_service/tenant_service/schedule/left_appo", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def left_appo(caller: Caller, query: ScheduleQuery) -> list[FreeSlot]:
    """排班剩余号源详情"""
    return offers.list_free_slots(caller, query)


@routes.get("/pati_service/tenant_service/schedule/info", callers=[Role.PUBLIC], errors=[NOT_FOUND])
def schedule_info(caller: Caller, query: DoctorInfoQuery) -> list[DoctorInfo]:
    """医生基本信息以及明天起指定天数内每天的可挂号数

    One entry. Days without a schedule and days that cannot be booked yet are left out.
    """
    return offers.get_doctor_info(caller, query)


@routes.post("/pati_service/book_service/book/presubmit", callers=[Role.PATIENT], errors=NOT_FOUND_OR_CONFLICT)
def presubmit(caller: Caller, body: PresubmitRequest) -> PresubmitResult:
    """挂号预提交

    Returns what the confirm page shows. Rejected if the slot is reserved, past, stopped or cannot be booked yet.
    Nothing is reserved.
    """
    return bookings.presubmit(caller, body)


@routes.post(
    "/pati_service/book_service/book/submit",
    callers=[Role.PATIENT],
    errors=[*NOT_FOUND_OR_CONFLICT, CONSENT_REQUIRED],
)
def submit(caller: Caller, body: SubmitRequest, idempotency_key: IdempotencyKeyHeader) -> SubmitResult:
    """预约挂号

    A repeated request with the same member and slot returns the same booking. With the same Idempotency-Key it does so
    even after the booking was cancelled. If the slot is reserved, the 409 names free slots or, where the half-day is
    full or stopped, others of the department.
    A patient can have one booking in a half-day (unless booking_rules.half_day_rule is false), one with a doctor on a
    day, and none that begins less than booking_rules.gap_minutes from another. The 409 names the booking that
    conflicts. An account has at most two live bookings for members who are not verified.
    """
    return reserve.submit_booking(caller, body, idempotency_key)


@routes.get("/pati_service/book_service/books", callers=[Role.PATIENT])
def books(caller: Caller, query: PageNoQuery) -> Page[ListedBook]:
    """预约记录列表

    Newest first.
    """
    return bookings.list_own(caller, query)


@routes.get("/pati_service/book_service/book/{bookId}", callers=[Role.PATIENT], errors=[NOT_FOUND])
def book(caller: Caller, bookId: PathBookId) -> Book:  # the name in the contract
    """预约记录明细"""
    return bookings.get_own(caller, bookId)


@routes.post("/pati_service/book_service/book/cancel", callers=[Role.PATIENT], errors=NOT_FOUND_OR_CONFLICT)
def cancel(caller: Caller, body: BookId) -> None:
    """取消预约挂号

    Possible until the slot begins, or until some minutes before it as set by booking_rules.cancel_minutes. The slot can
    then be booked by others, and a payment is refunded.
    """
    cancellation.cancel_own(caller, body)


@routes.post("/pati_service/book_service/book/schedule", callers=[Role.PATIENT], errors=NOT_FOUND_OR_CONFLICT)
def book_schedule(caller: Caller, body: HalfDayCheckRequest) -> None:
    """患者同一时间段就诊判断

    null if the patient is free in that half-day; 409 if a booking conflicts with all slots of the schedule.
    """
    reserve.check_half_day(caller, body)


@routes.get("/pati_service/manager_service/schedules", callers=STAFF)
def list_schedules(caller: Caller, query: SchedulesQuery) -> Page[ListedSchedule]:
    """排班列表

    The schedules between two days, stopped ones included.
    """
    return schedules.search(caller, query)


@routes.post("/pati_service/manager_service/save_schedule", callers=FRONT_DESK, errors=NOT_FOUND_OR_CONFLICT)
def save_schedule(caller: Caller, body: SaveScheduleRequest) -> SaveScheduleResult:
    """新增和修改排班

    A doctor, or a department's general clinic, has one schedule in a half-day, and a doctor's schedules do not overlap.
    Once it has bookings, only type, fee and waiting area can be changed; the changes apply to later bookings.
    """
    return schedules.save(caller, body)


@routes.get("/pati_service/manager_service/day_bookings", callers=STAFF, errors=[NOT_FOUND])
def day_bookings(caller: Caller, query: DayBookingsQuery) -> Page[DayBooking]:
    """某天的预约患者列表

    By time, without cancelled bookings; phone numbers are masked. Doctors see their own bookings and those of the
    general clinic of their department.
    """
    return registration.list_day(caller, query)


@routes.post("/pati_service/manager_service/register_booking", callers=FRONT_DESK, errors=NOT_FOUND_OR_CONFLICT)
def register_booking(caller: Caller, body: RegisterRequest) -> RegisterResult:
    """预约挂号登记

    Changes bookStatus from 0 to 2 when the patient arrives, on the day of the booking only; the patient gets in line,
    or returns to it after tests. The booking is given by book_id or by the code that the patient shows. With
    document_checked, the patient's file is verified, or merged into the verified file of the same document and name;
    409 if that one has another name, or the file has no document: then use verify_patient or merge_patients. A booking
    of an unverified file is registered with document_checked, or with the reason why there is no document.
    """
    return registration.register(caller, body)


@routes.get("/pati_service/manager_service/missed_block", callers=FRONT_DESK, errors=[NOT_FOUND])
def missed_block(caller: Caller, query: MissedBlockQuery) -> MissedBlock:
    """查询爽约限制

    How many visits a patient has missed, and whether they can book. Bookings for members who are not verified count
    against their account.
    """
    return missed_blocks.get(caller, query)


@routes.post("/pati_service/manager_service/clear_missed_block", callers=FRONT_DESK, errors=[NOT_FOUND])
def clear_missed_block(caller: Caller, body: ClearMissedBlockRequest) -> None:
    """解除爽约限制

    Visits missed until now no longer count. Entered into the audit log with the reason.
    """
    missed_blocks.clear(caller, body)


@routes.get("/pati_service/manager_service/schedule_patterns", callers=STAFF)
def schedule_patterns(caller: Caller, query: PatternsQuery) -> Page[ListedPattern]:
    """每周排班列表

    The patterns that have not ended, in the order of the week.
    """
    return patterns.search(caller, query)


@routes.post("/pati_service/manager_service/save_schedule_pattern", callers=FRONT_DESK, errors=NOT_FOUND_OR_CONFLICT)
def save_schedule_pattern(caller: Caller, body: SavePatternRequest) -> SavePatternResult:
    """新增每周排班

    Creates schedules for the coming weeks (booking_rules.weeks_ahead) at once, and further ones each day. A half-day
    that has a schedule is not changed, and none is created where another schedule of the doctor overlaps.
    """
    return patterns.create(caller, body)


@routes.post("/pati_service/manager_service/end_schedule_pattern", callers=FRONT_DESK, errors=[NOT_FOUND])
def end_schedule_pattern(caller: Caller, body: PatternId) -> None:
    """结束每周排班

    The schedules that it has created stay; they can be stopped one by one.
    """
    patterns.end(caller, body)


@routes.get("/pati_service/manager_service/booking_rules", callers=STAFF)
def booking_rules(caller: Caller) -> BookingRules:
    """预约规则"""
    return rules.get(caller)


@routes.post("/pati_service/manager_service/save_booking_rules", callers=[Role.ADMIN])
def save_booking_rules(caller: Caller, body: BookingRules) -> None:
    """修改预约规则

    Rules that are left out keep their values.
    """
    rules.save(caller, body)
