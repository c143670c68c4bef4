"""A fake of WeChat Pay, API v3 and v2, for tests and bin/dev.

`python -m devstack.fakes.wechat_pay --port PORT` serves the merchants of the demo hospitals. There,
POST /devstack/pay/OUT_TRADE_NO pays an order as the patient would and notifies the hospital; refunds succeed at once
and are notified too. Each order, payment and refund is printed.

It validates signatures, times and fields as WeChat Pay does, stores orders and refunds, and signs its responses. With
TLS it also requires the merchant certificate for refunds of v2. Tests make it hang, reject calls, return malformed or
wrongly signed responses, and send its notifications themselves.
"""

import argparse
import contextlib
import ssl
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

from chalicelib import clock
from chalicelib.adapters.wechat_pay import api_v2, api_v3, bill_files
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, SignType
from chalicelib.settings import settings
from devstack import console
from devstack.fakes import wechat_pay_keys, wechat_pay_protocol_v2, wechat_pay_protocol_v3, wechat_pay_rules
from devstack.fakes.wechat import Server
from devstack.fakes.wechat_pay_bills import BillChanges
from devstack.fakes.wechat_pay_keys import Signer
from devstack.fakes.wechat_pay_rules import HttpRequest, HttpResponse, Order, Refund

SignedMessage = tuple[dict[str, str], bytes]  # headers and body


