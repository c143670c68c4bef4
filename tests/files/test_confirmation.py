from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app import file_arrived
from chalicelib import errors
from chalicelib.adapters.aws import s3
from chalicelib.adapters.aws.s3 import ObjectPreview
from chalicelib.errors import ApiError, ErrorKind
from chalicelib.files import confirmation, links
from chalicelib.files.file_types import KINDS_BY_EXTENSION, Purpose
from chalicelib.files.models import File, UploadTicket
from chalicelib.settings import settings
from tests.support import multipart_forms
from tests.support.factories import Hospital, Person
from tests.support.file_samples import build_file
from tests.support.uploads import (
    PLACE,
    find_object_key,
    find_object_start,
    get_upload_key,
    post_file,
    request_form,
    upload,
)


def confirm(person: Person, ticket: UploadTicket) -> File:
    return confirmation.confirm_own_upload(person.tenant_id, person.principal, ticket.file_id)


def confirm_for_place(person: Person, ticket: UploadTicket, place: str = PLACE) -> File:
    return confirmation.confirm_upload_for_place(person.tenant_id, person.principal, place, ticket.file_id)


def assert_error(kind: ErrorKind, work: Callable[..., object], *arguments: object) -> ApiError:
    with pytest.raises(ApiError) as error:
        work(*arguments)
    assert error.value.kind is kind
    return error.value


@pytest.mark.parametrize("extension", KINDS_BY_EXTENSION)
def test_uploaded_file_can_be_read_by_its_link(lin: Person, extension: str) -> None:
    ticket = upload(lin, extension)
    file = confirm(lin, ticket)
    reply = multipart_forms.send_request("GET", links.sign(file.object_key))
    assert (reply.status, reply.body) == (200, build_file(extension, 100))
    assert reply.headers["content-type"] == file.content_type
    assert (file.file_id, file.size) == (ticket.file_id, 100)


def test_confirming_again_returns_the_same_file(lin: Person) -> None:
    ticket = upload(lin)
    assert confirm(lin, ticket) == confirm(lin, ticket)


def test_file_does_not_change_after_another_upload(lin: Person) -> None:
    """The form is valid for 15 minutes, also after the confirmation."""
    ticket = upload(lin)
    file = confirm(lin, ticket)
    post_file(ticket, b"something else")
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert confirm(lin, ticket) == file


