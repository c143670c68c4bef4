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
from chalicelib.files.file_types import CHAT_EXTENSIONS
from chalicelib.files.models import File, UploadTicket
from chalicelib.settings import settings
from tests.support import multipart_forms
from tests.support.factories import Hospital, Person
from tests.support.file_samples import INVALID, build_file
from tests.support.uploads import (
    PLACE,
    find_object_key,
    find_object_start,
    get_upload_key,
    post_file,
    request_form,
    upload,
)


def confirmed(person: Person, ticket: UploadTicket) -> File:
    return confirmation.confirm_own_upload(person.tenant_id, person.principal, ticket.file_id)


def for_message(person: Person, ticket: UploadTicket, place: str = PLACE) -> File:
    return confirmation.confirm_upload_for_place(person.tenant_id, person.principal, place, ticket.file_id)


def expect_refused(kind: ErrorKind, work: Callable[..., object], *arguments: object) -> ApiError:
    with pytest.raises(ApiError) as refused:
        work(*arguments)
    assert refused.value.kind is kind
    return refused.value


@pytest.mark.parametrize("extension", CHAT_EXTENSIONS)
def test_an_uploaded_file_is_there_for_who_has_its_link(lin: Person, extension: str) -> None:
    ticket = upload(lin, extension)
    file = confirmed(lin, ticket)
    reply = multipart_forms.send_request("GET", links.sign(file.object_key))
    assert (reply.status, reply.body) == (200, build_file(extension, 100))
    assert reply.headers["content-type"] == file.content_type
    assert (file.file_id, file.size) == (ticket.file_id, 100)


def test_confirming_again_gives_the_same_file(lin: Person) -> None:
    ticket = upload(lin)
    assert confirmed(lin, ticket) == confirmed(lin, ticket)


def test_what_was_confirmed_stays_whatever_is_uploaded_after_it(lin: Person) -> None:
    """The form works for a quarter of an hour, also after the picture was sent."""
    ticket = upload(lin)
    file = confirmed(lin, ticket)
    post_file(ticket, b"something else")
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert confirmed(lin, ticket) == file


