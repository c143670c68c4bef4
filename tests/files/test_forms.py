"""A form is taken as it is and in no other way: by the S3 server, and by the rules that AWS documents.

Each way of bending it is posted for real, and judged by tests/support/s3_post_rules.py; both must refuse it.
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

LIFE, LIMIT = 900, 2048
BUCKET = Bucket(settings.s3_bucket, settings.region, {settings.access_key: settings.secret_key}, {})
Fields = dict[str, str]
Change = Callable[[Fields], object]


def made(min_size: int = 1, max_size: int = LIMIT) -> UploadForm:
    return s3.build_upload_form(f"1/uploads/{secrets.token_urlsafe(9)}.jpg", "image/jpeg", min_size, max_size, LIFE)


def objected(fields: Fields, content: bytes | None, bucket: Bucket = BUCKET) -> list[str]:
    now = sigv4.EPOCH + timedelta(microseconds=clock.now())
    return find_objections(bucket, list(fields.items()), None if content is None else len(content), now)


def expect_refused(form: UploadForm, fields: Fields, content: bytes | None, bucket: Bucket = BUCKET) -> Reply:
    reply = post_form(form.url, list(fields.items()), content)
    assert reply.status in (400, 403), reply
    assert objected(fields, content, bucket) != []
    for key in {form.fields["key"], fields.get("key", "")} - {""}:
        assert s3.find_preview(key, 1) is None
    return reply


def expect_taken(form: UploadForm, content: bytes, bucket: Bucket = BUCKET) -> None:
    assert objected(form.fields, content, bucket) == []
    assert post_form(form.url, list(form.fields.items()), content).status == 204
    seen = s3.find_preview(form.fields["key"], 4)
    assert seen
    assert (seen.size, seen.first_bytes) == (len(content), content[:4])


@pytest.mark.parametrize("size", [1, 100, LIMIT])
def test_a_file_of_any_allowed_size_is_taken(size: int) -> None:
    expect_taken(made(), build_file("jpg", size))


def test_a_file_of_exactly_the_announced_size_is_taken() -> None:
    expect_taken(made(500, 500), build_file("jpg", 500))


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
def test_a_file_of_another_size_is_refused(sizes: tuple[int, int], content: bytes | None) -> None:
    form = made(*sizes)
    expect_refused(form, form.fields, content)


def turned(fields: Fields, name: str) -> None:
    """Change the last letter of a value."""
    fields[name] = fields[name][:-1] + ("b" if fields[name][-1] == "a" else "a")


def widened(fields: Fields) -> None:
    """Allow any size, and leave the signature as it was."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    others = [one for one in policy["conditions"] if isinstance(one, dict)]
    policy["conditions"] = [*others, ["content-length-range", 1, 10**9]]
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()


def by_the_protocols_names_alone(fields: Fields) -> None:
    access_key = fields["x-amz-credential"].partition("/")[0]
    six = {"OSSAccessKeyId": access_key, "policy": fields["policy"], "signature": fields["x-amz-signature"]}
    key = fields["key"]
    fields.clear()
    fields.update(six, key=key)


BENT: dict[str, Change] = {
    "another type": lambda f: f.update({"Content-Type": "text/html"}),
    "another spelling of the type": lambda f: f.update({"Content-Type": "image/JPEG"}),
    "another key": lambda f: f.update(key="1/uploads/another.jpg"),
    "another tenant's key": lambda f: f.update(key=f["key"].replace("1/", "2/", 1)),
    "a longer key": lambda f: f.update(key=f["key"] + ".html"),
    "the file's own name as key": lambda f: f.update(key="1/uploads/${filename}"),
    "a wrong signature": lambda f: turned(f, "x-amz-signature"),
    "a policy that is none": lambda f: f.update(policy="e30"),
    "a policy with other conditions": widened,
    "an access key that S3 does not know": lambda f: f.update({"x-amz-credential": "AKIA" + f["x-amz-credential"]}),
    "another day": lambda f: f.update({"x-amz-date": "20150101T000000Z"}),
    "another region": lambda f: f.update({"x-amz-credential": f["x-amz-credential"].replace("cn-", "us-")}),
    "another algorithm": lambda f: f.update({"x-amz-algorithm": "AWS4-HMAC-SHA1"}),
    "a field for all to read it": lambda f: f.update(acl="public-read"),
    "a field that sends the browser elsewhere": lambda f: f.update(success_action_redirect="https://example.com/"),
    "a field of metadata": lambda f: f.update({"x-amz-meta-a": "1"}),
    "a field that names a token": lambda f: f.update({"x-amz-security-token": "t"}),
    "a field that says how to show it": lambda f: f.update({"Content-Disposition": "inline"}),
    "the protocol's six names alone": by_the_protocols_names_alone,
}