def test_missing_upload_is_a_conflict(lin: Person) -> None:
    ticket = request_form(lin)
    assert_error(errors.CONFLICT, confirm, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert confirm(lin, ticket)


@pytest.mark.parametrize(
    ("extension", "content_type", "kind"),
    [
        ("jpg", "image/jpeg", "png"),
        ("jpg", "image/jpeg", "webp"),
        ("png", "image/png", "jpg"),
        ("jpg", "image/jpeg", "heic"),
        ("HEIC", "", "jpg"),
        ("heif", "application/octet-stream", "heic"),
        ("MOV", "", "mov"),
        ("jfif", "image/jpeg", "jpg"),
        ("tmp", "application/octet-stream", "pdf"),
        ("", "application/octet-stream", "jpg"),
        ("mp4", "video/mp4", "mov"),
    ],
)
def test_mislabelled_file_is_served_as_what_it_is(lin: Person, extension: str, content_type: str, kind: str) -> None:
    file = confirm(lin, upload(lin, extension, build_file(kind, 100), content_type=content_type))
    reply = multipart_forms.send_request("GET", links.sign(file.object_key))
    assert (reply.status, reply.body) == (200, build_file(kind, 100))
    assert reply.headers["content-type"] == file.content_type == KINDS_BY_EXTENSION[kind].content_types[0]
    assert file.object_key.endswith(f".{kind}")


def test_pdf_with_leading_bytes_is_served_unchanged(lin: Person) -> None:
    content = b"\xef\xbb\xbf\r\n" + build_file("pdf", 90)
    file = confirm(lin, upload(lin, "pdf", content))
    reply = multipart_forms.send_request("GET", links.sign(file.object_key))
    assert (reply.headers["content-type"], reply.body) == ("application/pdf", content)


@pytest.mark.parametrize("content", [b"<html><script>", b"<svg/>", b"\x00", b"BMW is a car, and this is a text"])
def test_content_of_no_accepted_kind_is_rejected(lin: Person, content: bytes) -> None:
    ticket = upload(lin, "jpg", content)
    for _ in range(2):
        assert_error(errors.CONFLICT, confirm, lin, ticket)
    assert find_object_key(ticket.file_id) is None


@pytest.mark.parametrize("kind", ["heic", "pdf", "mp4", "bmp"])
def test_photo_must_be_a_picture_of_every_browser(lin: Person, kind: str) -> None:
    ticket = upload(lin, "jpg", build_file(kind, 100), purpose=Purpose.PHOTO)
    assert "请选择 JPG 或 PNG" in assert_error(errors.CONFLICT, confirm, lin, ticket).text
    assert find_object_key(ticket.file_id) is None


def test_valid_upload_after_an_invalid_one_is_accepted(lin: Person) -> None:
    ticket = upload(lin, content=b"wrong")
    assert_error(errors.CONFLICT, confirm, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert confirm(lin, ticket).size == 100


def test_object_of_another_size_is_rejected(lin: Person) -> None:
    ticket, other = request_form(lin, size=101), get_upload_key(upload(lin))
    preview = s3.find_preview(other, 1)
    assert preview
    assert s3.copy(other, preview.etag, get_upload_key(ticket), "image/jpeg")
    assert_error(errors.CONFLICT, confirm, lin, ticket)


def test_object_replaced_during_the_check_is_rejected(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the checked content may be copies."""
    ticket, find_preview = upload(lin), s3.find_preview

    def check_and_replace(key: str, count: int) -> ObjectPreview | None:
        preview = find_preview(key, count)
        post_file(ticket, b"<html>")
        return preview

    monkeypatch.setattr(s3, "find_preview", check_and_replace)
    assert_error(errors.CONFLICT, confirm, lin, ticket)
    assert find_object_key(ticket.file_id) is None


def test_upload_of_another_person_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    ticket = upload(hospital.lin)
    for person in (
        hospital.wang,
        hospital.chen,
        other_hospital.lin,
        replace(hospital.lin, tenant_id=other_hospital.tenant_id),
    ):
        assert_error(errors.NOT_FOUND, confirm, person, ticket)
    assert_error(errors.NOT_FOUND, confirm, hospital.lin, replace(ticket, file_id=2**52))


def test_file_can_be_used_only_where_it_was_uploaded_for(lin: Person) -> None:
    ticket = upload(lin)
    assert confirm_for_place(lin, ticket).file_id == ticket.file_id
    for place in ("another", PLACE.upper(), PLACE + " ", ""):
        assert_error(errors.NOT_FOUND, confirm_for_place, lin, ticket, place)


def test_file_can_be_used_only_by_its_uploader(hospital: Hospital, other_hospital: Hospital) -> None:
    ticket = upload(hospital.lin)
    for person in (hospital.wang, hospital.chen, other_hospital.lin):
        assert_error(errors.NOT_FOUND, confirm_for_place, person, ticket)


def test_use_of_a_file_confirms_it(lin: Person) -> None:
    ticket = request_form(lin)
    assert_error(errors.CONFLICT, confirm_for_place, lin, ticket)
    post_file(ticket, b"wrong")
    assert_error(errors.CONFLICT, confirm_for_place, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert confirm_for_place(lin, ticket) == confirm(lin, ticket)


def test_concurrent_confirmations_return_one_file(lin: Person) -> None:
    ticket = upload(lin)
    with ThreadPoolExecutor(8) as pool:
        files = set(pool.map(lambda _: confirm(lin, ticket), range(16)))
    assert len(files) == 1
    assert find_object_start(files.pop().object_key) == build_file("jpg", 100)


def test_concurrent_confirmations_of_two_contents_return_one_file(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request copies, the form is posted again and another request confirms the new content.

    The copy that is recorded first is the file for both; the other one is deleted.
    """
    ticket, copy = upload(lin), s3.copy
    copies: list[str] = []

    def copy_and_be_overtaken(source: str, etag: str, target: str, content_type: str) -> bool:
        succeeded = copy(source, etag, target, content_type)
        copies.append(target)
        if len(copies) == 1:
            post_file(ticket, build_file("jpg", 200))
            assert confirm(lin, ticket).size == 200
        return succeeded

    monkeypatch.setattr(s3, "copy", copy_and_be_overtaken)
    assert confirm(lin, ticket).size == 200
    assert [find_object_start(key) is not None for key in copies] == [False, True]


def test_unreachable_s3_is_unavailable(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    with monkeypatch.context() as patch:
        patch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
        error = assert_error(errors.UNAVAILABLE, confirm, lin, ticket)
        assert error.retry_after
    file = confirm(lin, ticket)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    assert confirm(lin, ticket) == file  # a file that is recorded needs no request to S3


def crash(*_: object) -> None:
    raise ZeroDivisionError


def test_confirmation_succeeds_after_a_crash(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    with monkeypatch.context() as patch:
        patch.setattr(confirmation, "_record_copy", crash)
        with pytest.raises(ZeroDivisionError):
            confirm(lin, ticket)
    assert find_object_start(confirm(lin, ticket).object_key) == build_file("jpg", 100)


def send_event(key: str, bucket: str = settings.s3_bucket) -> None:
    """Send the event of EventBridge about a new object.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
    """
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 100}, "reason": "POST Object"}
    event = {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-01-05T01:30:00Z",
        "region": settings.region,
        "resources": [f"arn:aws-cn:s3:::{bucket}"],
        "detail": detail,
    }
    file_arrived(event, None)


def test_event_confirms_an_upload(lin: Person) -> None:
    ticket = upload(lin)
    send_event(get_upload_key(ticket))
    key = find_object_key(ticket.file_id)
    assert key
    assert find_object_start(key) == build_file("jpg", 100)
    send_event(get_upload_key(ticket))
    assert confirm(lin, ticket).object_key == key


def test_event_does_not_confirm_invalid_content(lin: Person) -> None:
    ticket = upload(lin, content=b"wrong")
    send_event(get_upload_key(ticket))
    assert find_object_key(ticket.file_id) is None


def test_event_about_another_object_changes_nothing(lin: Person) -> None:
    ticket = upload(lin)
    send_event(get_upload_key(ticket), bucket="another-bucket")
    send_event("uploads/1/unknown.jpg")
    assert find_object_key(ticket.file_id) is None


def test_event_is_retried_while_s3_is_unreachable(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    assert_error(errors.UNAVAILABLE, send_event, get_upload_key(ticket))
