"""Client of the payment endpoints for tests, with the notifications of WeChat Pay and the outbox jobs."""

import base64
import json
from dataclasses import dataclass, replace
from typing import Any

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant
from chalicelib.billing import bookings, refunds_due
from chalicelib.billing.bookings import BookingStatus, PaymentState
from chalicelib.errors import ApiError
from chalicelib.payment import refunds, site_messages
from devstack.fakes.wechat_pay import SignedMessage, WeChatPay
from tests.support.booking_client import BOOKING_PATH, BookingDepartment, create_department, list_rows
from tests.support.client import ApiResponse, build_event, get, invoke, post
from tests.support.factories import Hospital, Person
from tests.support.wechat_client import APP_ID, configure

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
NOTIFY_PATH, REFUND_NOTIFY_PATH = "/pati_service/wechat/pay/notify", "/pati_service/wechat/pay/refund_notify"
CONF_PATH = "/pati_service/wechat/pay_conf"
ORDER_PATH, SIGN_PATH = f"{BOOKING_PATH}/pay/appo_order", "/pati_service/wx/jsapi/paysign"
# Results of Checkout.get_booking_state.
BOOKED_UNPAID = (BookingStatus.BOOKED, PaymentState.UNPAID)
BOOKED_PAID = (BookingStatus.BOOKED, PaymentState.PAID)
CANCELLED_UNPAID = (BookingStatus.CANCELLED, PaymentState.UNPAID)
CANCELLED_PAID = (BookingStatus.CANCELLED, PaymentState.PAID)
REGISTERED_PAID = (BookingStatus.REGISTERED, PaymentState.PAID)
TIMESTAMP, NONCE = "1414587457", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"


