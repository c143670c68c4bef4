"""Random sequences of booking, paying, rescheduling, cancelling, stopping, refunding: the ledger balances to the fen.

A failure names the seed and the step; the sequence depends on nothing else.
"""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.billing.bookings import PaymentState
from chalicelib.booking.closures import alternatives, stopped_schedules
from chalicelib.booking.jobs import scheduled
from chalicelib.booking.waitlist import offering
from chalicelib.payment import reconciliation
from devstack.fakes.wechat_pay import SignedMessage, WeChatPay
from tests.support import payment_client
from tests.support.booking_client import AFTERNOON, create_patient, get_iso_date, list_rows
from tests.support.client import ApiResponse
from tests.support.factories import Hospital, Person
from tests.support.payment_client import Checkout

pytestmark = pytest.mark.store
STEPS, PEOPLE, DAYS, SLOTS, FEE = 400, 10, 3, 1, 1250
ACTIONS = {
    "book": 8,
    "pay": 6,
    "deliver": 4,
    "reschedule": 5,
    "cancel": 3,
    "cancel_as_desk": 1,
    "stop": 2,
    "decide": 4,
    "lapse": 2,
    "wait": 5,
    "offer": 3,
    "refund_part": 3,
    "run_jobs": 3,
    "settle": 3,
    "reconcile": 1,
    "fail": 1,
}


