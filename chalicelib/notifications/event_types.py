"""Type numbers of the application events that users receive at /notify.

The conversation log uses 1000 to 1099 for its own events (messaging/msg_data.py).
"""

from enum import IntEnum


class EventType(IntEnum):
    """`Type` of an event, as document 004 names the field."""

    BOOKING_MADE = 1100
    BOOKING_CANCELLED = 1101  # by the patient
    SCHEDULE_STOPPED = 1102  # the hospital stopped the schedule (停诊), which cancels the booking
    BOOKING_RELEASED = 1103  # cancelled because it was not paid in time
    BOOKING_REGISTERED = 1104
    BOOKING_MISSED = 1105
    BOOKING_REMINDER = 1106
    BOOKING_RESCHEDULED = 1107  # by the patient
    BOOKING_MOVED = 1108  # rescheduled by the hospital
    BOOKING_CANCELLED_BY_DESK = 1109
    BOOKING_OFFERED = 1110  # the waitlist gave a slot, to be confirmed
    BOOKING_LAPSED = 1111  # it was not confirmed in time
    WAITLIST_ENDED = 1112  # a request ended without a booking
    DOCTOR_SUBSTITUTED = 1120  # the hospital stopped the schedule; another doctor sees the patients
    ALTERNATIVE_HELD = 1121  # the hospital stopped the schedule and holds another slot
    ALTERNATIVE_LAPSED = 1122  # the held slot was not accepted in time, which cancels the booking
    QUEUE_SOON = 1130  # few patients are before the holder's in the queue
    QUEUE_CALLED = 1131  # the doctor calls the patient
    SITE_MESSAGE = 1200
    PAYMENT_RECEIVED = 1300
    PAYMENT_REFUNDED = 1301
    DESK_SESSION_ASSIGNED = 1400
    ACCOUNT_EXPORTED = 1500
