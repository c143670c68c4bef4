"""The KMS client, with signatures compared with those of the AWS SDK and responses of moto."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from threading import Thread
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import kms, sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

boto3, moto, auth, awsrequest, credentials = (  # packages without type information
    import_module(name) for name in ("boto3", "moto", "botocore.auth", "botocore.awsrequest", "botocore.credentials")
)
ACCESS, SECRET, TOKEN, REGION = (
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "F/+=" * 9,
    "cn-north-1",
)
KEY, CONTEXT = bytes(range(32)), {"zhenxun": "2026"}


class Kms(BaseHTTPRequestHandler):
    """A KMS server: moto behind a check of the signature."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, response = (
            self.decrypt(body) if self.headers["Authorization"] == self.build_authorization(body) else (400, {})
        )
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(response).encode())

    def decrypt(self, body: bytes) -> tuple[int, dict[str, str]]:
        request = json.loads(body)
        client = boto3.client("kms", REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        try:
            result = client.decrypt(
                CiphertextBlob=base64.b64decode(request["CiphertextBlob"]),
                EncryptionContext=request["EncryptionContext"],
            )
        except client.exceptions.ClientError as error:
            return 400, {"__type": error.response["Error"]["Code"]}
        return 200, {"Plaintext": base64.b64encode(result["Plaintext"]).decode()}

    def build_authorization(self, body: bytes) -> str:
        names = self.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        request = awsrequest.AWSRequest("POST", f"http://{self.headers['Host']}/", {}, body)
        for name in names:
            request.headers[name] = self.headers[name]
        signer = auth.SigV4Auth(credentials.Credentials(ACCESS, SECRET), "kms", REGION)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        canonical = signer.canonical_request(request)
        signature = signer.signature(signer.string_to_sign(request, canonical), request)
        parts = {"Credential": signer.scope(request), "SignedHeaders": ";".join(names), "Signature": signature}
        return "AWS4-HMAC-SHA256 " + ", ".join(f"{name}={value}" for name, value in parts.items())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def ciphertext(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A data key encrypted by a running KMS server, in base64; the adapter is configured to use the server."""
    with moto.mock_aws(), ThreadingHTTPServer(("127.0.0.1", 0), Kms) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        configure(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}")
        client = boto3.client("kms", REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        key_id = client.create_key()["KeyMetadata"]["KeyId"]
        made = client.encrypt(KeyId=key_id, Plaintext=KEY, EncryptionContext=CONTEXT)
        yield base64.b64encode(made["CiphertextBlob"]).decode()
        server.shutdown()
        thread.join()


def configure(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    changed_settings = replace(
        settings, access_key=ACCESS, secret_key=SECRET, session_token=TOKEN, region=REGION, kms_endpoint_url=endpoint
    )
    monkeypatch.setattr(kms, "settings", changed_settings)


def test_decrypt_returns_the_plaintext(ciphertext: str) -> None:
    assert kms.decrypt(ciphertext, CONTEXT) == KEY


def test_decrypt_rejects_another_encryption_context(ciphertext: str) -> None:
    with pytest.raises(kms.KmsError):
        kms.decrypt(ciphertext, {"zhenxun": "2027"})


def test_decrypt_rejects_a_wrong_signature(ciphertext: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms, "settings", replace(vars(kms)["settings"], secret_key="guessed"))
    with pytest.raises(kms.KmsError):
        kms.decrypt(ciphertext, CONTEXT)


def test_unreachable_kms_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(ApiError) as error:
        kms.decrypt("AQID", CONTEXT)
    assert error.value.kind is UNAVAILABLE


@pytest.mark.parametrize("token", ["", TOKEN])
def test_headers_are_signed_like_those_of_the_sdk(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_767_576_600 * clock.SECOND)
    timestamp = sigv4.format_timestamp(clock.now())
    frozen = datetime.strptime(timestamp, "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr(auth, "get_current_datetime", lambda: frozen)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Decrypt"}
    keys = sigv4.SigningCredentials(ACCESS, SECRET, token, REGION, "kms")
    ours = sigv4.sign_headers(keys, timestamp, "kms.cn-north-1.amazonaws.com.cn", headers, b"{}")
    request = awsrequest.AWSRequest("POST", "https://kms.cn-north-1.amazonaws.com.cn/", dict(headers), b"{}")
    auth.SigV4Auth(credentials.Credentials(ACCESS, SECRET, token or None), "kms", REGION).add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


def test_host_depends_on_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, "")
    assert kms._get_origin() == "https://kms.cn-north-1.amazonaws.com.cn"
    monkeypatch.setattr(kms, "settings", replace(vars(kms)["settings"], region="ap-southeast-1"))
    assert kms._get_origin() == "https://kms.ap-southeast-1.amazonaws.com"
