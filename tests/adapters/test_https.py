"""A server that asks by TLS who calls it."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from chalicelib.adapters import https
from devstack import wechat_pay_keys
from devstack.wechat import Server


def test_a_merchants_certificate_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    ours = wechat_pay_keys.certificate_pem("merchant"), wechat_pay_keys.private_pem("merchant")
    (tmp_path / "server.pem").write_text(
        wechat_pay_keys.certificate_pem("server") + wechat_pay_keys.private_pem("server")
    )
    asking = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=ours[0])
    asking.load_cert_chain(tmp_path / "server.pem")
    asking.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Whose)
    server.socket = asking.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    trusting = ssl.create_default_context(cadata=wechat_pay_keys.certificate_pem("server"))
    monkeypatch.setattr(ssl, "create_default_context", lambda: trusting)
    try:
        url = f"https://localhost:{server.server_address[1]}/"
        assert https.call("GET", url, {}, timeout=5, certificate="\n".join(ours))[2] == b"merchant"
    finally:
        server.shutdown()
        server.server_close()


def test_a_certificate_without_its_key_is_none() -> None:
    certificate = wechat_pay_keys.certificate_pem("merchant")
    for wrong in (certificate, certificate + wechat_pay_keys.private_pem("somebody"), "none"):
        with pytest.raises(ValueError, match="no certificate"):
            https.call("GET", "https://localhost:9/", {}, timeout=5, certificate=wrong)


class Whose(BaseHTTPRequestHandler):
    """Says whose certificate it was shown."""

    def do_GET(self) -> None:
        subject: Any = self.connection.getpeercert()
        said = dict(subject["subject"][0])["commonName"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None: ...
