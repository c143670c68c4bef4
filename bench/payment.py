"""bin/bench payment: ordering at a WeChat Pay of our own, and being told of payments, beside their floor."""

import argparse
from typing import Any

from bench import alone
from bench.alone import Asking, Row
from bench.events import post
from bench.rows import Event
from bench.tables import Kept, counted
from chalicelib.billing import bookings as dues
from devstack import wechat_pay
from tests import people
from tests.booking import ward as wards
from tests.payment import till as tills
from tests.payment.till import OPENID, ORDER, Till
from tests.people import Person

TABLES = ("bookings", "charges", "settlements", "payments", "payment_ledger", "outbox")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bin/bench payment", description=__doc__)
    parser.add_argument("--samples", type=int, default=50, help="bookings, each ordered and paid once in a round")
    options = parser.parse_args(arguments)
    alone.begun()
    with wechat_pay.standing_in() as pay:
        till = tills.opened(people.hospital(), pay)
        booked = _booked(till, options.samples)
        asking = Asking()
        asking.measure(_orders(till, booked))
        asking.measure(_again(booked))
        asking.measure(_notices(till, booked))
    return 0


def _booked(till: Till, number: int) -> dict[str, Person]:
    """Return who is to pay which booking."""
    schedule_id = till.ward.schedule(slots=240, begin="07:00", end="11:00")
    buyers = [wards.patient(till.ward, one) for one in range(number)]
    return {till.ward.booked(one, schedule_id, serial_no): one for serial_no, one in enumerate(buyers, 1)}


def _asked(booked: dict[str, Person]) -> list[Event]:
    return [post(ORDER, one.token, "", appo_id=book_id, open_id=OPENID) for book_id, one in booked.items()]


def _orders(till: Till, booked: dict[str, Person]) -> Row:
    """The stand-in is a thread of this process: its time is in both, the handler's and the floor's."""
    kept = Kept(till.tenant_id, *TABLES)
    done = counted(till.tenant_id, "payments", "prepay_id <> ''")
    return Row("order", _asked(booked), _prepaid, before=kept.back, done=done)


def _again(booked: dict[str, Person]) -> Row:
    """Each has an order by now: the handler has had the last turn."""
    return Row("order, asked again", _asked(booked), _prepaid)


def _prepaid(answer: Any) -> bool:
    return bool(answer["data"]["prepay_id"])


def _notices(till: Till, booked: dict[str, Person]) -> Row:
    """WeChat tells that each has paid."""
    numbers = [till.payments(book_id)[-1]["out_trade_no"] for book_id in booked]
    for number in numbers:
        till.pay.pay(number)
    kept = Kept(till.tenant_id, *TABLES)
    done = counted(till.tenant_id, "bookings", f"charge = {dues.PAID}")
    events = [till.delivery(till.pay.paid_notice(number)) for number in numbers]
    return Row("notice of a payment", events, before=kept.back, done=done)