@dataclass
class WeChatPay:
    """The state of the fake server.

    Attributes:
        merchants: by mch_id.
        signers: by serial: a public key and a platform certificate.
        signing_serial: the signer in use.
        failures: by action (prepay, query, close, refund, query_refund, trade_bill, fund_bill, download_bill), the
            error code or HTTP status to return, or "" for a malformed response.
        bill_changes: how the bills differ from the orders and refunds.
        signs_with_wrong_key: sign responses and notifications with a key that is not WeChat Pay's.
        on_event: called with a summary of each new order, payment and refund.
        settles_refunds_at_once: set refunds to SUCCESS and notify the hospital as soon as they are requested.
        accepting: while it is not set, requests get no response.
    """

    url: str = ""
    merchants: dict[str, Merchant] = field(default_factory=dict)
    signers: dict[str, Signer] = field(default_factory=wechat_pay_keys.create_signers)
    signing_serial: str = wechat_pay_keys.PUBLIC_KEY_ID
    orders: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str | int] = field(default_factory=dict)
    bill_changes: BillChanges = field(default_factory=BillChanges)
    bill_files: dict[str, bytes] = field(default_factory=dict)  # to be downloaded, by token
    on_event: Callable[[str], None] = lambda _: None
    signs_with_wrong_key: bool = False
    settles_refunds_at_once: bool = False
    accepting: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_merchant(self, version: str = ApiVersion.V3, sign_type: str = "", **fields: str) -> Merchant:
        """Create a merchant account; return it as the app configures it."""
        number = len(self.merchants) + 1
        merchant = Merchant(
            appid=fields.get("appid", f"wx{number:016x}"),
            mch_id=fields.get("mch_id", f"19{number:08d}"),
            version=version,
            sign_type=sign_type or (SignType.RSA if version == ApiVersion.V3 else SignType.MD5),
            key=fields.get("key", f"{number:032x}"),
            serial=wechat_pay_keys.MERCHANT_CERTIFICATE_SERIAL if version == ApiVersion.V3 else "",
            private_key=wechat_pay_keys.get_private_pem("merchant"),
            certificate=wechat_pay_keys.get_certificate_pem("merchant") if version == ApiVersion.V2 else "",
            public_keys={serial: signer.public_pem for serial, signer in self.signers.items()}
            if version == ApiVersion.V3
            else {},
        )
        self.merchants[merchant.mch_id] = merchant
        return merchant

    def pay(self, out_trade_no: str) -> Order:
        """Pay an order, without a notification."""
        with self.lock:
            return wechat_pay_rules.mark_paid(self, out_trade_no)

    def settle_refund(self, out_refund_no: str, state: str = "SUCCESS") -> Refund:
        """Set the state of a refund, without a notification."""
        with self.lock:
            self.refunds[out_refund_no] = replace(self.refunds[out_refund_no], state=state, settled_at=clock.now())
            return self.refunds[out_refund_no]

    def build_payment_notification(self, out_trade_no: str, at: int = 0) -> SignedMessage:
        """Return the notification for the order's notify_url, signed at a time in µs (default: now)."""
        order = self.orders[out_trade_no]
        if order.merchant.version == ApiVersion.V2:
            return wechat_pay_protocol_v2.build_payment_notification(self, order)
        return wechat_pay_protocol_v3.build_payment_notification(self, order, at or clock.now())

    def build_refund_notification(self, out_refund_no: str, at: int = 0) -> SignedMessage:
        """Return the notification for the refund's notify_url, signed at a time in µs (default: now)."""
        refund = self.refunds[out_refund_no]
        if refund.order.merchant.version == ApiVersion.V2:
            return wechat_pay_protocol_v2.build_refund_notification(refund)
        return wechat_pay_protocol_v3.build_refund_notification(self, refund, at or clock.now())

    def send_notification(self, number: str) -> tuple[int, bytes]:
        """Notify the hospital of a payment or refund by its number; return status and body of the response."""
        if number in self.orders:
            return post_notification(self.orders[number].notify_url, *self.build_payment_notification(number))
        return post_notification(self.refunds[number].notify_url, *self.build_refund_notification(number))

    def handle_request(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a request in either version."""
        if request.path.startswith("/devstack/pay/"):
            return self._handle_manual_payment(request.path.rpartition("/")[2])
        self.accepting.wait(30)
        handle = (
            wechat_pay_protocol_v3.handle_request
            if request.path.startswith("/v3/")
            else wechat_pay_protocol_v2.handle_request
        )
        response = handle(self, request)
        if self.settles_refunds_at_once:
            threading.Thread(target=self._settle_pending_refunds, daemon=True).start()
        return response

    def _settle_pending_refunds(self) -> None:
        for number in [number for number, refund in self.refunds.items() if refund.state == "PROCESSING"]:
            self.settle_refund(number)
            self.send_notification(number)

    def _handle_manual_payment(self, out_trade_no: str) -> HttpResponse:
        if out_trade_no not in self.orders:
            return 404, b"no such order\n", {}
        self.pay(out_trade_no)
        status, content = self.send_notification(out_trade_no)
        return 200, f"the hospital responded {status} {content.decode(errors='replace')}\n".encode(), {}


def post_notification(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    """POST a notification; return status and body of the response."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Handler(BaseHTTPRequestHandler):
    """Passes HTTP requests to the fake."""

    pay: WeChatPay
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        """Handle one request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        certificate = self.connection.getpeercert(True) if isinstance(self.connection, ssl.SSLSocket) else None
        request = HttpRequest(self.command, self.path, headers, body, certificate)
        status, content, response_headers = self.pay.handle_request(request)
        with contextlib.suppress(ConnectionError):  # the client has timed out
            self.send_response(status)
            for name, value in {
                **response_headers,
                **({} if status == 204 else {"Content-Length": str(len(content))}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    do_GET = do_POST = serve

    def log_message(self, *_: Any) -> None:
        """Write no access log."""


def create_server(pay: WeChatPay, port: int = 0, tls: ssl.SSLContext | None = None) -> Server:
    """Return a server for the fake that is bound but does not serve yet."""
    server = Server(("127.0.0.1", port), type("FakeHandler", (Handler,), {"pay": pay}))
    pay.url = f"http://127.0.0.1:{server.server_address[1]}"
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        pay.url = f"https://localhost:{server.server_address[1]}"
    pay.accepting.set()
    return server


@contextlib.contextmanager
def run_server(tls: ssl.SSLContext | None = None) -> Iterator[WeChatPay]:
    """Serve a fake on a free port."""
    pay = WeChatPay()
    server = create_server(pay, tls=tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield pay
    finally:
        pay.accepting.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def replace_real_server(tls: ssl.SSLContext | None = None) -> Iterator[WeChatPay]:
    """Serve a fake and have this process use it instead of WeChat Pay."""
    adapters = (api_v2, api_v3, bill_files)
    before = [vars(adapter)["settings"] for adapter in adapters]
    with run_server(tls) as pay:
        set_api_url(pay.url)
        try:
            yield pay
        finally:
            for adapter, old_settings in zip(adapters, before, strict=True):
                vars(adapter)["settings"] = old_settings


def set_api_url(url: str) -> None:
    """Have this process call WeChat Pay at another address."""
    for adapter in (api_v2, api_v3, bill_files):
        vars(adapter)["settings"] = replace(settings, wechat_pay_url=url)


def create_demo_merchants() -> tuple[WeChatPay, dict[str, Merchant]]:
    """Return a fake for the demo hospitals and their merchants by external id. The keys persist on this machine."""
    wechat_pay_keys.use_persistent_keys()
    pay = WeChatPay(settles_refunds_at_once=True)
    return pay, {
        "demo": pay.add_merchant(
            ApiVersion.V3, appid="wxdemo000000000001", mch_id="1900000001", key="renhe-not-secret-renhe-not-secre"
        ),
        "demo-other": pay.add_merchant(
            ApiVersion.V2,
            SignType.HMAC_SHA256,
            appid="wxdemo000000000002",
            mch_id="1900000002",
            key="kangning-not-secret-kangning-not",
        ),
    }


def main() -> None:
    """Serve the merchants of the demo hospitals."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    pay, _ = create_demo_merchants()
    pay.on_event = console.print_line
    create_server(pay, parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
