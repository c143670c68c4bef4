"""Client of the daily bills for tests: lets days pass, runs the job, reads statements and differences."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.payment import bill_fetching, bill_store
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.payment_client import Checkout

WECHAT_PATH = "/pati_service/wechat"
HOUR = 3600 * clock.SECOND
MORNING = 10.5  # when the bills of the day before exist


class Calendar:
    """A clock that tests set. Days are numbered: 0 is the day on which the test began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.first_day = clock.today()
        self._now = clock.now
        self._offset = 0
        monkeypatch.setattr(clock, "now", lambda: self._now() + self._offset)

    def get_day(self, number: int) -> date:
        return self.first_day + timedelta(number)

    def travel(self, day: int, hour: float) -> None:
        """Set the clock to an hour of a day."""
        self._offset = clock.to_instant(self.get_day(day)) + round(hour * HOUR) - self._now()


@dataclass(frozen=True)
class BillDesk:
    """A hospital whose payments are compared with its bills."""

    checkout: Checkout
    calendar: Calendar

    def travel(self, day: int, hour: float) -> None:
        """Set the clock, and sign in again: sessions end meanwhile."""
        self.calendar.travel(day, hour)
        hospital = self.checkout.hospital
        for person in (*hospital.everyone(), hospital.admin):
            person.__dict__.pop("token", None)

    def fetch_bills(self, day: int) -> None:
        """Let the job run in the morning of a day."""
        self.travel(day, MORNING)
        bill_fetching.run()

    def list_bills(self) -> list[dict[str, Any]]:
        return list_rows("bills", self.checkout.hospital)

    def request_statements(self, **query: Any) -> ApiResponse:
        days = {"from_date": self.calendar.get_day(-89), "to_date": self.calendar.get_day(90)}
        return get(f"{WECHAT_PATH}/pay_statements", self.checkout.hospital.admin.token, **{**days, **query})

    def get_statement(self, day: int) -> dict[str, Any]:
        wanted = self.calendar.get_day(day)
        [found] = self.request_statements(from_date=wanted, to_date=wanted).data["list"]
        return dict(found)

    def list_differences(self, **query: Any) -> list[dict[str, Any]]:
        found = get(f"{WECHAT_PATH}/pay_differences", self.checkout.hospital.admin.token, **query)
        return list(found.data)

    def list_open(self) -> list[tuple[str, str, float | None, float | None]]:
        """Return date, kind and both amounts of the open differences."""
        names = ("date", "kind", "bill_amount", "ledger_amount")
        found = self.list_differences(state="open", page_size=100)
        return sorted((tuple(one[name] for name in names) for one in found), key=str)

    def resolve(self, difference_id: Any, note: str = "已与财务核对", **fields: Any) -> ApiResponse:
        body = {"difference_id": difference_id, "note": note, **fields}
        return post(f"{WECHAT_PATH}/resolve_difference", self.checkout.hospital.admin.token, **body)

    def request_fetch(self, day: int) -> ApiResponse:
        token, day_text = self.checkout.hospital.admin.token, self.calendar.get_day(day).isoformat()
        return post(f"{WECHAT_PATH}/fetch_bill", token, date=day_text)

    def settle_refunds(self) -> None:
        """Send refunds, have WeChat Pay finish them, and notify the hospital."""
        self.checkout.run_refund_jobs()
        for number, refund in list(self.checkout.wechat_pay.refunds.items()):
            if refund.state == "PROCESSING":
                self.checkout.wechat_pay.settle_refund(number)
                self.query_refunds()

    def query_refunds(self) -> None:
        from chalicelib.payment import reconciliation

        self.checkout.make_checks_due()
        reconciliation.run()


def limit_job(monkeypatch: pytest.MonkeyPatch, tenant_id: int) -> None:
    """Have the job process this hospital alone: others, which other tests have left, have accounts at former fakes."""
    list_accounts, list_due = bill_store.list_accounts, bill_store.list_due

    def list_own(found: list[Any]) -> list[Any]:
        return [one for one in found if one.tenant_id == tenant_id]

    monkeypatch.setattr(bill_store, "list_accounts", lambda tx: list_own(list_accounts(tx)))
    monkeypatch.setattr(bill_store, "list_due", lambda tx, _: list_own(list_due(tx, 100_000)))
