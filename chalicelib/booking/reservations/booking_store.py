"""SQL of bookings."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.billing import refunds_due
from chalicelib.billing.bookings import Booking, BookingOrigin, BookingStatus, CancellationReason, PaymentState
from chalicelib.billing.refunds_due import BookingRefund, RefundState
from chalicelib.booking.reservations import limits
from chalicelib.booking.reservations.conflicts import SELECT_NEARBY, NearbyBooking, parse_nearby
from chalicelib.booking.reservations.limits import BookingCounts
from chalicelib.booking.schedules.rule_store import SELECT_RULES, Rules, parse_rules
from chalicelib.booking.schedules.schedule_store import SELECT_SCHEDULE
from chalicelib.booking.schedules.slots import Schedule, parse_schedule
from chalicelib.identity.callers import Role
from chalicelib.people import consents
from chalicelib.people.consents import ConsentStatus
from chalicelib.people.patient_status import PatientStatus

LOCK_PATIENT = "SELECT 1 FROM patients WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s FOR UPDATE"
LOCK_ACCOUNT = "SELECT 1 FROM accounts WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s FOR UPDATE"
LIVE_MEMBER = """
    FROM members m LEFT JOIN patients p ON p.pati_id = m.pati_id
    WHERE m.member_id = %(member_id)s AND m.tenant_id = %(tenant_id)s AND m.user_id = %(user_id)s AND m.live = 1
"""
SELECT_FILE = f"SELECT m.pati_id, p.status {LIVE_MEMBER}"
SELECT_FILE_FOR_STAFF = """
    SELECT p.pati_id, p.status FROM patients p
    WHERE p.pati_id = %(pati_id)s AND p.tenant_id = %(tenant_id)s AND p.merged_into IS NULL
"""
SELECT_SLOT_HOLDER = """
    SELECT book_id, user_id, member_id, pati_id FROM bookings
    WHERE schedule_id = %(schedule_id)s AND serial_no = %(serial_no)s AND live = 1 AND tenant_id = %(tenant_id)s
"""
# The slot is the one that was requested, also if the booking was rescheduled.
SELECT_BY_IDEMPOTENCY_KEY = """
    SELECT b.book_id, COALESCE(c.old_schedule_id, b.schedule_id) AS schedule_id,
           COALESCE(c.old_serial_no, b.serial_no) AS serial_no, b.member_id
    FROM bookings b LEFT JOIN booking_changes c ON c.book_id = b.book_id AND c.number = 1
    WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s AND b.idempotency_key = %(idempotency_key)s
"""
COPIED_SCHEDULE_COLUMNS = ("dept_id", "doctor_id", "day", "half_day", "type", "fee", "area")
SELECT_BOOKING = f"""
    SELECT b.book_id, b.tenant_id, b.schedule_id, b.serial_no, b.user_id, b.pati_id, b.dept_id, b.doctor_id, b.day,
           b.slot_time, b.type, b.fee, b.area, b.book_code, b.status, b.payment_state, b.cancelled_for,
           b.created_at, b.changes, b.confirm_by, {refunds_due.REFUND_COLUMNS},
           (SELECT d.name FROM departments d WHERE d.dept_id = b.dept_id) AS dept_name,
           COALESCE((SELECT s.name FROM staff s WHERE s.user_id = b.doctor_id), '') AS doctor_name,
           m.name AS member_name, m.live IS NOT NULL AS has_member
    FROM bookings b JOIN members m ON m.member_id = b.member_id
"""


class PatientFileChangedError(Exception):
    """What was read before the locks has changed: the file was merged, split or verified, or the booking moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRequest:
    """A request for a slot, for a member of an account that has a patient file, or by staff for a file."""

    tenant_id: int
    user_id: int | None  # None: a patient without an account
    member_id: int | None
    pati_id: int
    is_declared: bool  # whether the file is only self-declared
    schedule_id: int
    serial_no: int  # for an additional slot, 0 until it has a number
    idempotency_key: str | None
    origin: BookingOrigin = BookingOrigin.PATIENT
    booked_by: int | None = None  # user_id of the member of staff
    till_receipt_no: str | None = None

    def build_params(self) -> dict[str, Any]:
        """Return the fields as SQL parameters."""
        return {**asdict(self), "idempotency_key": self.idempotency_key.encode() if self.idempotency_key else None}