@pytest.mark.parametrize("bend", BENT.values(), ids=list(BENT))
def test_a_bent_form_is_refused(bend: Change) -> None:
    form = made()
    fields = dict(form.fields)
    bend(fields)
    expect_refused(form, fields, build_file("jpg", 100))


@pytest.mark.parametrize("name", made().fields)
def test_a_form_without_one_of_its_fields_is_refused(name: str) -> None:
    form = made()
    expect_refused(form, {one: value for one, value in form.fields.items() if one != name}, build_file("jpg", 100))


def test_a_form_without_any_signature_is_refused() -> None:
    """The bucket is private: nobody posts into it without a form of ours."""
    form = made()
    expect_refused(form, {"key": form.fields["key"], "Content-Type": "image/jpeg"}, build_file("jpg", 100))


def test_a_form_works_for_fifteen_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now() - (LIFE - 30) * clock.SECOND
    with monkeypatch.context() as earlier:
        earlier.setattr(clock, "now", lambda: before)
        form = made()
    expect_taken(form, build_file("jpg", 100))


def test_a_form_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    before = clock.now() - (LIFE + 2) * clock.SECOND
    with monkeypatch.context() as earlier:
        earlier.setattr(clock, "now", lambda: before)
        form = made()
    expect_refused(form, form.fields, build_file("jpg", 100))


def test_somebody_elses_keys_sign_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as theirs:
        signed_by(theirs, replace(settings, access_key="AKIAIOSFODNN7EXAMPLE", secret_key="not-our-secret"))
        form = made()
    expect_refused(form, form.fields, build_file("jpg", 100))


def test_a_guessed_secret_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as theirs:
        signed_by(theirs, replace(settings, secret_key="not-our-secret"))
        form = made()
    expect_refused(form, form.fields, build_file("jpg", 100))


def signed_by(monkeypatch: pytest.MonkeyPatch, changed: Settings) -> None:
    monkeypatch.setattr(s3, "settings", changed)


@pytest.fixture
def role(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """Sign as a Lambda does, with keys that expire and a token; return a bucket that knows them."""
    sts: Any = import_module("boto3").client("sts", endpoint_url=settings.s3_endpoint_url, region_name=settings.region)
    given = sts.get_session_token()["Credentials"]
    access_key, secret_key, token = given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    signed_by(monkeypatch, replace(settings, access_key=access_key, secret_key=secret_key, session_token=token))
    return Bucket(settings.s3_bucket, settings.region, {access_key: secret_key}, {access_key: token})


def test_a_role_signs_forms_too(role: Bucket) -> None:
    expect_taken(made(), build_file("jpg", 100), role)


def test_a_roles_form_without_its_token_is_refused(role: Bucket) -> None:
    form = made()
    expect_refused(
        form, {n: v for n, v in form.fields.items() if n != "x-amz-security-token"}, build_file("jpg", 9), role
    )


def test_a_roles_form_with_another_token_is_refused(role: Bucket) -> None:
    form = made()
    expect_refused(form, {**form.fields, "x-amz-security-token": "another"}, build_file("jpg", 9), role)


def test_every_field_has_its_condition_and_the_policy_says_nothing_else() -> None:
    form = made(7, 8)
    policy = json.loads(base64.b64decode(form.fields["policy"]))
    exact = {name: value for one in policy["conditions"] if isinstance(one, dict) for name, value in one.items()}
    covered = {name: value for name, value in form.fields.items() if name not in ("policy", "x-amz-signature")}
    assert exact == {**covered, "bucket": settings.s3_bucket}
    assert [one for one in policy["conditions"] if not isinstance(one, dict)] == [["content-length-range", 7, 8]]