def test_a_file_that_was_not_uploaded_is_a_conflict(lin: Person) -> None:
    ticket = request_form(lin)
    expect_refused(errors.CONFLICT, confirmed, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert confirmed(lin, ticket)


@pytest.mark.parametrize(("extension", "content"), [one for one in INVALID if one[1]])
def test_other_content_never_becomes_a_file(lin: Person, extension: str, content: bytes) -> None:
    ticket = upload(lin, extension, content)
    for _ in range(2):
        expect_refused(errors.CONFLICT, confirmed, lin, ticket)
    assert find_object_key(ticket.file_id) is None


def test_the_right_file_may_follow_the_wrong_one(lin: Person) -> None:
    ticket = upload(lin, content=b"wrong")
    expect_refused(errors.CONFLICT, confirmed, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert confirmed(lin, ticket).size == 100


def test_an_object_of_another_size_is_refused_whoever_put_it_there(lin: Person) -> None:
    ticket, other = request_form(lin, size=101), get_upload_key(upload(lin))
    seen = s3.find_preview(other, 1)
    assert seen
    assert s3.copy(other, seen.etag, get_upload_key(ticket), "image/jpeg")
    expect_refused(errors.CONFLICT, confirmed, lin, ticket)


def test_a_file_that_is_replaced_while_it_is_looked_at_is_refused(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is what was looked at, and nothing that came a moment later."""
    ticket, look = upload(lin), s3.find_preview

    def then_replaced(key: str, count: int) -> ObjectPreview | None:
        seen = look(key, count)
        post_file(ticket, b"<html>")
        return seen

    monkeypatch.setattr(s3, "find_preview", then_replaced)
    expect_refused(errors.CONFLICT, confirmed, lin, ticket)
    assert find_object_key(ticket.file_id) is None


def test_a_file_belongs_to_its_uploader(hospital: Hospital, other_hospital: Hospital) -> None:
    ticket = upload(hospital.lin)
    for person in (
        hospital.wang,
        hospital.chen,
        other_hospital.lin,
        replace(hospital.lin, tenant_id=other_hospital.tenant_id),
    ):
        expect_refused(errors.NOT_FOUND, confirmed, person, ticket)
    expect_refused(errors.NOT_FOUND, confirmed, hospital.lin, replace(ticket, file_id=2**52))


def test_a_file_goes_into_the_conversation_it_was_uploaded_for(lin: Person) -> None:
    ticket = upload(lin)
    assert for_message(lin, ticket).file_id == ticket.file_id
    for place in ("another", PLACE.upper(), PLACE + " ", ""):
        expect_refused(errors.NOT_FOUND, for_message, lin, ticket, place)


def test_only_its_uploader_sends_a_file(hospital: Hospital, other_hospital: Hospital) -> None:
    ticket = upload(hospital.lin)
    for person in (hospital.wang, hospital.chen, other_hospital.lin):
        expect_refused(errors.NOT_FOUND, for_message, person, ticket)


def test_a_message_confirms_what_waits(lin: Person) -> None:
    ticket = request_form(lin)
    expect_refused(errors.CONFLICT, for_message, lin, ticket)
    post_file(ticket, b"wrong")
    expect_refused(errors.CONFLICT, for_message, lin, ticket)
    post_file(ticket, build_file("jpg", 100))
    assert for_message(lin, ticket) == confirmed(lin, ticket)


def test_many_who_confirm_at_once_get_one_file(lin: Person) -> None:
    ticket = upload(lin)
    with ThreadPoolExecutor(8) as pool:
        files = set(pool.map(lambda _: confirmed(lin, ticket), range(16)))
    assert len(files) == 1
    assert find_object_start(files.pop().object_key) == build_file("jpg", 100)


def test_of_two_contents_confirmed_at_once_one_is_the_file(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request copies, the form is posted again and another request confirms that: the first to be recorded
    is the file for both, and the other copy goes."""
    ticket, copy = upload(lin), s3.copy
    copied: list[str] = []

    def overtaken(source: str, etag: str, target: str, content_type: str) -> bool:
        done = copy(source, etag, target, content_type)
        copied.append(target)
        if len(copied) == 1:
            post_file(ticket, build_file("jpg", 200))
            assert confirmed(lin, ticket).size == 200
        return done

    monkeypatch.setattr(s3, "copy", overtaken)
    assert confirmed(lin, ticket).size == 200
    assert [find_object_start(key) is not None for key in copied] == [False, True]


def test_while_s3_is_gone_lin_is_asked_to_come_back(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    with monkeypatch.context() as gone:
        gone.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
        refused = expect_refused(errors.UNAVAILABLE, confirmed, lin, ticket)
        assert refused.retry_after
    file = confirmed(lin, ticket)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    assert confirmed(lin, ticket) == file  # once confirmed, S3 is not asked again


def dies(*_: object) -> None:
    raise ZeroDivisionError


def test_a_crash_after_the_copy_costs_nothing(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    with monkeypatch.context() as crash:
        crash.setattr(confirmation, "_record_copy", dies)
        with pytest.raises(ZeroDivisionError):
            confirmed(lin, ticket)
    assert find_object_start(confirmed(lin, ticket).object_key) == build_file("jpg", 100)


def arrive(key: str, bucket: str = settings.s3_bucket) -> None:
    """What EventBridge says of a new object.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
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


def test_s3_itself_confirms_what_arrives(lin: Person) -> None:
    ticket = upload(lin)
    arrive(get_upload_key(ticket))
    key = find_object_key(ticket.file_id)
    assert key
    assert find_object_start(key) == build_file("jpg", 100)
    arrive(get_upload_key(ticket))
    assert confirmed(lin, ticket).object_key == key


def test_an_event_makes_no_file_of_the_wrong_content(lin: Person) -> None:
    ticket = upload(lin, content=b"wrong")
    arrive(get_upload_key(ticket))
    assert find_object_key(ticket.file_id) is None


def test_an_event_about_anything_else_changes_nothing(lin: Person) -> None:
    ticket = upload(lin)
    arrive(get_upload_key(ticket), bucket="another-bucket")
    arrive("1/uploads/never-was.jpg")
    assert find_object_key(ticket.file_id) is None


def test_an_event_comes_again_while_s3_is_gone(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = upload(lin)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    expect_refused(errors.UNAVAILABLE, arrive, get_upload_key(ticket))
