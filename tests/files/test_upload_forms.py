"""Upload forms are accepted unchanged only, by an S3 server and by the rules that AWS documents.

Each manipulated form is posted to the server and checked by tests/support/s3_post_rules.py; both must reject it.
"""

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters.aws import s3, sigv4
from chalicelib.adapters.aws.s3 import UploadForm
from chalicelib.settings import Settings, settings
from tests.support.file_samples import build_file
from tests.support.multipart_forms import Reply, post_form
from tests.support.s3_post_rules import Bucket, find_objections

TTL_SECONDS, LIMIT = 900, 2048
BUCKET = Bucket(settings.s3_bucket, settings.region, {settings.access_key: settings.secret_key}, {})
Fields = dict[str, str]
Change = Callable[[Fields], object]


def build_form(min_size: int = 1, max_size: int = LIMIT) -> UploadForm:
    return s3.build_upload_form(
        f"uploads/1/{secrets.token_urlsafe(9)}.jpg", "image/jpeg", min_size, max_size, TTL_SECONDS
    )


def find_form_objections(fields: Fields, content: bytes | None, bucket: Bucket = BUCKET) -> list[str]:
    now = sigv4.EPOCH + timedelta(microseconds=clock.now())
    return find_objections(bucket, list(fields.items()), None if content is None else len(content), now)


def assert_rejected(form: UploadForm, fields: Fields, content: bytes | None, bucket: Bucket = BUCKET) -> Reply:
    reply = post_form(form.url, list(fields.items()), content)
    assert reply.status in (400, 403), reply
    assert find_form_objections(fields, content, bucket) != []
    for key in {form.fields["key"], fields.get("key", "")} - {""}:
        assert s3.find_preview(key, 1) is None
    return reply


def assert_accepted(form: UploadForm, content: bytes, bucket: Bucket = BUCKET) -> None:
    assert find_form_objections(form.fields, content, bucket) == []
    assert post_form(form.url, list(form.fields.items()), content).status == 204
    preview = s3.find_preview(form.fields["key"], 4)
    assert preview
    assert (preview.size, preview.first_bytes) == (len(content), content[:4])


@pytest.mark.parametrize("size", [1, 100, LIMIT])
def test_file_of_allowed_size_is_accepted(size: int) -> None:
    assert_accepted(build_form(), build_file("jpg", size))


def test_file_of_exactly_the_announced_size_is_accepted() -> None:
    assert_accepted(build_form(500, 500), build_file("jpg", 500))


@pytest.mark.parametrize(
    ("sizes", "content"),
    [
        pytest.param((1, LIMIT), build_file("jpg", LIMIT + 1), id="too large"),
        pytest.param((1, LIMIT), b"", id="empty"),
        pytest.param((500, 500), build_file("jpg", 499), id="smaller than announced"),
        pytest.param((500, 500), build_file("jpg", 501), id="larger than announced"),
        pytest.param((1, LIMIT), None, id="no file at all"),
    ],
)
def test_file_of_another_size_is_rejected(sizes: tuple[int, int], content: bytes | None) -> None:
    form = build_form(*sizes)
    assert_rejected(form, form.fields, content)


def change_last_letter(fields: Fields, name: str) -> None:
    """Change the last letter of a value."""
    fields[name] = fields[name][:-1] + ("b" if fields[name][-1] == "a" else "a")