@dataclass
class World:
    """A hospital in which everything happens, and what is to happen later."""

    checkout: Checkout
    pay_server: WeChatPay
    people: dict[int, Person]
    schedule_ids: list[str]
    chance: random.Random
    notifications: list[SignedMessage] = field(default_factory=list)  # of payments, not delivered yet
    done: Counter[str] = field(default_factory=Counter)  # successful steps
    accepted: set[int] = field(default_factory=set)  # bookings that patients have confirmed

    @property
    def hospital(self) -> Hospital:
        return self.checkout.hospital

    def list_live(self) -> list[Row]:
        return [one for one in list_rows("bookings", self.hospital) if one["live"]]

    def choose_slot(self) -> tuple[str, int]:
        return self.chance.choice(self.schedule_ids), self.chance.randint(1, SLOTS)

    def step(self) -> None:
        name = self.chance.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        self.done[name] += bool(getattr(self, name)())

    def book(self) -> bool:
        person = self.chance.choice(list(self.people.values()))
        return _is_done(self.checkout.department.submit(person, *self.choose_slot()))

    def pay(self) -> bool:
        """Pay a booking, perhaps a second time or one that is cancelled meanwhile; the notification comes later."""
        rows = [one for one in list_rows("bookings", self.hospital) if one["user_id"] in self.people]
        orders = [one["out_trade_no"] for one in list_rows("payments", self.hospital)]
        if orders and self.chance.random() < 0.3:
            number = self.chance.choice(orders)
        elif unpaid := [one for one in rows if one["live"] and one["payment_state"] == PaymentState.UNPAID]:
            booking = self.chance.choice(unpaid)
            response = self.checkout.request_order(booking["book_id"], self.people[booking["user_id"]])
            if response.status != 200 or response.data["error_code"] != "SUCCESS" or self.chance.random() < 0.2:
                return False
            number = response.data["out_trade_no"]
        else:
            return False
        if number not in self.pay_server.orders or self.pay_server.orders[number].state != "NOTPAY":
            return False
        self.pay_server.pay(number)
        self.notifications += [self.pay_server.build_payment_notification(number)] * self.chance.randint(1, 2)
        return True

    def deliver(self) -> bool:
        if not self.notifications:
            return False
        at = self.chance.randrange(len(self.notifications))
        assert self.checkout.deliver_notification(self.notifications.pop(at)).status == 200
        return True

    def reschedule(self) -> bool:
        return self._change(lambda person, one: self.checkout.department.reschedule(person, one, *self.choose_slot()))

    def cancel(self) -> bool:
        return self._change(self.checkout.department.cancel)

    def cancel_as_desk(self) -> bool:
        return self._change(lambda _, one: self.checkout.department.cancel_as_desk(one))

    def stop(self) -> bool:
        """Stop a half-day, and replace it: the other doctor's or the same, each patient gets another slot or none."""
        schedule_id = self.chance.choice(self.schedule_ids)
        assert self.checkout.department.stop_schedule(schedule_id).status == 200
        if self.chance.random() < 0.7:  # else later, with run_jobs
            self._run_stop_jobs()
        [row] = [one for one in list_rows("schedules", self.hospital) if str(one["schedule_id"]) == schedule_id]
        half = AFTERNOON if row["half_day"] == "PM" else {}
        fields: dict[str, Any] = {**half, "date": str(row["day"]), "slots": SLOTS, "doctor_id": row["doctor_id"]}
        self.schedule_ids[self.schedule_ids.index(schedule_id)] = self.checkout.department.create_schedule(**fields)
        return True

    def decide(self) -> bool:
        """Accept or decline an alternative, or choose another slot."""
        department, choice = self.checkout.department, self.chance.randint(0, 2)
        if choice == 0:
            return self._change_open(lambda person, one: self._accept(department.accept_alternative(person, one), one))
        if choice == 1:
            return self._change_open(department.decline_alternative)
        schedule_id, serial_no = self.choose_slot()
        return self._change_open(
            lambda person, one: self._accept(
                department.accept_alternative(person, one, scheduleId=schedule_id, serialNo=serial_no), one
            )
        )

    def lapse(self) -> bool:
        """Let the deadlines of some alternatives and offers pass."""
        for table, column in (("alternatives", "expires_at"), ("bookings", "confirm_by")):
            book_id = self._choose_book_id(self.list_live())
            sql = f"UPDATE {table} SET {column} = %(now)s WHERE book_id = %(id)s AND {column} IS NOT NULL"
            mysql.autocommit.execute(sql, now=clock.now() - 1, id=book_id)
        return bool(alternatives.lapse_expired() + scheduled.cancel_unconfirmed())

    def wait(self) -> bool:
        person = self.chance.choice(list(self.people.values()))
        return _is_done(self.checkout.department.join_waitlist(person, self.chance.choice(self.schedule_ids)))

    def offer(self) -> bool:
        offering.offer_all()
        confirm = self.checkout.department.confirm
        return self._change(lambda person, one: self._accept(confirm(person, one), one))

    def refund_part(self) -> bool:
        book_id = self._choose_book_id(self.list_live())
        fee = self.chance.randint(1, FEE)
        return bool(book_id) and payment_client.refund_part(self.checkout, str(book_id), fee) == ""

    def run_jobs(self) -> bool:
        self._run_stop_jobs()
        self.checkout.run_refund_jobs()
        return True

    def settle(self) -> bool:
        """Let WeChat Pay finish a refund, or close it, which is then requested under another number."""
        processing = [number for number, one in self.pay_server.refunds.items() if one.state == "PROCESSING"]
        if processing:
            self.pay_server.settle_refund(
                self.chance.choice(processing), self.chance.choice(["SUCCESS"] * 4 + ["CLOSED"])
            )
        return bool(processing)

    def reconcile(self) -> bool:
        """Let an hour pass."""
        self.checkout.make_checks_due()
        reconciliation.run()
        return True

    def fail(self) -> bool:
        """Let requests for refunds fail from now on, or succeed again."""
        failures: list[dict[str, str | int]] = [{}, {"refund": 500}, {"refund": "NOT_ENOUGH"}, {"refund": ""}]
        self.pay_server.failures.clear()
        self.pay_server.failures.update(self.chance.choice(failures))
        return True

    def finish(self) -> None:
        """Deliver and settle what is left."""
        self.pay_server.failures.clear()
        while self.deliver():
            pass
        for _ in range(60):
            self.run_jobs()
            for number, refund in list(self.pay_server.refunds.items()):
                if refund.state == "PROCESSING":
                    self.pay_server.settle_refund(number)
            self.reconcile()
            if all(one["state"] == "success" for one in list_rows("refunds", self.hospital)):
                return
        raise AssertionError("refunds remain open")

    def find_imbalances(self) -> list[str]:
        """Return what must never be, at any step."""
        live = self.list_live()
        refunds = list_rows("refunds", self.hospital)
        requested, at_wechat = Counter[int](), Counter[str]()
        for one in refunds:
            requested[one["payment_id"]] += one["fee"]
        for refund in self.pay_server.refunds.values():
            at_wechat[refund.order.out_trade_no] += 0 if refund.state == "CLOSED" else refund.fee
        paid = {one["payment_id"]: one["fee"] for one in list_rows("payments", self.hospital) if one["paid_at"]}
        problems = {
            "more is refunded than was paid": any(fee > paid.get(one, 0) for one, fee in requested.items()),
            "WeChat Pay refunds more than was paid": any(fee > FEE for fee in at_wechat.values()),
            "a slot has two bookings": len({(one["schedule_id"], one["serial_no"]) for one in live}) != len(live),
            "a patient has two bookings in a half-day": (
                len({(one["pati_id"], one["day"], one["half_day"]) for one in live}) != len(live)
            ),
            "a confirmed booking has lapsed": any(one["cancelled_for"] == "lapsed" for one in self._list_accepted()),
            "a confirmed booking is to be confirmed": any(one["confirm_by"] for one in self._list_accepted()),
        }
        return [name for name, is_wrong in problems.items() if is_wrong]

    def _list_accepted(self) -> list[Row]:
        return [one for one in list_rows("bookings", self.hospital) if one["book_id"] in self.accepted]

    def _accept(self, response: ApiResponse, book_id: str) -> ApiResponse:
        self.accepted |= {int(book_id)} if response.status == 200 else set()
        return response

    def _change(self, call: Any) -> bool:
        return self._change_one_of(self.list_live(), call)

    def _change_open(self, call: Any) -> bool:
        rows = list_rows("alternatives", self.hospital)
        is_open = {one["book_id"] for one in rows if one["state"] == "open"}
        return self._change_one_of([one for one in self.list_live() if one["book_id"] in is_open], call)

    def _change_one_of(self, rows: list[Row], call: Any) -> bool:
        book_id = self._choose_book_id(rows)
        found = [one for one in rows if one["book_id"] == book_id]
        return bool(found) and _is_done(call(self.people[found[0]["user_id"]], str(book_id)))

    def _choose_book_id(self, rows: list[Row]) -> int:
        return self.chance.choice([one["book_id"] for one in rows]) if rows else 0

    def _run_stop_jobs(self) -> None:
        for row in list_rows("outbox", self.hospital):
            if row["job"] == "cancel_stopped_schedule":
                stopped_schedules.cancel_bookings(self.checkout.tenant_id, json.loads(row["payload"]))


