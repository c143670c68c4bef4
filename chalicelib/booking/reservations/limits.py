"""How many bookings there may be: of a verified patient whichever account books, or of an account for other members.

An account can invent persons, so bookings for members who are not verified count against the account alone, and a
stranger's bookings do not count against the person whose name he uses.
"""

from dataclasses import dataclass

from chalicelib import errors
from chalicelib.booking.schedules import rules
from chalicelib.booking.schedules.rule_store import Rules
from chalicelib.errors import ApiError

MAX_DECLARED_BOOKINGS = 2  # at one time, for all members of an account who are not verified
HOW_TO_VERIFY = "请先核验就诊人身份：在就诊人页面用短信验证码或就诊卡号核验，或持证件到医院前台办理"

# Which bookings count, and from when on missed ones do. Needs the parameter pati_id or user_id.
_OF_PATIENT = "b.pati_id = %(pati_id)s AND b.is_declared = 0"
_PATIENT_CLEARED_AT = "SELECT missed_cleared_at FROM patients WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s"
_OF_ACCOUNT = "b.user_id = %(user_id)s AND b.is_declared = 1"
_ACCOUNT_CLEARED_AT = "SELECT missed_cleared_at FROM accounts WHERE user_id = %(user_id)s AND tenant_id = %(tenant_id)s"


@dataclass(frozen=True, slots=True)
class BookingCounts:
    """Bookings that count against a limit."""

    created_today: int  # cancelled ones included, only those that the patient made
    missed: int  # in rules.MISSED_WINDOW_DAYS, without those that the front desk has cleared
    booked: int  # neither cancelled nor past, only those that the patient made


def build_count_sql(is_declared: bool) -> str:
    """Return the SELECT of the BookingCounts of a patient or, for one who is not verified, of the account.

    Needs the parameters midnight, missed, missed_since, booked and counted_origin.
    """
    counted = _OF_ACCOUNT if is_declared else _OF_PATIENT
    cleared_at = _ACCOUNT_CLEARED_AT if is_declared else _PATIENT_CLEARED_AT
    return f"""
        SELECT COUNT(IF(b.created_at >= %(midnight)s AND b.origin = %(counted_origin)s, 1, NULL)) AS created_today,
               COUNT(IF(b.status = %(missed)s AND b.day >= %(missed_since)s
                        AND b.changed_at > COALESCE(({cleared_at}), 0), 1, NULL)) AS missed,
               COUNT(IF(b.status = %(booked)s AND b.origin = %(counted_origin)s, 1, NULL)) AS booked
        FROM bookings b WHERE b.tenant_id = %(tenant_id)s AND {counted}
    """


def require_within_limits(rule: Rules, counts: BookingCounts, is_declared: bool) -> None:
    """Check that one more booking is allowed.

    Raises:
        ApiError: 409 above the limit of a day and, for members who are not verified, of live bookings; 403 after too
            many missed ones.
    """
    who, hint = _describe_subject(is_declared)
    if is_declared and counts.booked >= MAX_DECLARED_BOOKINGS:
        text = f"{who}同时最多有 {MAX_DECLARED_BOOKINGS} 个预约{hint}"
        raise ApiError(errors.CONFLICT, text)
    if rule.daily_limit and counts.created_today >= rule.daily_limit:
        raise ApiError(errors.CONFLICT, f"{who}今天已预约 {rule.daily_limit} 次，请明天再试{hint}")
    require_not_blocked(rule, counts, is_declared)


def require_not_blocked(rule: Rules, counts: BookingCounts, is_declared: bool) -> None:
    """Raise ApiError(NOT_ALLOWED) after too many missed visits."""
    who, hint = _describe_subject(is_declared)
    if rule.missed_limit and counts.missed >= rule.missed_limit:
        text = f"{who} {rules.MISSED_WINDOW_DAYS} 天内已失约 {rule.missed_limit} 次，暂时不能预约，可联系医院前台解除"
        raise ApiError(errors.NOT_ALLOWED, text + hint)


def _describe_subject(is_declared: bool) -> tuple[str, str]:
    """Return whom an error text is about, and what it says about verification."""
    return ("未核验的就诊人", f"。{HOW_TO_VERIFY}") if is_declared else ("就诊人", "")
