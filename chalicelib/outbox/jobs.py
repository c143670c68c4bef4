"""The sitemap of what is done after an answer: each job's function, imported when a row of the outbox wants it.

A function takes the tenant's id and the row's payload, and must bear being called again with the same.
"""

JOB_FUNCTIONS = {
    "backlog": "chalicelib.messaging.backlog:send_on_connect",
    "code": "chalicelib.identity.sms_codes:generate_and_send",
    "fan_out": "chalicelib.messaging.fan_out:notify_large_conversation",
    "push": "chalicelib.notifications.event_push:publish_event",
    "refund": "chalicelib.payment.refunds:refund_booking",
    "stop_schedule": "chalicelib.booking.reservations.stopped_schedules:cancel_bookings",
    "tell_booking": "chalicelib.booking.jobs.site_messages:notify_holder",
    "tell_payment": "chalicelib.payment.site_messages:notify_holder",
    "wechat_answer": "chalicelib.consult.unread_reminder:notify_unread_reply",
    "wechat_booking": "chalicelib.booking.jobs.wechat_messages:send_booking_message",
}
# Those that call another company, and are as slow as it is: none of ours waits behind one of them.
EXTERNAL_JOBS = frozenset({"code", "refund", "wechat_answer", "wechat_booking"})
# Of these, what somebody waits for with the phone in their hand: nothing else of the lane goes before it.
URGENT_JOBS = frozenset({"code"})
