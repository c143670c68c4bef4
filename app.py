"""Entry points: endpoint groups, outbox handlers, scheduled jobs and WebSocket handlers.

infra/functions.py sets the environment variable GROUP of each Lambda: the name of the only group that it imports, or
another name for functions that serve no endpoints. If it is unset (chalice local, chalice package, tests), all groups
are imported.

The garbage collector is off during the imports, which saves a tenth of a cold start: they leave no garbage. What they
create lives as long as the process; later collections ignore it (gc.freeze, at the end).
"""

import gc

gc.disable()

from importlib import import_module
from typing import Any

from chalice.app import Chalice

from chalicelib import logs
from chalicelib.http import routing, websocket
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job, Queue
from chalicelib.settings import settings

GROUPS = (
    *("consult", "notify", "gateway", "staff", "accounts", "booking", "payment", "wechat", "inbox", "helpdesk"),
    "admin",
)
API_HANDLER_GROUP = "gateway"  # served by Chalice's API handler; every other group has its own function
# Functions whose requests write to WebSockets, which continues after the response.
PUSHING_FUNCTIONS = ("consult", "gateway", "helpdesk", "websocket_message")

logs.configure()
app = Chalice(app_name="zhenxun", configure_logs=False)
app.experimental_feature_flags.add("WEBSOCKETS")
app.api.binary_types = []  # infra/api.py configures http/bodies.BINARY_TYPES in API Gateway
if settings.lambda_runtime_api and settings.endpoint_group in PUSHING_FUNCTIONS:
    from chalicelib.http import after_response

    app.register_middleware(after_response.report_end, "all")
    after_response.start_extension()
app.register_middleware(routing.wrap_request, "http")


def load_routes(group: str) -> routing.Routes:
    """Import an endpoint group and return its routes."""
    routes: routing.Routes = import_module(f"chalicelib.{group}.routes").routes
    return routes


for group in GROUPS:
    if settings.endpoint_group in ("", group):
        app.register_blueprint(load_routes(group))


def load_internal_handler(job: Job) -> outbox.Handler:
    """Import and return the handler of a job of the internal queue, and no other: a worker starts the faster.

    Raises:
        LookupError: the queue has no such job.
    """
    match job:
        case Job.SEND_BACKLOG:
            from chalicelib.messaging import backlog

            return backlog.send_on_connect
        case Job.NOTIFY_CONVERSATION:
            from chalicelib.messaging import fan_out

            return fan_out.notify_conversation
        case Job.PUBLISH_EVENT:
            from chalicelib.notifications import event_push

            return event_push.publish_event
        case Job.NOTIFY_PAYMENT:
            from chalicelib.payment import site_messages as payment_site_messages

            return payment_site_messages.notify_holder
        case Job.MOVE_WITHDRAWN_FILE:
            from chalicelib.files import withdrawn_objects

            return withdrawn_objects.move_object
        case Job.EXPORT_LIST:
            from chalicelib.admin import exports as list_exports

            return list_exports.write_export
    return load_booking_handler(job)


def load_booking_handler(job: Job) -> outbox.Handler:
    """Import and return the handler of a job of the internal queue that concerns bookings, or another one's.

    Raises:
        LookupError: the queue has no such job.
    """
    match job:
        case Job.CANCEL_STOPPED_SCHEDULE:
            from chalicelib.booking.closures import stopped_schedules

            return stopped_schedules.cancel_bookings
        case Job.NOTIFY_BOOKING:
            from chalicelib.booking.jobs import site_messages as booking_site_messages

            return booking_site_messages.notify_holder
        case Job.ANNOUNCE_QUEUE:
            from chalicelib.booking.queues import announcements

            return announcements.announce_moved_up
        case Job.OFFER_WAITLIST:
            from chalicelib.booking.waitlist import offering

            return offering.offer_free_slots
    return load_account_handler(job)