@dataclass(frozen=True, slots=True)
class MemberFile:
    """The patient file of a member."""

    pati_id: int
    is_declared: bool  # whether it is not verified


@dataclass(frozen=True, slots=True)
class Member:
    """A live member of an account."""

    member_id: int
    file: MemberFile | None
    birthday: date | None
    consents: ConsentStatus  # of the account


@dataclass(frozen=True, slots=True)
class SlotHolder:
    """The booking that holds a slot."""

    book_id: int
    user_id: int | None
    member_id: int | None
    pati_id: int


@dataclass(frozen=True, slots=True)
class EarlierBooking:
    """The booking that an earlier request with the same idempotency key created."""

    book_id: int
    schedule_id: int
    serial_no: int
    member_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingContext:
    """What decides whether a slot can be booked, read under the locks that keep it valid until the commit."""

    file: MemberFile | None  # of the member; None if the member was removed, or the file that staff name was merged
    schedule: Schedule | None
    earlier_booking: EarlierBooking | None
    slot_holder: SlotHolder | None
    rules: Rules
    nearby_bookings: list[NearbyBooking]
    counts: BookingCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBooking:
    """A booking to be inserted; department, day, fee and the like are copied from the schedule."""

    request: SlotRequest
    schedule: Schedule
    slot_time: timedelta  # since midnight
    book_code: str
    pay_by: int | None  # payment deadline
    half_day_rule: bool = True  # whether it takes the patient's half-day
    confirm_by: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingDetails:
    """A booking with the names that its holder is shown."""

    book_id: int
    tenant_id: int
    schedule_id: int
    serial_no: int
    user_id: int
    pati_id: int
    dept_id: int
    doctor_id: int | None
    day: date
    slot_time: timedelta  # since midnight
    type: int
    fee: int  # fen
    area: str
    book_code: str
    status: BookingStatus
    payment_state: PaymentState
    cancelled_for: str  # a CancellationReason, or ""
    created_at: int
    changes: int  # how often it was rescheduled
    confirm_by: int | None  # what the waitlist gave is to be confirmed by then
    dept_name: str
    doctor_name: str  # "" for a general clinic
    member_name: str
    has_member: bool  # whether the account still has the member
    refund: BookingRefund | None

    @property
    def charge_state(self) -> PaymentState:
        """The payment state that its holder is shown: UNPAID again once the whole fee is refunded."""
        refund = self.refund
        is_refunded = refund and refund.state == RefundState.SUCCESS and refund.fee >= self.fee
        return PaymentState.UNPAID if is_refunded else self.payment_state


