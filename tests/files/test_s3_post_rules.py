"""The rules of upload forms, tested with the example that AWS publishes.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-post-example.html
"""

import base64
from datetime import UTC, datetime

import pytest

from tests.support.s3_post_rules import Bucket, find_objections

POLICY = """{ "expiration": "2015-12-30T12:00:00.000Z",
  "conditions": [
    {"bucket": "sigv4examplebucket"},
    ["starts-with", "$key", "user/user1/"],
    {"acl": "public-read"},
    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},
    ["starts-with", "$Content-Type", "image/"],
    {"x-amz-meta-uuid": "14365123651274"},
    {"x-amz-server-side-encryption": "AES256"},
    ["starts-with", "$x-amz-meta-tag", ""],

    {"x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"},
    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},
    {"x-amz-date": "20151229T000000Z" }
  ]
}""".replace("\n", "\r\n")
SIGNATURE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
BUCKET = Bucket(
    "sigv4examplebucket", "us-east-1", {"AKIAIOSFODNN7EXAMPLE": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, {}
)
FORM = {
    "key": "user/user1/photo.jpg",
    "acl": "public-read",
    "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
    "Content-Type": "image/jpeg",
    "x-amz-meta-uuid": "14365123651274",
    "x-amz-server-side-encryption": "AES256",
    "X-Amz-Credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Date": "20151229T000000Z",
    "x-amz-meta-tag": "",
    "Policy": base64.b64encode(POLICY.encode()).decode(),
    "X-Amz-Signature": SIGNATURE,
}
EXPIRATION = datetime(2015, 12, 30, 12, tzinfo=UTC)
BEFORE = EXPIRATION.replace(hour=11)


def find_form_objections(
    changes: dict[str, str | None] | None = None, size: int | None = 1, now: datetime = BEFORE, bucket: Bucket = BUCKET
) -> list[str]:
    """Return the objections to the published form with some fields changes or removed (None)."""
    form = {**FORM, **(changes or {})}
    return find_objections(bucket, [(name, value) for name, value in form.items() if value is not None], size, now)


def test_published_form_is_accepted() -> None:
    assert find_form_objections() == []


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({"X-Amz-Signature": SIGNATURE.replace("8", "9", 1)}, "wrong signature"),
        ({"Policy": FORM["Policy"].replace("A", "B", 1)}, "wrong signature"),
        ({"key": "user/user2/photo.jpg"}, "key does not meet its condition"),
        ({"acl": "private"}, "acl does not meet its condition"),
        ({"acl": None}, "acl does not meet its condition"),
        ({"Content-Type": "text/html"}, "content-type does not meet its condition"),
        ({"x-amz-meta-tag": None}, "x-amz-meta-tag does not meet its condition"),
        ({"x-amz-meta-more": "1"}, "x-amz-meta-more is not covered"),
        ({"X-Amz-Date": "20151230T000000Z"}, "date is not the credential's"),
        ({"X-Amz-Algorithm": "AWS4-HMAC-SHA1"}, "unknown algorithm"),
        ({"X-Amz-Signature": None}, "no x-amz-signature"),
        ({"Policy": None}, "no policy"),
        ({"key": None}, "no key"),
        ({"X-Amz-Security-Token": "t"}, "the access key has another security token"),
    ],
)
def test_changed_form_is_rejected(changes: dict[str, str | None], objection: str) -> None:
    assert objection in find_form_objections(changes)


def test_published_form_expires() -> None:
    assert find_form_objections(now=EXPIRATION) == ["expired"]


def test_other_bucket_region_or_key_is_rejected() -> None:
    assert find_form_objections(bucket=Bucket("other", "us-east-1", BUCKET.secrets, {})) == [
        "bucket does not meet its condition"
    ]
    assert "credential is not" in find_form_objections(bucket=Bucket(BUCKET.name, "eu-west-1", BUCKET.secrets, {}))[0]
    assert find_form_objections(bucket=Bucket(BUCKET.name, "us-east-1", {}, {})) == ["unknown access key"]


def test_ignored_fields_need_no_condition() -> None:
    assert find_form_objections({"x-ignore-me": "1"}) == []


def test_form_without_a_file_is_rejected() -> None:
    assert find_form_objections(size=None) == ["no file"]
