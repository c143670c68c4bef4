"""Our one call to KMS: signed as the AWS SDK signs it, and answered by moto."""

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

boto3, moto, auth, awsrequest, credentials = (  # none of them has types
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
    """KMS as moto has it, behind AWS's check of the signature."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status, answer = self.answer(body) if self.headers["Authorization"] == self.expected(body) else (400, {})
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def answer(self, body: bytes) -> tuple[int, dict[str, str]]:
        asked = json.loads(body)
        client = boto3.client("kms", REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        try:
            found = client.decrypt(
                CiphertextBlob=base64.b64decode(asked["CiphertextBlob"]), EncryptionContext=asked["EncryptionContext"]
            )
        except client.exceptions.ClientError as error:
            return 400, {"__type": error.response["Error"]["Code"]}
        return 200, {"Plaintext": base64.b64encode(found["Plaintext"]).decode()}

    def expected(self, body: bytes) -> str:
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
def wrapped(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A data key that this KMS has wrapped, in base64; the adapter knows where KMS is."""
    with moto.mock_aws(), ThreadingHTTPServer(("127.0.0.1", 0), Kms) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        place(monkeypatch, f"http://127.0.0.1:{server.server_address[1]}")
        client = boto3.client("kms", REGION, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET)
        master = client.create_key()["KeyMetadata"]["KeyId"]
        made = client.encrypt(KeyId=master, Plaintext=KEY, EncryptionContext=CONTEXT)
        yield base64.b64encode(made["CiphertextBlob"]).decode()
        server.shutdown()
        thread.join()


def place(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    changed = replace(
        settings, access_key=ACCESS, secret_key=SECRET, session_token=TOKEN, region=REGION, kms_endpoint_url=endpoint
    )
    monkeypatch.setattr(kms, "settings", changed)


def test_kms_opens_what_it_wrapped(wrapped: str) -> None:
    assert kms.decrypt(wrapped, CONTEXT) == KEY


def test_kms_opens_nothing_for_another_purpose(wrapped: str) -> None:
    with pytest.raises(kms.KmsError):
        kms.decrypt(wrapped, {"zhenxun": "2027"})


def test_kms_opens_nothing_for_somebody_elses_signature(wrapped: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms, "settings", replace(vars(kms)["settings"], secret_key="guessed"))
    with pytest.raises(kms.KmsError):
        kms.decrypt(wrapped, CONTEXT)


def test_a_kms_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, "http://127.0.0.1:1")
    with pytest.raises(ApiError) as refused:
        kms.decrypt("AQID", CONTEXT)
    assert refused.value.kind is UNAVAILABLE


@pytest.mark.parametrize("token", ["", TOKEN])
def test_headers_are_signed_as_the_sdk_signs_them(monkeypatch: pytest.MonkeyPatch, token: str) -> None:
    monkeypatch.setattr(clock, "now", lambda: 1_767_576_600 * clock.SECOND)
    at = sigv4.format_timestamp(clock.now())
    frozen = datetime.strptime(at, "%Y%m%dT%H%M%SZ")
    monkeypatch.setattr(auth, "get_current_datetime", lambda: frozen)
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Decrypt"}
    keys = sigv4.SigningCredentials(ACCESS, SECRET, token, REGION, "kms")
    ours = sigv4.sign_headers(keys, at, "kms.cn-north-1.amazonaws.com.cn", headers, b"{}")
    request = awsrequest.AWSRequest("POST", "https://kms.cn-north-1.amazonaws.com.cn/", dict(headers), b"{}")
    auth.SigV4Auth(credentials.Credentials(ACCESS, SECRET, token or None), "kms", REGION).add_auth(request)
    assert ours["authorization"] == request.headers["Authorization"]


def test_hosts_follow_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, "")
    assert kms._get_origin() == "https://kms.cn-north-1.amazonaws.com.cn"
    monkeypatch.setattr(kms, "settings", replace(vars(kms)["settings"], region="ap-southeast-1"))
    assert kms._get_origin() == "https://kms.ap-southeast-1.amazonaws.com"