def find_member(tx: Tx, tenant_id: int, user_id: int, member_id: int) -> Member | None:
    """Return a live member of an account, or None."""
    row = tx.fetch_one(
        f"SELECT m.member_id, m.pati_id, p.status, m.birthday, {consents.CONSENT_COLUMNS} {LIVE_MEMBER}",
        member_id=member_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    if row is None:
        return None
    return Member(row["member_id"], _parse_file(row), row["birthday"], consents.parse_status(row))


def lock_booking_context(tx: Tx, request: SlotRequest, midnight: int, missed_since: date) -> BookingContext:
    """Lock the patient and the schedule (shared), and read what decides whether a slot can be booked.

    The patient's lock keeps the member's file and the counts valid until the commit; for a self-declared file, whose
    bookings count against the account, the account is locked too. The schedule's lock prevents that it is changed or
    stopped. All statements are sent in one round trip, since other bookings of the patient wait meanwhile.

    Args:
        midnight: bookings created since then are counted.
        missed_since: bookings missed since that day are counted.
    """
    statements = (
        LOCK_PATIENT,
        *([LOCK_ACCOUNT] if request.is_declared else []),
        SELECT_FILE_FOR_STAFF if request.origin.by_staff else SELECT_FILE,
        f"{SELECT_SCHEDULE} LOCK IN SHARE MODE",
        SELECT_BY_IDEMPOTENCY_KEY,
        SELECT_SLOT_HOLDER,
        SELECT_RULES,
        SELECT_NEARBY,
        limits.build_count_sql(request.is_declared),
    )
    *_, file, schedule, earlier, holder, rules, nearby, [counts] = tx.execute_packet(
        ";".join(statements),
        **request.build_params(),
        midnight=midnight,
        missed_since=missed_since,
        missed=BookingStatus.MISSED,
        booked=BookingStatus.BOOKED,
        counted_origin=BookingOrigin.PATIENT,
        doctor_role=Role.DOCTOR,
    )
    return BookingContext(
        file=_parse_file(file[0]) if file else None,
        schedule=parse_schedule(schedule[0]) if schedule else None,
        earlier_booking=EarlierBooking(**earlier[0]) if earlier else None,
        slot_holder=SlotHolder(**holder[0]) if holder else None,
        rules=parse_rules(rules[0] if rules else None),
        nearby_bookings=parse_nearby(nearby),
        counts=BookingCounts(**counts),
    )


def lock_patient(tx: Tx, tenant_id: int, pati_id: int) -> None:
    """Prevent other bookings for a patient until the commit. This lock is taken before all others."""
    tx.fetch_one(LOCK_PATIENT, pati_id=pati_id, tenant_id=tenant_id)


def find_by_idempotency_key(tx: Tx, request: SlotRequest) -> EarlierBooking | None:
    """Return the booking that the account created with the request's idempotency key, also a cancelled one, or None."""
    row = tx.fetch_one(SELECT_BY_IDEMPOTENCY_KEY, **request.build_params())
    return EarlierBooking(**row) if row else None


def find_slot_holder(tx: Tx, tenant_id: int, schedule_id: int, serial_no: int) -> SlotHolder | None:
    """Return the booking that holds a slot, or None if the slot is free."""
    row = tx.fetch_one(SELECT_SLOT_HOLDER, schedule_id=schedule_id, serial_no=serial_no, tenant_id=tenant_id)
    return SlotHolder(**row) if row else None


def list_nearby(tx: Tx, tenant_id: int, pati_id: int, schedule_id: int) -> list[NearbyBooking]:
    """Return the bookings of a patient on the day of a schedule, and on the days before and after."""
    return parse_nearby(tx.fetch_all(SELECT_NEARBY, tenant_id=tenant_id, pati_id=pati_id, schedule_id=schedule_id))


def insert(tx: Tx, new: NewBooking) -> Booking:
    """Insert a booking and return it; its row is locked until the commit.

    Raises:
        mysql.DuplicateKeyError: its key is "slot" if the slot is booked, "patient_half_day" or "patient_doctor_day" if
            the patient has a conflicting booking, "idempotency_key" if the key was used before, "book_code" if the
            code is taken.
    """
    fields = new.request.build_params()
    fields |= {name: getattr(new.schedule, name) for name in COPIED_SCHEDULE_COLUMNS}
    state = PaymentState.PAID if new.request.till_receipt_no else PaymentState.UNPAID
    fields |= {
        "slot_time": new.slot_time,
        "book_code": new.book_code,
        "pay_by": new.pay_by,
        "confirm_by": new.confirm_by,
        "payment_state": state,
        "half_day_live": 1 if new.half_day_rule else None,
    }
    book_id = tx.insert(
        """
        INSERT INTO bookings
            (tenant_id, schedule_id, serial_no, user_id, member_id, idempotency_key, pati_id, is_declared, dept_id,
             doctor_id, day, half_day, slot_time, type, fee, area, book_code, pay_by, confirm_by, payment_state,
             till_receipt_no, origin, booked_by, half_day_live, changed_at, created_at)
        VALUES
            (%(tenant_id)s, %(schedule_id)s, %(serial_no)s, %(user_id)s, %(member_id)s, %(idempotency_key)s,
             %(pati_id)s, %(is_declared)s, %(dept_id)s, %(doctor_id)s, %(day)s, %(half_day)s, %(slot_time)s,
             %(type)s, %(fee)s, %(area)s, %(book_code)s, %(pay_by)s, %(confirm_by)s, %(payment_state)s,
             %(till_receipt_no)s, %(origin)s, %(booked_by)s, %(half_day_live)s, %(now)s, %(now)s)
        """,
        **fields,
        now=clock.now(),
    )
    return Booking(
        **{name: value for name, value in fields.items() if name in Booking.__dataclass_fields__},
        book_id=book_id,
        status=BookingStatus.BOOKED,
        changes=0,
        paid_at_till=bool(new.request.till_receipt_no),
    )


def list_page(tx: Tx, tenant_id: int, user_id: int, limits: tuple[int, int]) -> tuple[int, list[BookingDetails]]:
    """Return the number of an account's bookings, and one page of them, newest first.

    Args:
        limits: offset and page size.
    """
    own = "WHERE b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s"
    [total], rows = tx.execute_packet(
        f"""
        SELECT COUNT(*) AS n FROM bookings b {own};
        {SELECT_BOOKING} {own} ORDER BY b.book_id DESC LIMIT %(offset)s, %(size)s
        """,
        tenant_id=tenant_id,
        user_id=user_id,
        offset=limits[0],
        size=limits[1],
    )
    return total["n"], [_parse_details(row) for row in rows]


def find_own(tx: Tx, tenant_id: int, user_id: int, book_id: int) -> BookingDetails | None:
    """Return a booking of an account, or None."""
    row = tx.fetch_one(
        f"{SELECT_BOOKING} WHERE b.book_id = %(book_id)s AND b.tenant_id = %(tenant_id)s AND b.user_id = %(user_id)s",
        book_id=book_id,
        tenant_id=tenant_id,
        user_id=user_id,
    )
    return _parse_details(row) if row else None


def cancel(tx: Tx, book_id: int, reason: CancellationReason, cancelled_by: int | None) -> None:
    """Cancel a booking that `bookings.find_for_update` has locked, which frees its slot.

    Args:
        cancelled_by: the user_id, or None for a job.
    """
    tx.execute(
        """
        UPDATE bookings
        SET status = %(cancelled)s, live = NULL, person_live = NULL, half_day_live = NULL, cancelled_for = %(reason)s,
            changed_by = %(cancelled_by)s, changed_at = %(now)s
        WHERE book_id = %(book_id)s
        """,
        cancelled=BookingStatus.CANCELLED,
        book_id=book_id,
        reason=reason,
        cancelled_by=cancelled_by,
        now=clock.now(),
    )


def list_waiting_ids(tx: Tx, tenant_id: int, schedule_id: int, limit: int) -> list[int]:
    """Return the book_ids of a schedule's bookings whose patients still wait for their visit.

    A registered patient waits until seen by the doctor. Where no patient of the schedule was called, the hospital may
    not use the queue: then those whose slot has begun count as seen.
    """
    rows = tx.fetch_all(
        """
        SELECT b.book_id FROM bookings b
        WHERE b.schedule_id = %(schedule_id)s AND b.live = 1 AND b.tenant_id = %(tenant_id)s AND b.seen_at IS NULL
          AND (b.status = %(booked)s OR b.status = %(registered)s AND (
              TIMESTAMP(b.day, b.slot_time) > %(now)s
              OR EXISTS (SELECT 1 FROM bookings s WHERE s.schedule_id = b.schedule_id AND s.seen_at IS NOT NULL)
              OR EXISTS (SELECT 1 FROM queue_entries q WHERE q.schedule_id = b.schedule_id AND q.calls > 0)))
        ORDER BY b.serial_no LIMIT %(limit)s
        """,
        schedule_id=schedule_id,
        booked=BookingStatus.BOOKED,
        registered=BookingStatus.REGISTERED,
        now=clock.format_wire_time(clock.now()),
        tenant_id=tenant_id,
        limit=limit,
    )
    return [row["book_id"] for row in rows]


def _parse_file(row: Row) -> MemberFile | None:
    return MemberFile(row["pati_id"], row["status"] != PatientStatus.VERIFIED) if row["pati_id"] else None


def _parse_details(row: Row) -> BookingDetails:
    parsed: dict[str, Any] = {
        "status": BookingStatus(row["status"]),
        "payment_state": PaymentState(row["payment_state"]),
        "has_member": bool(row["has_member"]),
        "refund": refunds_due.parse_booking_refund(row),
    }
    fields = {name: row[name] for name in BookingDetails.__dataclass_fields__ if name not in parsed}
    return BookingDetails(**fields, **parsed)
