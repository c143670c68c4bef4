"""bin/bench payment: ordering at a WeChat Pay of our own, and being told of payments, beside their floor."""

import argparse
from typing import Any

from bench import single_process
from bench.chat_cases import Event
from bench.lambda_events import build_post
from bench.single_process import Case, SingleProcessRun
from bench.tables import TableSnapshot, build_row_counter
from chalicelib.billing.bookings import PaymentState
from devstack.fakes import wechat_pay
from tests.support import booking_client as wards
from tests.support import factories
from tests.support import payment_client as tills
from tests.support.factories import Person
from tests.support.payment_client import OPENID, ORDER_PATH, Checkout

TABLES = ("bookings", "charges", "settlements", "payments", "payment_ledger", "outbox")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench payment", description=__doc__)
    parser.add_argument("--samples", type=int, default=50, help="bookings, each ordered and paid once in a round")
    options = parser.parse_args(arguments)
    single_process.prepare()
    with wechat_pay.replace_real_server() as pay:
        till = tills.create_checkout(factories.create_hospital(), pay)
        booked = _create_bookings(till, options.samples)
        asking = SingleProcessRun()
        asking.measure(_build_orders(till, booked))
        asking.measure(_build_repeated_orders(booked))
        asking.measure(_build_notifications(till, booked))
    return 0


def _create_bookings(till: Checkout, number: int) -> dict[str, Person]:
    """Return who is to pay which booking."""
    schedule_id = till.department.create_schedule(slots=240, begin="07:00", end="11:00")
    buyers = [wards.create_patient(till.department, one) for one in range(number)]
    return {till.department.book_slot(one, schedule_id, serial_no): one for serial_no, one in enumerate(buyers, 1)}


def _build_order_events(booked: dict[str, Person]) -> list[Event]:
    return [build_post(ORDER_PATH, one.token, "", appo_id=book_id, open_id=OPENID) for book_id, one in booked.items()]


def _build_orders(till: Checkout, booked: dict[str, Person]) -> Case:
    """The stand-in is a thread of this process: its time is in both, the handler's and the floor's."""
    kept = TableSnapshot(till.tenant_id, *TABLES)
    done = build_row_counter(till.tenant_id, "payments", "prepay_id <> ''")
    return Case("order", _build_order_events(booked), _has_prepay_id, prepare=kept.restore, count_done=done)


def _build_repeated_orders(booked: dict[str, Person]) -> Case:
    """Each has an order by now: the handler has had the last turn."""
    return Case("order, asked again", _build_order_events(booked), _has_prepay_id)


def _has_prepay_id(answer: Any) -> bool:
    return bool(answer["data"]["prepay_id"])


def _build_notifications(till: Checkout, booked: dict[str, Person]) -> Case:
    """WeChat tells that each has paid."""
    numbers = [till.list_payments(book_id)[-1]["out_trade_no"] for book_id in booked]
    for number in numbers:
        till.wechat_pay.pay(number)
    kept = TableSnapshot(till.tenant_id, *TABLES)
    done = build_row_counter(till.tenant_id, "bookings", f"payment_state = {PaymentState.PAID}")
    events = [till.build_notification_event(till.wechat_pay.build_payment_notification(number)) for number in numbers]
    return Case("notice of a payment", events, prepare=kept.restore, count_done=done)
