"""file/pre_upload, doctor/file/pre_upload and doctor/file/upload_access."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.aws import s3
from chalicelib.files.file_types import KINDS_BY_EXTENSION
from chalicelib.settings import settings
from tests.support import multipart_forms
from tests.support.client import ApiResponse, post
from tests.support.consult_client import (
    create_session,
    list_as_doctor,
    list_as_patient,
    send_as_patient,
    send_picture_as_patient,
)
from tests.support.factories import Hospital, Person, add_member
from tests.support.file_samples import VALID, build_file

PATHS = ["/msg_service/msg/file/pre_upload", "/msg_service/msg/doctor/file/pre_upload"]
ACCESS = "/msg_service/msg/doctor/file/upload_access"
JPEG = build_file("jpg", 100)

on_both_paths = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    return create_session(lin, chen)


def request_form(person: Person, session_no: str, path: str = PATHS[0], **changed: Any) -> ApiResponse:
    body = {"file_extension": "jpg", "file_type": "image/jpeg", "msg_session": session_no, **changed}
    return post(path, person.token, **{name: value for name, value in body.items() if value is not ...})


def upload_file(person: Person, session_no: str, content: bytes = JPEG, **changed: Any) -> int:
    """Request a form, upload a file with it, and return the file_id."""
    form = request_form(person, session_no, **changed).data
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), content).status == 204
    return int(form["fileId"])


def confirm_upload(person: Person, file_id: object) -> ApiResponse:
    return post(ACCESS, person.token, file_id=file_id)


@on_both_paths
@pytest.mark.parametrize("who", ["lin", "chen"])
def test_uploaded_picture_can_be_downloaded(hospital: Hospital, session_no: str, who: str, path: str) -> None:
    person: Person = getattr(hospital, who)
    file_id = upload_file(person, session_no, path=path, file_size=100)
    confirmed = confirm_upload(person, str(file_id)).data
    assert confirmed["file_id"] == str(file_id)
    download = multipart_forms.send_request("GET", confirmed["res_url"])
    assert (download.status, download.headers["content-type"], download.body) == (200, "image/jpeg", JPEG)


@on_both_paths
def test_protocol_fields_repeat_the_form_fields(lin: Person, session_no: str, path: str) -> None:
    form = request_form(lin, session_no, path).data
    fields = form["fields"]
    assert form["key"] == fields["key"]
    assert form["policy"] == fields["policy"]
    assert form["signature"] == fields["x-amz-signature"]
    assert form["OSSAccessKeyId"] == settings.access_key
    assert fields["x-amz-credential"].startswith(settings.access_key + "/")
    assert form["key"].startswith(f"uploads/{lin.tenant_id}/")
    assert form["key"].endswith(".jpg")
    assert form["url"] == f"{settings.s3_endpoint_url}/{settings.s3_bucket}"


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ({}, [1, 20 * 1024 * 1024]),
        ({"file_size": 100}, [100, 100]),
        ({"file_extension": "mp4", "file_type": "video/mp4"}, [1, 100 * 1024 * 1024]),
    ],
)
def test_policy_limits_type_size_and_time(lin: Person, session_no: str, body: dict[str, Any], sizes: list[int]) -> None:
    form = request_form(lin, session_no, **body).data
    policy = json.loads(base64.b64decode(form["policy"]))
    assert ["content-length-range", *sizes] in policy["conditions"]
    assert {"Content-Type": body.get("file_type", "image/jpeg")} in policy["conditions"]
    assert {"key": form["key"]} in policy["conditions"]
    issued_at = datetime.strptime(form["fields"]["x-amz-date"], "%Y%m%dT%H%M%S%z")
    assert datetime.fromisoformat(policy["expiration"]) - issued_at == timedelta(minutes=15)


def test_each_form_has_its_own_key(lin: Person, session_no: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        forms = list(pool.map(lambda _: request_form(lin, session_no).data, range(16)))
    assert len({form["key"] for form in forms}) == len({form["fileId"] for form in forms}) == 16


@pytest.mark.parametrize("spelling", ["session_no", "session_id"])
def test_each_spelling_of_the_session_is_accepted(lin: Person, session_no: str, spelling: str) -> None:
    body: dict[str, Any] = {"file_extension": "jpg", "file_type": "image/jpeg", spelling: session_no}
    assert post(PATHS[0], lin.token, **body).data["fileId"]


@pytest.mark.parametrize("extension", VALID)
def test_each_file_type_can_be_uploaded(lin: Person, session_no: str, extension: str) -> None:
    file_type = KINDS_BY_EXTENSION[extension].content_types[0]
    file_id = upload_file(lin, session_no, build_file(extension, 64), file_extension=extension, file_type=file_type)
    assert (
        multipart_forms.send_request("GET", confirm_upload(lin, file_id).data["res_url"]).headers["content-type"]
        == file_type
    )


@on_both_paths
def test_session_of_others_is_not_found(
    hospital: Hospital, other_hospital: Hospital, session_no: str, path: str
) -> None:
    for person in (hospital.wang, hospital.zhou, other_hospital.lin, other_hospital.chen):
        response = request_form(person, session_no, path)
        assert (response.status, response.code) == (404, 10004)
    assert request_form(hospital.lin, "no-such-session", path).status == 404


@on_both_paths
@pytest.mark.parametrize(
    ("field", "invalid"),
    [
        ("file_extension", ...),
        ("file_type", ...),
        ("file_extension", 7),
        ("file_extension", "x" * 256),
        ("file_type", 7),
        ("file_type", ["image/jpeg"]),
        ("file_type", "x" * 256),
        ("file_size", -1),
        ("file_size", 1.5),
        ("file_size", True),
        ("file_size", "many"),
        ("file_size", 20 * 1024 * 1024 + 1),
        ("msg_session", ...),
        ("msg_session", None),
        ("msg_session", ""),
        ("msg_session", "带中文"),
        ("msg_session", ["x"]),
    ],
)
def test_invalid_field_is_rejected_with_its_name(
    lin: Person, session_no: str, path: str, field: str, invalid: object
) -> None:
    response = request_form(lin, session_no, path, **{field: invalid})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(field)


@on_both_paths
@pytest.mark.parametrize("hints", [("svg", "image/svg+xml"), ("html", "text/html"), ("", ""), (None, None)])
def test_form_needs_a_hint_of_an_accepted_kind(lin: Person, session_no: str, path: str, hints: tuple[Any, Any]) -> None:
    response = request_form(lin, session_no, path, file_extension=hints[0], file_type=hints[1])
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("file_extension：")


@on_both_paths
@pytest.mark.parametrize(
    "hints",
    [("jpg", ""), (".JPG", None), ("", "image/jpeg"), (None, "image/jpeg"), ("jfif", None), ("../../x", "image/jpg")],
)
def test_one_hint_is_enough(lin: Person, session_no: str, path: str, hints: tuple[Any, Any]) -> None:
    file_id = upload_file(lin, session_no, path=path, file_extension=hints[0], file_type=hints[1])
    assert confirm_upload(lin, file_id).data["res_type"] == "image/jpeg"


def test_form_says_what_to_post(lin: Person, session_no: str) -> None:
    form = request_form(lin, session_no).data
    assert all(word in form["usage"] for word in ("fields", "file", "204", "403"))
    six = [(name, form[name]) for name in ("OSSAccessKeyId", "policy", "signature", "key")]
    assert multipart_forms.post_form(form["url"], six, JPEG).status == 403
    assert "fields" in confirm_upload(lin, form["fileId"]).error


@pytest.mark.parametrize(
    ("kind", "content_type", "is_displayable"),
    [("jpg", "image/jpeg", True), ("heic", "image/heic", False), ("mov", "video/quicktime", False)],
)
def test_file_is_described_by_its_content(
    lin: Person, chen: Person, session_no: str, kind: str, content_type: str, is_displayable: bool
) -> None:
    """The upload is labelled as a JPEG."""
    file_id = upload_file(lin, session_no, build_file(kind, 100))
    described = [
        confirm_upload(lin, file_id).data,
        send_picture_as_patient(lin, chen, file_id).data,
        *list_as_patient(lin, session_no).data,
        *list_as_doctor(chen, session_no).data,
    ]
    assert [(one["res_type"], one["res_displayable"]) for one in described] == [(content_type, is_displayable)] * 4
    path = described[0]["res_url"].partition("?")[0]
    assert path.endswith(f".{kind}")


def test_text_has_no_type(lin: Person, chen: Person) -> None:
    session_no = send_as_patient(lin, chen, "您好").data["session_no"]
    [message] = list_as_doctor(chen, session_no).data
    assert (message["res_type"], message["res_displayable"]) == ("", True)


def test_size_is_optional_and_may_be_text(lin: Person, session_no: str) -> None:
    assert request_form(lin, session_no, file_size=None).status == 200
    assert request_form(lin, session_no, file_size="100").status == 200
    video: dict[str, Any] = {"file_extension": "MP4", "file_type": "video/mp4", "file_size": 100 * 1024 * 1024}
    assert request_form(lin, session_no, **video).status == 200


def test_repeated_confirmation_returns_same_file(lin: Person, session_no: str) -> None:
    file_id = upload_file(lin, session_no)
    with ThreadPoolExecutor(4) as pool:
        responses = list(pool.map(lambda _: confirm_upload(lin, file_id).data, range(8)))
    assert len({response["res_url"].partition("?")[0] for response in responses}) == 1
    assert post(ACCESS, lin.token, fileId=str(file_id)).data["file_id"] == str(file_id)


def test_confirming_before_upload_is_a_conflict(lin: Person, session_no: str) -> None:
    response = confirm_upload(lin, request_form(lin, session_no).data["fileId"])
    assert (response.status, response.code) == (409, 10005)


def test_confirming_invalid_content_is_always_a_conflict(lin: Person, session_no: str) -> None:
    file_id = upload_file(lin, session_no, b"<script>alert(1)</script>")
    for _ in range(2):
        response = confirm_upload(lin, file_id)
        assert (response.status, response.code) == (409, 10005)


def test_only_the_uploader_can_confirm(hospital: Hospital, other_hospital: Hospital, session_no: str) -> None:
    file_id = upload_file(hospital.lin, session_no)
    assert post(ACCESS, file_id=file_id).status == 401
    for person in (hospital.chen, hospital.wang, other_hospital.lin, other_hospital.chen):
        assert confirm_upload(person, file_id).status == 404
    assert confirm_upload(hospital.lin, 2**53 - 1).status == 404
    assert confirm_upload(hospital.lin, file_id).status == 200


@pytest.mark.parametrize("invalid", [None, "", "x", 0, -1, True, 1.5, 2**53, [1]])
def test_invalid_file_id_is_rejected(lin: Person, invalid: object) -> None:
    response = confirm_upload(lin, invalid)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith("file_id")


def test_session_of_another_member_of_the_account_is_accepted(lin: Person, chen: Person) -> None:
    child = replace(lin, member_id=add_member(lin, "林小宝"))
    assert request_form(lin, create_session(child, chen)).status == 200


def test_without_s3_forms_are_issued_and_confirming_is_unavailable(
    lin: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = upload_file(lin, session_no)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    assert request_form(lin, session_no).status == 200
    response = confirm_upload(lin, file_id)
    assert (response.status, response.code) == (503, 10007)
    assert int(response.headers["Retry-After"]) > 0


def test_content_type_is_normalized(lin: Person, session_no: str) -> None:
    recording: dict[str, Any] = {"file_extension": "m4a", "file_type": "audio/x-m4a"}
    file_id = upload_file(lin, session_no, VALID["m4a"], **recording)
    assert (
        multipart_forms.send_request("GET", confirm_upload(lin, file_id).data["res_url"]).headers["content-type"]
        == "audio/mp4"
    )
