"""A small WeChat Pay that speaks the real one's wire, v3 and v2, for tests and bin/dev.

python -m devstack.fakes.wechat_pay --port PORT: that of the demo hospitals. POST /devstack/pay/OUT_TRADE_NO there is a
patient who pays: the hospital is notified, as it is of refunds, which are settled at once.

It checks signatures, times and fields as WeChat Pay does, keeps orders and refunds, and signs what it says; where it
speaks TLS, it also looks for the certificate that v2's refunds want. Tests have it hang, refuse, break or lie, and take
its notices to send them as they like.
"""

import argparse
import contextlib
import ssl
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from typing import Any

from chalicelib import clock
from chalicelib.adapters.wechat_pay import api_v2, api_v3
from chalicelib.adapters.wechat_pay.types import ApiVersion, Merchant, SignType
from chalicelib.settings import settings
from devstack.fakes import wechat_pay_keys, wechat_pay_protocol_v2, wechat_pay_protocol_v3, wechat_pay_rules
from devstack.fakes.wechat import Server
from devstack.fakes.wechat_pay_keys import Signer
from devstack.fakes.wechat_pay_rules import HttpRequest, HttpResponse, Order, Refund

SignedMessage = tuple[dict[str, str], bytes]  # headers and body


@dataclass
class WeChatPay:
    """`failing` has by action (prepay, query, close, refund, query_refund) an error code, an HTTP status, or "" for
    nonsense. While `open` is not set, nobody is answered."""

    url: str = ""
    merchants: dict[str, Merchant] = field(default_factory=dict)  # by mch_id
    signers: dict[str, Signer] = field(
        default_factory=wechat_pay_keys.create_signers
    )  # by serial: a key, a certificate
    signing_serial: str = wechat_pay_keys.PUBLIC_KEY_ID  # of who signs now
    orders: dict[str, Order] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str | int] = field(default_factory=dict)
    signs_with_wrong_key: bool = False  # answers are signed by somebody else
    settles_refunds_at_once: bool = False  # refunds are settled, and told of, as soon as they are asked for
    accepting: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def add_merchant(self, version: str = ApiVersion.V3, sign_type: str = "", **fields: str) -> Merchant:
        """A merchant who is known from now on, as the app is to know them."""
        number = len(self.merchants) + 1
        made = Merchant(
            appid=fields.get("appid", f"wx{number:016x}"),
            mch_id=fields.get("mch_id", f"19{number:08d}"),
            version=version,
            sign_type=sign_type or (SignType.RSA if version == ApiVersion.V3 else SignType.MD5),
            key=fields.get("key", f"{number:032x}"),
            serial=wechat_pay_keys.MERCHANT_CERTIFICATE_SERIAL if version == ApiVersion.V3 else "",
            private_key=wechat_pay_keys.get_private_pem("merchant"),
            certificate=wechat_pay_keys.get_certificate_pem("merchant") if version == ApiVersion.V2 else "",
            public_keys={serial: one.public_pem for serial, one in self.signers.items()}
            if version == ApiVersion.V3
            else {},
        )
        self.merchants[made.mch_id] = made
        return made

    def pay(self, out_trade_no: str) -> Order:
        """The patient has paid. Nobody was told."""
        with self.lock:
            return wechat_pay_rules.mark_paid(self, out_trade_no)

    def settle_refund(self, out_refund_no: str, state: str = "SUCCESS") -> Refund:
        """What became of a refund. Nobody was told."""
        with self.lock:
            self.refunds[out_refund_no] = replace(self.refunds[out_refund_no], state=state, settled_at=clock.now())
            return self.refunds[out_refund_no]

    def build_payment_notification(self, out_trade_no: str, at: int = 0) -> SignedMessage:
        """What it would POST to the order's notify_url, at `at` (µs) or now."""
        order = self.orders[out_trade_no]
        if order.merchant.version == ApiVersion.V2:
            return wechat_pay_protocol_v2.build_payment_notification(self, order)
        return wechat_pay_protocol_v3.build_payment_notification(self, order, at or clock.now())

    def build_refund_notification(self, out_refund_no: str, at: int = 0) -> SignedMessage:
        refund = self.refunds[out_refund_no]
        if refund.order.merchant.version == ApiVersion.V2:
            return wechat_pay_protocol_v2.build_refund_notification(refund)
        return wechat_pay_protocol_v3.build_refund_notification(self, refund, at or clock.now())

    def send_notification(self, number: str) -> tuple[int, bytes]:
        """Notify of a payment or a refund, by its number; what was answered."""
        if number in self.orders:
            return post_notification(self.orders[number].notify_url, *self.build_payment_notification(number))
        return post_notification(self.refunds[number].notify_url, *self.build_refund_notification(number))

    def handle_request(self, asked: HttpRequest) -> HttpResponse:
        if asked.path.startswith("/devstack/pay/"):
            return self._handle_manual_payment(asked.path.rpartition("/")[2])
        self.accepting.wait(30)
        spoken = (
            wechat_pay_protocol_v3.handle_request
            if asked.path.startswith("/v3/")
            else wechat_pay_protocol_v2.handle_request
        )
        answered = spoken(self, asked)
        if self.settles_refunds_at_once:
            threading.Thread(target=self._settle_pending_refunds, daemon=True).start()
        return answered

    def _settle_pending_refunds(self) -> None:
        for number in [number for number, one in self.refunds.items() if one.state == "PROCESSING"]:
            self.settle_refund(number)
            self.send_notification(number)

    def _handle_manual_payment(self, out_trade_no: str) -> HttpResponse:
        if out_trade_no not in self.orders:
            return 404, b"no such order\n", {}
        self.pay(out_trade_no)
        status, said = self.send_notification(out_trade_no)
        return 200, f"the hospital answered {status} {said.decode(errors='replace')}\n".encode(), {}