def allow_any_size(fields: Fields) -> None:
    """Allow any size in the policy, without changing the signature."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    others = [one for one in policy["conditions"] if isinstance(one, dict)]
    policy["conditions"] = [*others, ["content-length-range", 1, 10**9]]
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()


def keep_protocol_fields_only(fields: Fields) -> None:
    access_key = fields["x-amz-credential"].partition("/")[0]
    protocol_fields = {"OSSAccessKeyId": access_key, "policy": fields["policy"], "signature": fields["x-amz-signature"]}
    key = fields["key"]
    fields.clear()
    fields.update(protocol_fields, key=key)


MANIPULATIONS: dict[str, Change] = {
    "another type": lambda f: f.update({"Content-Type": "text/html"}),
    "another spelling of the type": lambda f: f.update({"Content-Type": "image/JPEG"}),
    "another key": lambda f: f.update(key="uploads/1/another.jpg"),
    "another tenant's key": lambda f: f.update(key=f["key"].replace("/1/", "/2/", 1)),
    "a longer key": lambda f: f.update(key=f["key"] + ".html"),
    "the file's own name as key": lambda f: f.update(key="uploads/1/${filename}"),
    "a wrong signature": lambda f: change_last_letter(f, "x-amz-signature"),
    "an empty policy": lambda f: f.update(policy="e30"),
    "a policy with other conditions": allow_any_size,
    "an unknown access key": lambda f: f.update({"x-amz-credential": "AKIA" + f["x-amz-credential"]}),
    "another day": lambda f: f.update({"x-amz-date": "20150101T000000Z"}),
    "another region": lambda f: f.update({"x-amz-credential": f["x-amz-credential"].replace("cn-", "us-")}),
    "another algorithm": lambda f: f.update({"x-amz-algorithm": "AWS4-HMAC-SHA1"}),
    "a field that makes the object public": lambda f: f.update(acl="public-read"),
    "a field that redirects the browser": lambda f: f.update(success_action_redirect="https://example.com/"),
    "a field of metadata": lambda f: f.update({"x-amz-meta-a": "1"}),
    "a field with a token": lambda f: f.update({"x-amz-security-token": "t"}),
    "a field for the Content-Disposition": lambda f: f.update({"Content-Disposition": "inline"}),
    "only the fields of the protocol document": keep_protocol_fields_only,
}


@pytest.mark.parametrize("manipulate", MANIPULATIONS.values(), ids=list(MANIPULATIONS))
def test_manipulated_form_is_rejected(manipulate: Change) -> None:
    form = build_form()
    fields = dict(form.fields)
    manipulate(fields)
    assert_rejected(form, fields, build_file("jpg", 100))


@pytest.mark.parametrize("name", build_form().fields)
def test_form_without_one_of_its_fields_is_rejected(name: str) -> None:
    form = build_form()
    assert_rejected(form, {one: value for one, value in form.fields.items() if one != name}, build_file("jpg", 100))


def test_form_without_signature_is_rejected() -> None:
    """The bucket is private."""
    form = build_form()
    assert_rejected(form, {"key": form.fields["key"], "Content-Type": "image/jpeg"}, build_file("jpg", 100))


def test_form_is_valid_for_fifteen_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now() - (TTL_SECONDS - 30) * clock.SECOND
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: before)
        form = build_form()
    assert_accepted(form, build_file("jpg", 100))


def test_form_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now() - (TTL_SECONDS + 2) * clock.SECOND
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: before)
        form = build_form()
    assert_rejected(form, form.fields, build_file("jpg", 100))


def test_form_signed_with_unknown_keys_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        use_settings(patch, replace(settings, access_key="AKIAIOSFODNN7EXAMPLE", secret_key="not-our-secret"))
        form = build_form()
    assert_rejected(form, form.fields, build_file("jpg", 100))


def test_form_signed_with_a_wrong_secret_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        use_settings(patch, replace(settings, secret_key="not-our-secret"))
        form = build_form()
    assert_rejected(form, form.fields, build_file("jpg", 100))


def use_settings(monkeypatch: pytest.MonkeyPatch, changed: Settings) -> None:
    monkeypatch.setattr(s3, "settings", changed)


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Sign with temporary credentials, as Lambda functions do; return a bucket that accepts them."""
    sts: Any = import_module("boto3").client("sts", endpoint_url=settings.s3_endpoint_url, region_name=settings.region)
    credentials = sts.get_session_token()["Credentials"]
    access_key, secret_key, token = (
        credentials["AccessKeyId"],
        credentials["SecretAccessKey"],
        credentials["SessionToken"],
    )
    use_settings(monkeypatch, replace(settings, access_key=access_key, secret_key=secret_key, session_token=token))
    return Bucket(settings.s3_bucket, settings.region, {access_key: secret_key}, {access_key: token})


def test_form_signed_by_a_role_is_accepted(role: Bucket) -> None:
    assert_accepted(build_form(), build_file("jpg", 100), role)


def test_form_of_a_role_without_its_token_is_rejected(role: Bucket) -> None:
    form = build_form()
    assert_rejected(
        form, {n: v for n, v in form.fields.items() if n != "x-amz-security-token"}, build_file("jpg", 9), role
    )


def test_form_of_a_role_with_another_token_is_rejected(role: Bucket) -> None:
    form = build_form()
    assert_rejected(form, {**form.fields, "x-amz-security-token": "another"}, build_file("jpg", 9), role)


def test_policy_has_a_condition_for_each_field_and_no_other() -> None:
    form = build_form(7, 8)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    exact = {name: value for one in policy["conditions"] if isinstance(one, dict) for name, value in one.items()}
    covered = {name: value for name, value in form.fields.items() if name not in ("policy", "x-amz-signature")}
    assert exact == {**covered, "bucket": settings.s3_bucket}
    assert [one for one in policy["conditions"] if not isinstance(one, dict)] == [["content-length-range", 7, 8]]