def load_account_handler(job: Job) -> outbox.Handler:
    """Import and return the handler of a job of the internal queue that concerns an account as a whole or a member.

    Raises:
        LookupError: the queue has no such job.
    """
    match job:
        case Job.EXPORT_ACCOUNT:
            from chalicelib.accounts import exports

            return exports.write_export
        case Job.VERIFY_MEMBER:
            from chalicelib.accounts import verification

            return verification.verify_by_phone
        case Job.CLOSE_SOCKETS:
            from chalicelib.messaging import sockets

            return sockets.close_revoked
        case Job.CLOSE_DESK_SESSION:
            from chalicelib.helpdesk import desk_sessions

            return desk_sessions.close_for_account
    raise LookupError(job)


def load_external_handler(job: Job) -> outbox.Handler:
    """Import and return the handler of a job of the external queue, which calls a third party.

    Raises:
        LookupError: the queue has no such job.
    """
    match job:
        case Job.SEND_SMS_CODE:
            from chalicelib.identity import sms_codes

            return sms_codes.send_code
        case Job.REFUND_BOOKING:
            from chalicelib.payment import refunds

            return refunds.refund_booking
        case Job.WECHAT_UNREAD_REPLY:
            from chalicelib.consult import unread_reminder

            return unread_reminder.notify_unread_reply
        case Job.WECHAT_BOOKING:
            from chalicelib.booking.jobs import wechat_messages

            return wechat_messages.send_booking_message
        case Job.SMS_BOOKING:
            from chalicelib.booking.jobs import sms_messages

            return sms_messages.send_booking_sms
        case Job.NOTIFY_FILE_BOUND:
            from chalicelib.patient_identity import notice_delivery

            return notice_delivery.notify
    raise LookupError(job)


outbox.register_handlers(Queue.INTERNAL, load_internal_handler)
outbox.register_handlers(Queue.EXTERNAL, load_external_handler)


def serve_group(event: Any, context: Any) -> Any:
    """Handle an HTTP request to an endpoint group."""
    return app(event, context)


serve_group.__name__ = "app"  # Chalice derives the handler's name from __name__: app.app, as of its own API handler
for group in GROUPS:
    if group != API_HANDLER_GROUP:
        app.lambda_function(name=group)(serve_group)


@app.lambda_function(name="migrate")
def migrate(event: Any, _context: Any) -> Any:
    """Migrate the database to the newest schema. Each deployment invokes this once, before functions get new code.

    An operator invokes it with {"hospital": {...}} to provision a hospital, and with {"second_factor_reset": {...}} for
    an administrator who has lost the app of their second factor: see docs/deployment.md.
    """
    from chalicelib import migrations

    if not {"hospital", "second_factor_reset"} & set(event):
        return migrations.migrate()
    from chalicelib.identity import provisioning

    if "second_factor_reset" in event:
        request = provisioning.SecondFactorReset.model_validate(event["second_factor_reset"])
        return {"user_id": provisioning.reset_second_factor_of(request)}
    return provisioning.provision_hospital(provisioning.HospitalSpec.model_validate(event["hospital"])).model_dump()


@app.schedule("rate(1 hour)", name="sweep_files")
def sweep_files(_event: Any) -> None:
    """Delete uploaded objects and exports after a day, and the rows of uploads that were never confirmed."""
    from chalicelib.accounts import export_cleanup
    from chalicelib.files import cleanup

    logs.start_context(job="sweep_files")
    cleanup.delete_expired_uploads()
    export_cleanup.delete_expired()


@app.schedule("rate(1 day)", name="sweep_identity")
def sweep_identity(_event: Any) -> None:
    """Delete tokens, codes and attempts that expired more than a day ago."""
    from chalicelib.identity import cleanup

    logs.start_context(job="sweep_identity")
    cleanup.delete_expired()


@app.schedule("rate(1 minute)", name="run_outbox")
def run_outbox(_event: Any) -> None:
    """Run due jobs of the internal queue. Functions that enqueue a job invoke this too."""
    logs.start_context(job="run_outbox")
    outbox.run_due_jobs(Queue.INTERNAL)