def post_notification(url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=10) as answered:
            return answered.status, answered.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


class Handler(BaseHTTPRequestHandler):
    pay: WeChatPay
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        shown = self.connection.getpeercert(True) if isinstance(self.connection, ssl.SSLSocket) else None
        status, said, told = self.pay.handle_request(HttpRequest(self.command, self.path, headers, body, shown))
        with contextlib.suppress(ConnectionError):  # who does not wait so long
            self.send_response(status)
            for name, value in {**told, **({} if status == 204 else {"Content-Length": str(len(said))})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

    do_GET = do_POST = serve

    def log_message(self, *_: Any) -> None: ...


def create_server(pay: WeChatPay, port: int = 0, tls: ssl.SSLContext | None = None) -> Server:
    """A server of this WeChat Pay, bound and not serving yet."""
    made = Server(("127.0.0.1", port), type("Ours", (Handler,), {"pay": pay}))
    pay.url = f"http://127.0.0.1:{made.server_address[1]}"
    if tls:
        made.socket = tls.wrap_socket(made.socket, server_side=True)
        pay.url = f"https://localhost:{made.server_address[1]}"
    pay.accepting.set()
    return made


@contextlib.contextmanager
def run_server(tls: ssl.SSLContext | None = None) -> Iterator[WeChatPay]:
    pay = WeChatPay()
    serving = create_server(pay, tls=tls)
    thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield pay
    finally:
        pay.accepting.set()
        serving.shutdown()
        serving.server_close()
        thread.join()


@contextlib.contextmanager
def replace_real_server(tls: ssl.SSLContext | None = None) -> Iterator[WeChatPay]:
    """Has this process take it for the real one."""
    adapters = (api_v2, api_v3)
    before = [vars(one)["settings"] for one in adapters]
    with run_server(tls) as pay:
        set_api_url(pay.url)
        try:
            yield pay
        finally:
            for one, old in zip(adapters, before, strict=True):
                vars(one)["settings"] = old


def set_api_url(url: str) -> None:
    for one in (api_v2, api_v3):
        vars(one)["settings"] = replace(settings, wechat_pay_url=url)


def create_demo_merchants() -> tuple[WeChatPay, dict[str, Merchant]]:
    """That of the demo hospitals, and their accounts by external id. Keys are this machine's, made once."""
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
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    create_server(create_demo_merchants()[0], parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