def _is_done(response: ApiResponse) -> bool:
    assert response.status in (200, 403, 404, 409), response.body
    return response.status == 200


@pytest.fixture
def world(checkout: Checkout, pay: WeChatPay, request: pytest.FixtureRequest) -> World:
    department = checkout.department
    department.save_rules(daily_limit=0, reschedule_limit=100, missed_limit=0, quiet_from=0, quiet_to=0)
    chen, zhou = checkout.hospital.chen.user_id, checkout.hospital.zhou.user_id
    schedule_ids = [
        department.create_schedule(**{**half, "date": get_iso_date(day), "slots": SLOTS, "doctor_id": doctor_id})
        for day in range(1, DAYS + 1)
        for half in ({}, AFTERNOON)
        for doctor_id in (chen, zhou)
    ]
    people = [create_patient(department, number) for number in range(PEOPLE)]
    return World(checkout, pay, {one.user_id: one for one in people}, schedule_ids, random.Random(request.param))


@pytest.mark.parametrize("world", range(2), indirect=True)
def test_ledger_balances_after_a_random_sequence(world: World, pay: WeChatPay) -> None:
    for step in range(STEPS):
        world.step()
        assert world.find_imbalances() == [], f"after step {step}"
    assert min(world.done[name] for name in ACTIONS) > 0, world.done
    world.finish()
    assert world.find_imbalances() == []
    bookings = {one["book_id"]: one for one in list_rows("bookings", world.hospital)}
    settled = {one["payment_id"] for one in list_rows("settlements", world.hospital)}
    refunds = list_rows("refunds", world.hospital)
    received = refundable = 0
    for payment in [one for one in list_rows("payments", world.hospital) if one["paid_at"]]:
        booking = bookings[payment["book_id"]]
        own = [one for one in refunds if one["payment_id"] == payment["payment_id"]]
        rest = payment["fee"] - sum(one["fee"] for one in own)
        received, refundable = received + payment["fee"], refundable + rest
        if payment["payment_id"] in settled and booking["live"]:
            assert booking["payment_state"] == PaymentState.PAID
            assert {one["reason"] for one in own} <= {"partial"}
        else:
            assert rest == 0, payment
    paid_at_wechat = sum(one.fee for one in pay.orders.values() if one.paid_at)
    returned = sum(one.fee for one in pay.refunds.values() if one.state == "SUCCESS")
    assert received == paid_at_wechat == returned + refundable
    assert {one["out_refund_no"]: one["fee"] for one in refunds} == {
        number: one.fee for number, one in pay.refunds.items() if one.state == "SUCCESS"
    }
