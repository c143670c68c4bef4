"""The S3 client: signatures compared with those of the AWS SDK, and errors of the server."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from io import BytesIO
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import s3, sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

boto3, auth, signers, config = (  # packages without type information
    import_module(name) for name in ("boto3", "botocore.auth", "botocore.signers", "botocore.config")
)
AT = datetime(2026, 1, 5, 1, 30, 0, tzinfo=UTC)
KEY = "uploads/12/a-_9.jpg"


@dataclass(frozen=True)
class Endpoint:
    region: str
    url: str
    token: str


GLOBAL = Endpoint("ap-southeast-1", "", "")
ENDPOINTS = {
    "global": GLOBAL,
    "global, a role": Endpoint("eu-west-1", "", "FwoGZXIvYXdzE//+=" * 40),
    "China": Endpoint("cn-northwest-1", "", ""),
    "China, a role": Endpoint("cn-north-1", "", "FwoGZXIvYXdzE//+=" * 40),
    "the region whose host has no region name": Endpoint("us-east-1", "", ""),
    "a local server": Endpoint("cn-northwest-1", "http://127.0.0.1:4566", ""),
}


@pytest.fixture(params=ENDPOINTS.values(), ids=list(ENDPOINTS))
def endpoint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    endpoint: Endpoint = request.param
    configure(monkeypatch, endpoint)
    return endpoint


def configure(monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint) -> None:
    changed_settings = replace(
        settings,
        region=endpoint.region,
        s3_endpoint_url=endpoint.url,
        s3_bucket="hospital-files",
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        session_token=endpoint.token,
    )
    monkeypatch.setattr(s3, "settings", changed_settings)
    monkeypatch.setattr(clock, "now", lambda: int(AT.timestamp()) * clock.SECOND)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: AT.replace(tzinfo=None))
    monkeypatch.setattr(signers, "get_current_datetime", lambda: AT.replace(tzinfo=None))


def build_sdk_client(endpoint: Endpoint) -> Any:
    style = "path" if endpoint.url else "virtual"
    return boto3.client(
        "s3",
        region_name=endpoint.region,
        endpoint_url=endpoint.url or None,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        aws_session_token=endpoint.token or None,
        config=config.Config(
            signature_version="s3v4", s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
        ),
    )


def test_form_is_identical_to_that_of_the_sdk(endpoint: Endpoint) -> None:
    theirs = build_sdk_client(endpoint).generate_presigned_post(
        "hospital-files",
        KEY,
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[{"Content-Type": "image/jpeg"}, ["content-length-range", 1, 2048]],
        ExpiresIn=900,
    )
    ours = s3.build_upload_form(KEY, "image/jpeg", 1, 2048, 900)
    assert json.loads(base64.b64decode(ours.fields["policy"])) == json.loads(
        base64.b64decode(theirs["fields"]["policy"])
    )
    assert ours.fields == theirs["fields"]
    assert ours.url == theirs["url"]


@pytest.mark.parametrize("key", [KEY, "12/files/名 字+&=?#%20~.pdf"])
def test_download_link_is_identical_to_that_of_the_sdk(endpoint: Endpoint, key: str) -> None:
    parameters = {"Bucket": "hospital-files", "Key": key}
    assert_same_url(
        s3.presign_download(key, 1800),
        build_sdk_client(endpoint).generate_presigned_url("get_object", parameters, ExpiresIn=1800),
    )


def test_delete_link_is_identical_to_that_of_the_sdk(endpoint: Endpoint) -> None:
    parameters = {"Bucket": "hospital-files", "Key": KEY}
    ours = s3._presign_url("DELETE", KEY, 60)
    assert_same_url(ours, build_sdk_client(endpoint).generate_presigned_url("delete_object", parameters, ExpiresIn=60))


def assert_same_url(ours: str, theirs: str) -> None:
    actual, expected = urlsplit(ours), urlsplit(theirs)
    assert (actual.scheme, actual.netloc, actual.path) == (expected.scheme, expected.netloc, expected.path)
    assert parse_qs(actual.query) == parse_qs(expected.query)


def test_host_depends_on_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, GLOBAL)
    assert s3.presign_download("a", 1).startswith("https://hospital-files.s3.ap-southeast-1.amazonaws.com/a?")
    configure(monkeypatch, ENDPOINTS["China"])
    assert s3.presign_download("a", 1).startswith("https://hospital-files.s3.cn-northwest-1.amazonaws.com.cn/a?")


def test_link_has_the_signature_of_the_manual() -> None:
    """The example of https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html"""
    keys = sigv4.SigningCredentials(
        "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "", "us-east-1", "s3"
    )
    origin = "https://examplebucket.s3.amazonaws.com"
    link = sigv4.presign_url(keys, "20130524T000000Z", 86400, "GET", origin, "/test.txt")
    assert link.endswith("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_keys_are_not_printed() -> None:
    assert "EXAMPLEKEY" not in repr(sigv4.SigningCredentials("AKIA", "EXAMPLEKEY", "EXAMPLEKEY", "us-east-1", "s3"))
    assert "EXAMPLEKEY" not in repr(replace(settings, secret_key="EXAMPLEKEY", session_token="EXAMPLEKEY"))


def test_unreachable_s3_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_server:
        port = closed_server.getsockname()[1]
    assert_unavailable(monkeypatch, port)


def test_silent_s3_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert_unavailable(monkeypatch, silent.getsockname()[1])


@pytest.mark.parametrize("response", [b"", b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", b"no HTTP\r\n\r\n"])
def test_invalid_response_is_unavailable(monkeypatch: pytest.MonkeyPatch, response: bytes) -> None:
    with serve_response(response) as port:
        assert_unavailable(monkeypatch, port)


def test_incomplete_response_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_response(b"HTTP/1.1 206 Partial\r\nContent-Length: 9\r\nContent-Range: bytes 0-8/9\r\n\r\nabc") as port:
        assert_unavailable(monkeypatch, port)


def test_forbidden_request_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without s3:ListBucket, S3 returns 403 for a missing object, which must not look like a pending upload."""
    with serve_response(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        use_local_server(monkeypatch, port)
        with pytest.raises(s3.S3Error):
            s3.find_preview(KEY, 16)


def test_copy_that_fails_after_its_200_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
    with serve_response(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        use_local_server(monkeypatch, port)
        with pytest.raises(ApiError) as error:
            s3.copy(KEY, '"e"', "b", "image/jpeg")
    assert error.value.kind is UNAVAILABLE


def test_file_that_was_not_stored_is_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_response(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        use_local_server(monkeypatch, port)
        with pytest.raises(s3.S3Error):
            s3.put(KEY, BytesIO(b"{}"), 2, "application/json", "a.json")


def test_key_that_was_not_deleted_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    with serve_response(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        use_local_server(monkeypatch, port)
        assert s3.delete(["a", "b"]) == {"a"}


def test_delete_error_without_a_key_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<DeleteResult><Error><Code>SlowDown</Code></Error></DeleteResult>"
    with serve_response(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        use_local_server(monkeypatch, port)
        with pytest.raises(s3.S3Error):
            s3.delete(["a"])


def assert_unavailable(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    use_local_server(monkeypatch, port)
    with pytest.raises(ApiError) as error:
        s3.find_preview(KEY, 16)
    assert error.value.kind is UNAVAILABLE
    assert error.value.retry_after


def use_local_server(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    changed_settings = replace(settings, s3_endpoint_url=f"http://127.0.0.1:{port}", s3_timeout_seconds=0.2)
    monkeypatch.setattr(s3, "settings", changed_settings)


@contextmanager
def serve_response(response: bytes) -> Iterator[int]:
    """Run a server that sends this response to one client and closes the connection."""

    def serve() -> None:
        client, _ = server.accept()
        with client:
            client.recv(65536)
            client.sendall(response)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
