"""What a hospital's pages, WeChat and the jobs ask of payment, in the words of the tests."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Row
from chalicelib.adapters.wechat_pay.types import V3, Merchant
from chalicelib.payment import refunds, site_messages
from devstack.wechat_pay import Signed, WeChatPay
from tests.booking.ward import BOOK, Ward, rows, ward
from tests.people import Hospital, Person
from tests.wechat.desk import APP_ID, configure
from tests.wire import Answer, answered, event, get, post

OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
NOTIFY, REFUND_NOTIFY = "/pati_service/wechat/pay/notify", "/pati_service/wechat/pay/refund_notify"
CONF = "/pati_service/wechat/pay_conf"
ORDER, SIGN = f"{BOOK}/pay/appo_order", "/pati_service/wx/jsapi/paysign"
STAMP, NONCE = "1414587457", "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"


@dataclass(frozen=True)
class Till:
    """A ward whose hospital has an account at WeChat Pay."""

    ward: Ward
    pay: WeChatPay
    merchant: Merchant

    @property
    def hospital(self) -> Hospital:
        return self.ward.hospital

    @property
    def tenant_id(self) -> int:
        return self.hospital.tenant_id

    def booked(self, person: Person | None = None, fee: float = 12.5, **fields: Any) -> str:
        """Book a morning that costs so many yuan; returns bookId."""
        return self.ward.booked(person or self.hospital.lin, self.ward.schedule(bookfee=fee, **fields))

    def order(self, book_id: Any, person: Person | None = None, **fields: Any) -> Answer:
        body = {"appo_id": book_id, "open_id": OPENID, **fields}
        return post(ORDER, (person or self.hospital.lin).token, **body)

    def ordered(self, book_id: Any) -> dict[str, Any]:
        found = dict(self.order(book_id).data)
        assert found["error_code"] == "SUCCESS"
        return found

    def sign(self, order: dict[str, Any], person: Person | None = None, **fields: Any) -> Answer:
        who = person or self.hospital.lin
        body = {"agencyId": order["agency_id"], "tenantId": who.tenant_id, "appId": order["app_id"]}
        body |= {"timeStamp": STAMP, "nonceStr": NONCE, "prepayId": order["prepay_id"], "signType": order["sign_type"]}
        return post(SIGN, who.token, **{**body, **fields})

    def pays(self, book_id: Any) -> Signed:
        """The patient orders and pays; returns WeChat's notice, which nobody was sent."""
        out_trade_no = self.ordered(book_id)["out_trade_no"]
        self.pay.pay(out_trade_no)
        return self.pay.paid_notice(out_trade_no)

    def told(self, notice: Signed, path: str = NOTIFY, tenant_id: int = 0) -> Answer:
        """WeChat tells the hospital, as API Gateway hands it over."""
        return answered(self.delivery(notice, path, tenant_id))

    def delivery(self, notice: Signed, path: str = NOTIFY, tenant_id: int = 0) -> dict[str, Any]:
        headers, body = notice
        request = event("POST", f"{path}/{tenant_id or self.tenant_id}", headers)
        return {**request, "body": base64.b64encode(body).decode(), "isBase64Encoded": True}

    def paid(self, book_id: Any) -> dict[str, Any]:
        """The patient pays, the hospital hears of it; returns the payment's row."""
        assert self.told(self.pays(book_id)).status == 200
        return self.payments(book_id)[-1]

    def charge(self, book_id: Any) -> tuple[int, int]:
        """Return status and charge of a booking."""
        [row] = [one for one in rows("bookings", self.hospital) if str(one["book_id"]) == str(book_id)]
        return row["status"], row["charge"]

    def payments(self, book_id: Any) -> list[Row]:
        return [one for one in rows("payments", self.hospital) if str(one["book_id"]) == str(book_id)]

    def refunds(self, book_id: Any) -> list[Row]:
        return [one for one in rows("refunds", self.hospital) if str(one["book_id"]) == str(book_id)]

    def ledger(self) -> list[tuple[str, str]]:
        return [(one["became"], one["told_by"]) for one in rows("payment_ledger", self.hospital)]

    def promised(self, job: str) -> list[dict[str, Any]]:
        return [json.loads(row["payload"]) for row in rows("outbox", self.hospital) if row["job"] == job]

    def pay_back(self) -> None:
        """Have the outbox's outside lane do what was promised."""
        for payload in self.promised("refund"):
            refunds.refund_booking(self.tenant_id, payload)

    def announce(self) -> None:
        for payload in self.promised("tell_payment"):
            site_messages.notify_holder(self.tenant_id, payload)

    def messages(self, person: Person) -> list[str]:
        return [one["msg_text"] for one in get("/msg_service/msg/list", person.token).data]

    def hour_later(self) -> None:
        """As if whatever waits to be asked for had waited long enough, and orders could be paid no more."""
        for table, also in (("payments", ", expires_at = expires_at - 7200000000"), ("refunds", "")):
            self._run(f"UPDATE {table} SET check_at = check_at - 7200000000{also} WHERE tenant_id = %(id)s")

    def minute_later(self) -> None:
        for table in ("payments", "refunds"):
            self._run(f"UPDATE {table} SET check_at = check_at - 3600000000 WHERE tenant_id = %(id)s")

    def _run(self, sql: str) -> None:
        mysql.run_autocommit(lambda tx: tx.execute(sql, id=self.tenant_id))


def wanted(merchant: Merchant, **fields: Any) -> dict[str, Any]:
    """What an admin saves."""
    names = ("mch_id", "version", "sign_type", "key", "serial", "private_key", "certificate")
    keys = [{"serial": serial, "pem": pem} for serial, pem in merchant.public_keys.items()]
    return {**{name: getattr(merchant, name) for name in names}, "public_keys": keys, **fields}


def opened(hospital: Hospital, pay: WeChatPay, version: str = V3, sign_type: str = "") -> Till:
    """A till of a hospital that is set up as its admin does it."""
    assert configure(hospital).status == 200
    merchant = pay.merchant(version, sign_type, appid=APP_ID)
    assert post(CONF, hospital.admin.token, **wanted(merchant)).data is None
    return Till(ward(hospital), pay, merchant)
