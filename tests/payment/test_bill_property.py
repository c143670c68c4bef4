"""Random days: every disagreement between bills and ledger is reported, and nothing else, and sums balance to the fen.

The seed is part of the test's name. What is expected is computed here from the orders of the fake and the rows of the
ledger, without the bills' files and the SQL that compares them.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.wechat_pay import client as wechat_pay
from chalicelib.adapters.wechat_pay.types import ApiVersion
from chalicelib.booking.closures import stopped_schedules
from chalicelib.payment import bill_fetching, reconciliation
from devstack.fakes.wechat_pay import WeChatPay
from devstack.fakes.wechat_pay_bills import BillChanges
from tests.payment.test_bills import calendar
from tests.support import payment_client
from tests.support.bill_client import BillDesk, Calendar
from tests.support.booking_client import AFTERNOON, list_rows
from tests.support.factories import Hospital

__all__ = ["calendar"]
pytestmark = pytest.mark.store

DAYS = 3
STEPS = 8  # on a day
FEES = (0.01, 0.83, 12.5, 25.0)
Entry = tuple[int, str, int | None, int | None]  # day, number, amounts in fen of bill and ledger


@dataclass
class Simulation:
    """Random payments, refunds and changes of a hospital."""

    desk: BillDesk
    chance: random.Random
    slots: Iterator[dict[str, Any]] = field(init=False)
    books: list[tuple[str, str]] = field(default_factory=list)  # bookId and schedule_id, that were paid and stay

    def __post_init__(self) -> None:
        days = [self.desk.calendar.get_day(day).isoformat() for day in range(DAYS + 1, 14)]
        halves: list[dict[str, Any]] = [{}, {**AFTERNOON, "doctor_id": self.desk.checkout.hospital.zhou.user_id}]
        self.slots = iter([{**half, "date": day} for day in days for half in halves])

    @property
    def wechat_pay(self) -> WeChatPay:
        return self.desk.checkout.wechat_pay

    def run_day(self, day: int) -> None:
        hours = sorted(self.chance.uniform(11, 23.9) for _ in range(STEPS))
        for hour in hours:
            self.desk.travel(day, hour)
            step = self.chance.choice(
                [
                    self.pay,
                    self.pay,
                    self.pay,
                    self.refund_part,
                    self.cancel,
                    self.stop,
                    self.reschedule,
                    self.refund_by_hand,
                ]
            )
            step()
            if self.chance.random() < 0.4:
                self.settle()
        self.plant(day)

    def pay(self) -> None:
        department, lin = self.desk.checkout.department, self.desk.checkout.hospital.lin
        schedule = department.create_schedule(**next(self.slots) | {"bookfee": self.chance.choice(FEES)})
        book_id = department.book_slot(lin, schedule)
        notification = self.desk.checkout.pay_without_notification(book_id)
        if self.chance.random() < 0.8:  # otherwise it is lost
            assert self.desk.checkout.deliver_notification(notification).status == 200
            self.books.append((book_id, schedule))

    def pick(self) -> tuple[str, str] | None:
        return self.books.pop(self.chance.randrange(len(self.books))) if self.books else None

    def refund_part(self) -> None:
        if self.books:
            payment_client.refund_part(
                self.desk.checkout, self.chance.choice(self.books)[0], self.chance.randint(1, 400)
            )
            self.desk.checkout.run_refund_jobs()

    def cancel(self) -> None:
        if book := self.pick():
            assert self.desk.checkout.department.cancel(self.desk.checkout.hospital.lin, book[0]).status == 200
            self.desk.checkout.run_refund_jobs()

    def stop(self) -> None:
        """Stop a schedule with a paid slot."""
        if book := self.pick():
            department = self.desk.checkout.department
            assert department.stop_schedule(book[1]).status == 200
            for payload in self.desk.checkout.list_jobs("cancel_stopped_schedule"):
                stopped_schedules.cancel_bookings(self.desk.checkout.tenant_id, payload)
            self.desk.checkout.run_refund_jobs()

    def reschedule(self) -> None:
        if book := self.pick():
            department = self.desk.checkout.department
            later = department.create_schedule(**next(self.slots))
            department.reschedule(self.desk.checkout.hospital.lin, book[0], later)

    def refund_by_hand(self) -> None:
        """Refund a part of an order at the merchant platform, which the ledger does not learn."""
        open_orders = [one for one in self.wechat_pay.orders.values() if one.state == "SUCCESS" and one.fee > 100]
        if open_orders:
            order = self.chance.choice(open_orders)
            number = f"byhand{len(self.wechat_pay.refunds):04d}"
            wechat_pay.refund(self.desk.checkout.merchant, order.out_trade_no, number, 7, order.fee, "手工退款", "")

    def settle(self) -> None:
        """Let an hour pass for the queries; WeChat Pay finishes some refunds."""
        for number, refund in list(self.wechat_pay.refunds.items()):
            if refund.state == "PROCESSING" and self.chance.random() < 0.7:
                self.wechat_pay.settle_refund(number)
        self.desk.checkout.make_checks_due()
        reconciliation.run()

    def plant(self, day: int) -> None:
        changes, chance = self.wechat_pay.bill_changes, self.chance
        for number in [*self.wechat_pay.orders, *self.wechat_pay.refunds]:
            if chance.random() < 0.15:
                match chance.choice(["hide", "fee", "day"]):
                    case "hide":
                        changes.hidden.add(number)
                    case "fee":
                        changes.fees[number] = chance.randint(1, 3000)
                    case "day":
                        changes.days[number] = self.desk.calendar.get_day(day)

    def list_expected(self, day: int) -> list[Entry]:
        """Return what bill and ledger do not agree on."""
        bill, ledger = self.list_bill(day), self.list_ledger(day)
        return [
            (day, number, bill.get(number), ledger.get(number))
            for number in bill.keys() | ledger.keys()
            if bill.get(number) != ledger.get(number)
        ]

    def list_bill(self, day: int) -> dict[str, int]:
        changes = self.wechat_pay.bill_changes
        paid = {one.out_trade_no: (one.fee, one.paid_at) for one in self.wechat_pay.orders.values() if one.paid_at}
        refunded = {one.out_refund_no: (one.fee, one.created_at) for one in self.wechat_pay.refunds.values()}
        return {
            number: changes.fees.get(number, fee)
            for number, (fee, at) in {**paid, **refunded}.items()
            if number not in changes.hidden
            and changes.days.get(number, self.get_date(at)) == self.desk.calendar.get_day(day)
        }

    def list_ledger(self, day: int) -> dict[str, int]:
        hospital, wanted = self.desk.checkout.hospital, self.desk.calendar.get_day(day)
        paid = {one["out_trade_no"]: (one["fee"], one["paid_at"]) for one in list_rows("payments", hospital)}
        refunded = {one["out_refund_no"]: (one["fee"], one["accepted_at"]) for one in list_rows("refunds", hospital)}
        return {
            number: fee
            for number, (fee, at) in {**paid, **refunded}.items()
            if at is not None and self.get_date(at) == wanted
        }

    def list_found(self) -> list[Entry]:
        rows = [one for one in list_rows("bill_differences", self.desk.checkout.hospital) if one["state"] == "open"]
        return [
            ((one["day"] - self.desk.calendar.first_day).days, one["number"], one["bill_fee"], one["ledger_fee"])
            for one in rows
            if not one["kind"].startswith("fund_") and one["kind"] != "refund_late"
        ]

    @staticmethod
    def get_date(at: int) -> Any:
        from datetime import date

        return date.fromisoformat(clock.format_wire_time(at)[:10])

    def check(self, days: int) -> None:
        """Compare what was reported of the first days with what is expected."""
        expected = [entry for day in range(days) for entry in self.list_expected(day)]
        assert sorted(self.list_found(), key=str) == sorted(expected, key=str)
        for day in range(days):
            statement, bill, ledger = self.desk.get_statement(day), self.list_bill(day), self.list_ledger(day)
            if statement["state"] == "empty":
                assert bill == {}
            orders = {number for number in {**bill, **ledger} if number in self.wechat_pay.orders}
            sums = [
                sum(fee for number, fee in side.items() if (number in orders) == is_payment)
                for side in (bill, ledger)
                for is_payment in (True, False)
            ]
            names = ("payments", "refunds", "ledger_payments", "ledger_refunds")
            assert [to_fen(statement[name]) for name in names] == sums
            commission = sum(
                round_half_up(fee) if number in orders else -round_half_up(fee) for number, fee in bill.items()
            )
            assert to_fen(statement["commission"]) == commission
            assert to_fen(statement["net"]) == sums[0] - sums[1] - commission


def to_fen(yuan: float) -> int:
    return int(Decimal(str(yuan)) * 100)


def round_half_up(fee: int) -> int:
    return int((Decimal(fee) * Decimal("0.006")).quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("seed", "version"), [(2, ApiVersion.V2), (3, ApiVersion.V3), (4, ApiVersion.V3), (5, ApiVersion.V2)]
)
def test_every_difference_of_random_days_is_reported_and_nothing_else(
    hospital: Hospital, pay: WeChatPay, calendar: Calendar, seed: int, version: str
) -> None:
    calendar.travel(0, 9)
    desk = BillDesk(payment_client.create_checkout(hospital, pay, version), calendar)
    assert desk.checkout.department.save_rules(daily_limit=0).status == 200
    simulation, found = Simulation(desk, random.Random(seed)), set[str]()
    for day in range(DAYS):
        simulation.run_day(day)
        desk.travel(day + 1, 10.5)
        for earlier in range(day + 1):  # differences planted later concern earlier days too
            desk.request_fetch(earlier)
        bill_fetching.run()
        desk.travel(day + 1, 14.5)  # "no statement" counts
        bill_fetching.run()
        simulation.check(day + 1)
        found |= {kind for _, kind, _, _ in desk.list_open()}
    pay.bill_changes = BillChanges()
    for _ in range(6):
        simulation.settle()
    desk.travel(DAYS, 20)
    for day in range(DAYS):
        desk.request_fetch(day)
    bill_fetching.run()
    simulation.check(DAYS)
    assert len(found) >= 2, "the simulation finds more than one kind"
    # What remains is what a person has refunded by hand, of a payment that is known or not.
    rest = {kind for _, kind, _, _ in desk.list_open()}
    assert rest <= {"refund_not_in_ledger", "refund_not_in_bill", "refund_day", "refund_late", "payment_state"}
