"""The sitemap of what is done after an answer: each job's function, imported when a row of the outbox wants it.

A function takes the tenant's id and the row's payload, and must bear being called again with the same.
"""

JOBS = {
    "backlog": "chalicelib.messaging.backlog:run",
    "code": "chalicelib.identity.sms_codes:deliver",
    "fan_out": "chalicelib.messaging.fan_out:run",
    "push": "chalicelib.notifications.event_push:run",
    "refund": "chalicelib.payment.refunds:run",
    "stop_schedule": "chalicelib.booking.reservations.stopped_schedules:run",
    "tell_booking": "chalicelib.booking.jobs.site_messages:run",
    "tell_payment": "chalicelib.payment.site_messages:run",
    "wechat_answer": "chalicelib.consult.unread_reminder:run",
    "wechat_booking": "chalicelib.booking.jobs.wechat_messages:run",
}
# Those that call another company, and are as slow as it is: none of ours waits behind one of them.
OUTSIDE = frozenset({"code", "refund", "wechat_answer", "wechat_booking"})
# Of these, what somebody waits for with the phone in their hand: nothing else of the lane goes before it.
URGENT = frozenset({"code"})