@dataclass(frozen=True)
class Checkout:
    """A department whose hospital has a merchant account at WeChat Pay."""

    department: BookingDepartment
    wechat_pay: WeChatPay
    merchant: Merchant

    @property
    def hospital(self) -> Hospital:
        return self.department.hospital

    @property
    def tenant_id(self) -> int:
        return self.hospital.tenant_id

    def book_slot(self, person: Person | None = None, fee: float = 12.5, **fields: Any) -> str:
        """Book a new schedule with a fee in yuan; return bookId."""
        return self.department.book_slot(
            person or self.hospital.lin, self.department.create_schedule(bookfee=fee, **fields)
        )

    def request_order(self, book_id: Any, person: Person | None = None, **fields: Any) -> ApiResponse:
        body = {"appo_id": book_id, "open_id": OPENID, **fields}
        return post(ORDER_PATH, (person or self.hospital.lin).token, **body)

    def create_order(self, book_id: Any) -> dict[str, Any]:
        found = dict(self.request_order(book_id).data)
        assert found["error_code"] == "SUCCESS"
        return found

    def request_signature(self, order: dict[str, Any], person: Person | None = None, **fields: Any) -> ApiResponse:
        payer = person or self.hospital.lin
        body = {"agencyId": order["agency_id"], "tenantId": payer.tenant_id, "appId": order["app_id"]}
        body |= {
            "timeStamp": TIMESTAMP,
            "nonceStr": NONCE,
            "prepayId": order["prepay_id"],
            "signType": order["sign_type"],
        }
        return post(SIGN_PATH, payer.token, **{**body, **fields})

    def pay_without_notification(self, book_id: Any) -> SignedMessage:
        """Order and pay as the patient; return WeChat Pay's notification without sending it."""
        out_trade_no = self.create_order(book_id)["out_trade_no"]
        self.wechat_pay.pay(out_trade_no)
        return self.wechat_pay.build_payment_notification(out_trade_no)

    def deliver_notification(
        self, notification: SignedMessage, path: str = NOTIFY_PATH, tenant_id: int = 0
    ) -> ApiResponse:
        """Send a notification as API Gateway passes it on."""
        return invoke(self.build_notification_event(notification, path, tenant_id))

    def build_notification_event(
        self, notification: SignedMessage, path: str = NOTIFY_PATH, tenant_id: int = 0
    ) -> dict[str, Any]:
        headers, body = notification
        request = build_event("POST", f"{path}/{tenant_id or self.tenant_id}", headers)
        return {**request, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    def pay_and_notify(self, book_id: Any) -> dict[str, Any]:
        """Pay and send the notification; return the payment's row."""
        assert self.deliver_notification(self.pay_without_notification(book_id)).status == 200
        return self.list_payments(book_id)[-1]

    def get_booking_state(self, book_id: Any) -> tuple[int, int]:
        """Return status and payment_state of a booking."""
        [row] = [one for one in list_rows("bookings", self.hospital) if str(one["book_id"]) == str(book_id)]
        return row["status"], row["payment_state"]

    def list_payments(self, book_id: Any) -> list[Row]:
        return [one for one in list_rows("payments", self.hospital) if str(one["book_id"]) == str(book_id)]

    def list_refunds(self, book_id: Any) -> list[Row]:
        return [one for one in list_rows("refunds", self.hospital) if str(one["book_id"]) == str(book_id)]

    def list_ledger(self) -> list[tuple[str, str]]:
        return [(one["event"], one["source"]) for one in list_rows("payment_ledger", self.hospital)]

    def list_jobs(self, job: str) -> list[dict[str, Any]]:
        return [json.loads(row["payload"]) for row in list_rows("outbox", self.hospital) if row["job"] == job]

    def run_refund_jobs(self) -> None:
        """Run the refund jobs of the outbox's external queue."""
        for payload in self.list_jobs("refund_booking"):
            refunds.refund_booking(self.tenant_id, payload)

    def run_notification_jobs(self) -> None:
        for payload in self.list_jobs("notify_payment"):
            site_messages.notify_holder(self.tenant_id, payload)

    def list_site_messages(self, person: Person) -> list[str]:
        return [one["msg_text"] for one in get("/msg_service/msg/list", person.token).data]

    def expire_orders(self) -> None:
        """Make all checks due and all orders expired."""
        for table, extra_assignment in (("payments", ", expires_at = expires_at - 7200000000"), ("refunds", "")):
            self._execute(
                f"UPDATE {table} SET check_at = check_at - 7200000000{extra_assignment} WHERE tenant_id = %(id)s"
            )
        self._age_refund_requests()

    def make_checks_due(self) -> None:
        for table in ("payments", "refunds"):
            self._execute(f"UPDATE {table} SET check_at = check_at - 3600000000 WHERE tenant_id = %(id)s")
        self._age_refund_requests()

    def _age_refund_requests(self) -> None:
        """Let a minute pass since the last refund of each payment, here and at WeChat Pay."""
        self._execute(
            "UPDATE payments SET refund_requested_at = refund_requested_at - 3600000000 WHERE tenant_id = %(id)s"
        )
        for number, refund in self.wechat_pay.refunds.items():
            aged = replace(refund, requested_at=refund.requested_at - 3600 * clock.SECOND)
            self.wechat_pay.refunds[number] = aged

    def _execute(self, sql: str) -> None:
        mysql.autocommit.execute(sql, id=self.tenant_id)


def refund_part(checkout: Checkout, book_id: str, fee: int) -> str:
    """Refund a part of a booking's fee, in fen; return the error text, "" if there is none."""

    def enqueue(tx: mysql.Tx) -> None:
        booking = bookings.find_for_update(tx, checkout.tenant_id, int(book_id))
        assert booking
        refunds_due.enqueue_partial_refund(tx, booking, fee)

    try:
        mysql.run_transaction(enqueue)
    except ApiError as error:
        return error.text
    return ""


def build_conf(merchant: Merchant, **fields: Any) -> dict[str, Any]:
    """Build the body with which an admin saves a merchant account."""
    names = ("mch_id", "version", "sign_type", "key", "serial", "private_key", "certificate")
    keys = [{"serial": serial, "pem": pem} for serial, pem in merchant.public_keys.items()]
    return {**{name: getattr(merchant, name) for name in names}, "public_keys": keys, **fields}


def create_checkout(hospital: Hospital, pay: WeChatPay, version: str = ApiVersion.V3, sign_type: str = "") -> Checkout:
    """Configure a hospital's official account and merchant account through the API."""
    assert configure(hospital).status == 200
    merchant = pay.add_merchant(version, sign_type, appid=APP_ID)
    assert post(CONF_PATH, hospital.admin.token, **build_conf(merchant)).data is None
    return Checkout(create_department(hospital), pay, merchant)