@app.schedule("rate(1 minute)", name="run_outbox_external")
def run_outbox_external(_event: Any) -> None:
    """Run due jobs of the external queue. Functions that enqueue a job invoke this too."""
    logs.start_context(job="run_outbox_external")
    outbox.run_due_jobs(Queue.EXTERNAL)


@app.on_ws_connect(name="websocket_connect")
def websocket_connect(event: Any) -> Any:
    """Accept or reject a new WebSocket."""
    from chalicelib.gateway import websocket_handlers

    return websocket.handle_event(event, websocket_handlers.connect)


@app.on_ws_message(name="websocket_message")
def websocket_message(event: Any) -> Any:
    """Handle a message from a WebSocket."""
    from chalicelib.gateway import websocket_handlers

    return websocket.handle_event(event, websocket_handlers.handle_message)


@app.on_ws_disconnect(name="websocket_disconnect")
def websocket_disconnect(event: Any) -> Any:
    """Remove a closed WebSocket."""
    from chalicelib.gateway import websocket_handlers

    return websocket.handle_event(event, websocket_handlers.disconnect)


@app.schedule("rate(1 minute)", name="sweep_sockets")
def sweep_sockets(_event: Any) -> None:
    """Close the WebSockets of expired and revoked tokens."""
    from chalicelib.messaging import sockets

    logs.start_context(job="sweep_sockets")
    sockets.close_expired()


@app.schedule("rate(1 minute)", name="release_unpaid")
def release_unpaid(_event: Any) -> None:
    """Cancel what was not paid, confirmed or accepted in time, and give free slots to those who wait."""
    from chalicelib.booking.closures import alternatives
    from chalicelib.booking.jobs import scheduled
    from chalicelib.booking.waitlist import offering

    logs.start_context(job="release_unpaid")
    scheduled.cancel_unpaid()
    scheduled.cancel_unconfirmed()
    alternatives.lapse_expired()
    offering.offer_all()


@app.schedule("rate(1 hour)", name="keep_bookings")
def keep_bookings(_event: Any) -> None:
    """Send reminders for tomorrow, mark missed bookings and create the schedules of the coming weeks.

    Also take patients off the call list whose day is over.
    """
    from chalicelib.booking.jobs import scheduled
    from chalicelib.booking.schedules import patterns

    logs.start_context(job="keep_bookings")
    scheduled.send_reminders()
    scheduled.mark_missed()
    scheduled.expire_calls()
    patterns.expand_all()


@app.schedule("rate(1 minute)", name="reconcile_payments")
def reconcile_payments(_event: Any) -> None:
    """Query WeChat Pay for the state of orders and refunds that it has not reported."""
    from chalicelib.payment import reconciliation

    logs.start_context(job="reconcile_payments")
    reconciliation.run()


@app.schedule("rate(5 minutes)", name="compare_bills")
def compare_bills(_event: Any) -> None:
    """Fetch WeChat Pay's daily bills, from 10:00 on, and compare them with the ledger."""
    from chalicelib.payment import bill_fetching

    logs.start_context(job="compare_bills")
    bill_fetching.run()


@app.schedule("rate(1 day)", name="watch_certificates")
def watch_certificates(_event: Any) -> None:
    """Log the certificates of merchants that expire soon."""
    from chalicelib.payment import certificate_expiry

    logs.start_context(job="watch_certificates")
    certificate_expiry.log_expiring()


# Chalice cannot package S3 events together with a REST API, so the bucket sends its events to EventBridge. Objects that
# the application itself copies are not uploads.
@app.on_cw_event(
    {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"reason": [{"anything-but": ["CopyObject"]}]},
    },
    name="file_arrived",
)
def file_arrived(event: Any) -> None:
    """Confirm an upload, in case its client does not do so."""
    from chalicelib.files import confirmation

    logs.start_context(job="file_arrived")
    confirmation.handle_object_created(event.detail["bucket"]["name"], event.detail["object"]["key"])


gc.freeze()
gc.enable()
