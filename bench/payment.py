"""bin/bench payment: orders at a fake WeChat Pay, and its payment notifications, compared with the floor."""

import argparse
from typing import Any

from bench import single_process
from bench.chat_cases import Event
from bench.lambda_events import build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter
from chalicelib.billing.bookings import PaymentState
from devstack.fakes import wechat_pay
from tests.support import booking_client, factories, payment_client
from tests.support.factories import Person
from tests.support.payment_client import OPENID, ORDER_PATH, Checkout

TABLES = ("bookings", "charges", "settlements", "payments", "payment_ledger", "outbox")


def main(arguments: list[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="bin/bench payment", description=__doc__)
    parser.add_argument("--samples", type=int, default=50, help="bookings, each ordered and paid once per round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    with wechat_pay.replace_real_server() as fake:
        checkout = payment_client.create_checkout(factories.create_hospital(), fake)
        payers = _create_bookings(checkout, options.samples)
        run = SingleProcessRun()
        run.measure(_build_orders(checkout, payers))
        run.measure(_build_repeated_orders(payers))
        run.measure(_build_notifications(checkout, payers))
    return 0


def _create_bookings(checkout: Checkout, number: int) -> dict[str, Person]:
    """Return the patient of each new booking, by its bookId."""
    schedule_id = checkout.department.create_schedule(slots=240, begin="07:00", end="11:00")
    buyers = [booking_client.create_patient(checkout.department, one) for one in range(number)]
    return {checkout.department.book_slot(one, schedule_id, serial_no): one for serial_no, one in enumerate(buyers, 1)}


def _build_order_events(payers: dict[str, Person]) -> list[Event]:
    return [build_post(ORDER_PATH, one.token, "", appo_id=book_id, open_id=OPENID) for book_id, one in payers.items()]


def _build_orders(checkout: Checkout, payers: dict[str, Person]) -> Case:
    """Build the case of new orders.

    The fake is a thread of this process: its time is in the figures of both the handler and the floor.
    """
    snapshot = TableSnapshot(checkout.tenant_id, *TABLES)
    ordered = build_row_counter(checkout.tenant_id, "payments", "prepay_id <> ''")
    return Case("order", _build_order_events(payers), _has_prepay_id, prepare=snapshot.restore, count_done=ordered)


def _build_repeated_orders(payers: dict[str, Person]) -> Case:
    """Build the case of bookings that have orders, as the previous case ended with a round of the handler."""
    return Case("order, repeated", _build_order_events(payers), _has_prepay_id)


def _has_prepay_id(body: Any) -> bool:
    return bool(body["data"]["prepay_id"])


def _build_notifications(checkout: Checkout, payers: dict[str, Person]) -> Case:
    """Build the case of notifications that the bookings have been paid."""
    numbers = [checkout.list_payments(book_id)[-1]["out_trade_no"] for book_id in payers]
    for number in numbers:
        checkout.wechat_pay.pay(number)
    snapshot = TableSnapshot(checkout.tenant_id, *TABLES)
    paid = build_row_counter(checkout.tenant_id, "bookings", "payment_state = %(paid)s", paid=PaymentState.PAID)
    events = [
        checkout.build_notification_event(checkout.wechat_pay.build_payment_notification(number)) for number in numbers
    ]
    return Case("payment notification", events, prepare=snapshot.restore, count_done=paid)
