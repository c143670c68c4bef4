"""Our few lines of SigV4 against the AWS SDK's, with one clock and one set of keys; and calls that meet a bad S3."""

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import s3, sigv4
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.settings import settings

boto3, auth, signers, config = (  # none of them has types
    import_module(name) for name in ("boto3", "botocore.auth", "botocore.signers", "botocore.config")
)
AT = datetime(2026, 1, 5, 1, 30, 0, tzinfo=UTC)
KEY = "12/uploads/a-_9.jpg"


@dataclass(frozen=True)
class Where:
    region: str
    endpoint: str
    token: str


GLOBAL = Where("ap-southeast-1", "", "")
WHERES = {
    "global": GLOBAL,
    "global, a role": Where("eu-west-1", "", "FwoGZXIvYXdzE//+=" * 40),
    "China": Where("cn-northwest-1", "", ""),
    "China, a role": Where("cn-north-1", "", "FwoGZXIvYXdzE//+=" * 40),
    "the region that the SDK asks without its name": Where("us-east-1", "", ""),
    "a local server": Where("cn-northwest-1", "http://127.0.0.1:4566", ""),
}


@pytest.fixture(params=WHERES.values(), ids=list(WHERES))
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Where:
    here: Where = request.param
    place(monkeypatch, here)
    return here


def place(monkeypatch: pytest.MonkeyPatch, here: Where) -> None:
    changed = replace(
        settings,
        region=here.region,
        s3_endpoint_url=here.endpoint,
        s3_bucket="hospital-files",
        access_key="AKIAIOSFODNN7EXAMPLE",
        secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        session_token=here.token,
    )
    monkeypatch.setattr(s3, "settings", changed)
    monkeypatch.setattr(clock, "now", lambda: int(AT.timestamp()) * clock.SECOND)
    monkeypatch.setattr(auth, "get_current_datetime", lambda: AT.replace(tzinfo=None))
    monkeypatch.setattr(signers, "get_current_datetime", lambda: AT.replace(tzinfo=None))


def sdk(here: Where) -> Any:
    style = "path" if here.endpoint else "virtual"
    return boto3.client(
        "s3",
        region_name=here.region,
        endpoint_url=here.endpoint or None,
        aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        aws_session_token=here.token or None,
        config=config.Config(
            signature_version="s3v4", s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"}
        ),
    )


def test_a_form_is_the_sdks_form_byte_for_byte(where: Where) -> None:
    theirs = sdk(where).generate_presigned_post(
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
def test_a_link_is_the_sdks_link(where: Where, key: str) -> None:
    parameters = {"Bucket": "hospital-files", "Key": key}
    same(s3.presign_download(key, 1800), sdk(where).generate_presigned_url("get_object", parameters, ExpiresIn=1800))


def test_a_deleting_link_is_the_sdks_link(where: Where) -> None:
    parameters = {"Bucket": "hospital-files", "Key": KEY}
    ours = s3._presign_url("DELETE", KEY, 60)
    same(ours, sdk(where).generate_presigned_url("delete_object", parameters, ExpiresIn=60))


def same(ours: str, theirs: str) -> None:
    mine, its = urlsplit(ours), urlsplit(theirs)
    assert (mine.scheme, mine.netloc, mine.path) == (its.scheme, its.netloc, its.path)
    assert parse_qs(mine.query) == parse_qs(its.query)


def test_hosts_follow_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    place(monkeypatch, GLOBAL)
    assert s3.presign_download("a", 1).startswith("https://hospital-files.s3.ap-southeast-1.amazonaws.com/a?")
    place(monkeypatch, WHERES["China"])
    assert s3.presign_download("a", 1).startswith("https://hospital-files.s3.cn-northwest-1.amazonaws.com.cn/a?")


def test_a_link_signs_as_the_manual_does() -> None:
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


def test_an_s3_that_is_not_there_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    expect_unavailable(monkeypatch, port)


def test_an_s3_that_says_nothing_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        expect_unavailable(monkeypatch, silent.getsockname()[1])


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n", b"no HTTP\r\n\r\n"])
def test_an_s3_that_cannot_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    with answering(answer) as port:
        expect_unavailable(monkeypatch, port)


def test_an_answer_that_stops_in_the_middle_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 206 Partial\r\nContent-Length: 9\r\nContent-Range: bytes 0-8/9\r\n\r\nabc") as port:
        expect_unavailable(monkeypatch, port)


def test_an_s3_that_forbids_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without s3:ListBucket S3 says 403 where there is no object: that must not look like a file not uploaded yet."""
    with answering(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        local(monkeypatch, port)
        with pytest.raises(s3.S3Error):
            s3.find_preview(KEY, 16)


def test_a_copy_that_fails_after_its_200_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        local(monkeypatch, port)
        with pytest.raises(ApiError) as refused:
            s3.copy(KEY, '"e"', "b", "image/jpeg")
    assert refused.value.kind is UNAVAILABLE


def test_a_key_that_was_not_deleted_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        local(monkeypatch, port)
        assert s3.delete(["a", "b"]) == {"a"}


def test_an_error_that_names_no_key_leaves_everything_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<DeleteResult><Error><Code>SlowDown</Code></Error></DeleteResult>"
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        local(monkeypatch, port)
        with pytest.raises(s3.S3Error):
            s3.delete(["a"])


def expect_unavailable(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    local(monkeypatch, port)
    with pytest.raises(ApiError) as refused:
        s3.find_preview(KEY, 16)
    assert refused.value.kind is UNAVAILABLE
    assert refused.value.retry_after


def local(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    changed = replace(settings, s3_endpoint_url=f"http://127.0.0.1:{port}", s3_timeout_seconds=0.2)
    monkeypatch.setattr(s3, "settings", changed)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server that gives its one caller this answer, whatever was asked, and hangs up."""

    def serve() -> None:
        caller, _ = server.accept()
        with caller:
            caller.recv(65536)
            caller.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()
