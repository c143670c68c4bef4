"""A fake of Tencent Cloud's captcha API, for tests and bin/dev.

`python -m devstack.fakes.tencent_captcha --port PORT` serves bin/dev. Any ticket that begins with `demo` is valid once.

It verifies our signature with the keys of its environment, step by step as Tencent documents it, and checks each ticket
as Tencent does: once, for five minutes, with its random text. Tests make it hang, reject calls or return malformed
responses.
Source: https://cloud.tencent.com/document/product/1110/36926, https://cloud.tencent.com/document/api/1110/36922
"""

import argparse
import contextlib
import hashlib
import hmac
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chalicelib import clock
from chalicelib.settings import settings

APP_ID = "190000001"
DEMO_PREFIX = "demo"
TICKET_SECONDS = SIGNATURE_SECONDS = 300
SOLVED, RANDSTR_MISMATCH, EXPIRED, REUSED = 1, 7, 8, 9
INVALID, APP_MISMATCH, RECOVERY, SECRET_MISMATCH = 15, 16, 21, 100
FIELDS = {
    "CaptchaType": int,
    "Ticket": str,
    "UserIp": str,
    "Randstr": str,
    "CaptchaAppId": int,
    "AppSecretKey": str,
}


@dataclass
class Issued:
    """A ticket that was given to a page."""

    randstr: str
    issued_at: int
    is_used: bool = False


@dataclass
class TencentCaptcha:
    """The state of the fake server.

    Attributes:
        addresses: UserIp of each verified call.
        evil_level: EvilLevel of solved captchas.
        failure: what the server returns instead: a code of Tencent's, "http" for status 500, "malformed" for no JSON.
        accepting: while it is not set, requests get no response.
    """

    url: str = ""
    tickets: dict[str, Issued] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    calls: int = 0
    evil_level: int = 0
    failure: str = ""
    accepting: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def issue_ticket(self) -> tuple[str, str]:
        """Return ticket and random text, as a page gets them when the user has solved a captcha."""
        ticket, randstr = f"tr03{secrets.token_urlsafe(120)}*", f"@{secrets.token_hex(2)}"
        self.tickets[ticket] = Issued(randstr, clock.now())
        return ticket, randstr

    def handle_request(self, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Return the content of the response."""
        with self.lock:
            self.calls += 1
            if error := self.failure or _find_signature_error(headers, body) or _find_field_error(body):
                return {"Error": {"Code": error, "Message": ""}}
            fields = json.loads(body)
            self.addresses.append(fields["UserIp"])
            code = self._check(fields)
            level = {"EvilLevel": self.evil_level} if code == SOLVED else {}
            return {"CaptchaCode": code, "CaptchaMsg": "OK" if code == SOLVED else "", **level}

    def _check(self, fields: dict[str, Any]) -> int:
        ticket = fields["Ticket"]
        if str(fields["CaptchaAppId"]) != APP_ID:
            return APP_MISMATCH
        if fields["AppSecretKey"] != settings.captcha.app_secret:
            return SECRET_MISMATCH
        if ticket.startswith("trerror_"):
            return RECOVERY if f"_{APP_ID}_" in ticket else APP_MISMATCH
        if ticket.startswith(DEMO_PREFIX) and ticket not in self.tickets:
            self.tickets[ticket] = Issued(fields["Randstr"], clock.now())
        issued = self.tickets.get(ticket)
        if issued is None:
            return INVALID
        if issued.randstr != fields["Randstr"]:
            return RANDSTR_MISMATCH
        if clock.now() - issued.issued_at > TICKET_SECONDS * clock.SECOND:
            return EXPIRED
        was_used, issued.is_used = issued.is_used, True
        return REUSED if was_used else SOLVED


def _find_signature_error(headers: dict[str, str], body: bytes) -> str:
    """Return Tencent's error code for a request that is not signed by our key, "" for one that is."""
    if headers.get("x-tc-action") != "DescribeCaptchaResult":
        return "InvalidAction"
    if headers.get("x-tc-version") != "2019-07-22":
        return "NoSuchVersion"
    timestamp = headers.get("x-tc-timestamp", "")
    if not timestamp.isdigit() or abs(clock.now() // clock.SECOND - int(timestamp)) > SIGNATURE_SECONDS:
        return "AuthFailure.SignatureExpire"
    if f"Credential={settings.captcha.key_id}/" not in headers.get("authorization", ""):
        return "AuthFailure.SecretIdNotFound"
    expected = compute_authorization(headers, body)
    return "" if hmac.compare_digest(expected, headers["authorization"]) else "AuthFailure.SignatureFailure"


def compute_authorization(headers: dict[str, str], body: bytes) -> str:
    """Return the header that signs a request with our key, computed as Tencent documents it.

    Source: https://cloud.tencent.com/document/api/1110/36922
    """
    date = clock.format_utc(int(headers["x-tc-timestamp"]) * clock.SECOND)[:10]
    signed = "content-type;host;x-tc-action"
    values = (headers["content-type"], headers["host"], headers["x-tc-action"].lower())
    lines = "".join(f"{name}:{value}\n" for name, value in zip(signed.split(";"), values, strict=True))
    request = "\n".join(["POST", "/", "", lines, signed, hashlib.sha256(body).hexdigest()])
    scope = f"{date}/captcha/tc3_request"
    text = "\n".join(
        ["TC3-HMAC-SHA256", headers["x-tc-timestamp"], scope, hashlib.sha256(request.encode()).hexdigest()]
    )
    key = f"TC3{settings.captcha.key_secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return (
        f"TC3-HMAC-SHA256 Credential={settings.captcha.key_id}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )


def _find_field_error(body: bytes) -> str:
    fields = json.loads(body)
    if unknown := fields.keys() - FIELDS:
        return f"UnknownParameter.{min(unknown)}"
    if FIELDS.keys() - fields:
        return "MissingParameter"
    valid = all(isinstance(fields[name], kind) and fields[name] for name, kind in FIELDS.items())
    return "" if valid and fields["CaptchaType"] == 9 else "InvalidParameterValue"


class Handler(BaseHTTPRequestHandler):
    """Serves the fake that its subclass names."""

    captcha: TencentCaptcha

    def do_POST(self) -> None:
        """Return the fake's response."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.captcha.accepting.wait()
        headers = {name.lower(): value for name, value in self.headers.items()}
        content = json.dumps({"Response": {**self.captcha.handle_request(headers, body), "RequestId": "1"}}).encode()
        self.send_response(500 if self.captcha.failure == "http" else 200)
        content = b"<html>" if self.captcha.failure == "malformed" else content
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client has not waited for the response
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Write no access log."""


def create_server(captcha: TencentCaptcha, port: int = 0) -> ThreadingHTTPServer:
    """Return a server for the fake that is bound but does not serve yet."""
    server = ThreadingHTTPServer(("127.0.0.1", port), type("FakeHandler", (Handler,), {"captcha": captcha}))
    captcha.url = f"http://127.0.0.1:{server.server_address[1]}"
    captcha.accepting.set()
    return server


@contextlib.contextmanager
def run_server() -> Iterator[TencentCaptcha]:
    """Serve a fake on a free port."""
    captcha = TencentCaptcha()
    server = create_server(captcha)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield captcha
    finally:
        captcha.accepting.set()
        server.shutdown()
        server.server_close()
        thread.join()


def main() -> None:
    """Serve bin/dev."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    create_server(TencentCaptcha(), parser.parse_args().port).serve_forever()


if __name__ == "__main__":
    main()
