"""file/pre_upload, doctor/file/pre_upload and doctor/file/upload_access, as both sides' pages call them."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.aws import s3
from chalicelib.settings import settings
from tests.support import multipart_forms
from tests.support.client import Answer, post
from tests.support.consult_client import create_session
from tests.support.factories import Hospital, Person, add_member
from tests.support.file_samples import VALID, build_file

PATHS = ["/msg_service/msg/file/pre_upload", "/msg_service/msg/doctor/file/pre_upload"]
ACCESS = "/msg_service/msg/doctor/file/upload_access"
JPEG = build_file("jpg", 100)

on_both_paths = pytest.mark.parametrize("path", PATHS)


@pytest.fixture
def session_no(lin: Person, chen: Person) -> str:
    return create_session(lin, chen)


def asked(person: Person, session_no: str, path: str = PATHS[0], **changed: Any) -> Answer:
    wanted = {"file_extension": "jpg", "file_type": "image/jpeg", "msg_session": session_no, **changed}
    return post(path, person.token, **{name: value for name, value in wanted.items() if value is not ...})


def uploaded(person: Person, session_no: str, content: bytes = JPEG, **changed: Any) -> int:
    """Return the file_id of a form that a file was posted with."""
    form = asked(person, session_no, **changed).data
    assert multipart_forms.post_form(form["url"], list(form["fields"].items()), content).status == 204
    return int(form["fileId"])


def access(person: Person, file_id: object) -> Answer:
    return post(ACCESS, person.token, file_id=file_id)


@on_both_paths
@pytest.mark.parametrize("who", ["lin", "chen"])
def test_both_sides_upload_a_picture_and_see_it(hospital: Hospital, session_no: str, who: str, path: str) -> None:
    person: Person = getattr(hospital, who)
    file_id = uploaded(person, session_no, path=path, file_size=100)
    ready = access(person, str(file_id)).data
    assert ready["file_id"] == str(file_id)
    shown = multipart_forms.send_request("GET", ready["res_url"])
    assert (shown.status, shown.headers["content-type"], shown.body) == (200, "image/jpeg", JPEG)


@on_both_paths
def test_the_protocols_names_say_what_the_form_says(lin: Person, session_no: str, path: str) -> None:
    form = asked(lin, session_no, path).data
    fields = form["fields"]
    assert form["key"] == fields["key"]
    assert form["policy"] == fields["policy"]
    assert form["signature"] == fields["x-amz-signature"]
    assert form["OSSAccessKeyId"] == settings.access_key
    assert fields["x-amz-credential"].startswith(settings.access_key + "/")
    assert form["key"].startswith(f"{lin.tenant_id}/uploads/")
    assert form["key"].endswith(".jpg")
    assert form["url"] == f"{settings.s3_endpoint_url}/{settings.s3_bucket}"


@pytest.mark.parametrize(
    ("wanted", "sizes"),
    [
        ({}, [1, 20 * 1024 * 1024]),
        ({"file_size": 100}, [100, 100]),
        ({"file_extension": "mp4", "file_type": "video/mp4"}, [1, 100 * 1024 * 1024]),
    ],
)
def test_a_form_is_for_one_type_and_size_and_a_quarter_of_an_hour(
    lin: Person, session_no: str, wanted: dict[str, Any], sizes: list[int]
) -> None:
    form = asked(lin, session_no, **wanted).data
    policy = json.loads(base64.b64decode(form["policy"]))
    assert ["content-length-range", *sizes] in policy["conditions"]
    assert {"Content-Type": wanted.get("file_type", "image/jpeg")} in policy["conditions"]
    assert {"key": form["key"]} in policy["conditions"]
    begin = datetime.strptime(form["fields"]["x-amz-date"], "%Y%m%dT%H%M%S%z")
    assert datetime.fromisoformat(policy["expiration"]) - begin == timedelta(minutes=15)


def test_every_form_is_for_another_key(lin: Person, session_no: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: asked(lin, session_no).data, range(16)))
    assert len({form["key"] for form in made}) == len({form["fileId"] for form in made}) == 16


@pytest.mark.parametrize("spelling", ["session_no", "session_id"])
def test_the_session_may_be_named_as_elsewhere(lin: Person, session_no: str, spelling: str) -> None:
    wanted: dict[str, Any] = {"file_extension": "jpg", "file_type": "image/jpeg", spelling: session_no}
    assert post(PATHS[0], lin.token, **wanted).data["fileId"]


@pytest.mark.parametrize("extension", VALID)
def test_every_kind_of_file_can_be_uploaded(lin: Person, session_no: str, extension: str) -> None:
    types = {"pdf": "application/pdf", "amr": "audio/amr", "mp3": "audio/mpeg", "m4a": "audio/mp4", "mp4": "video/mp4"}
    file_type = types.get(extension, f"image/{extension.replace('jpg', 'jpeg')}")
    file_id = uploaded(lin, session_no, build_file(extension, 64), file_extension=extension, file_type=file_type)
    assert (
        multipart_forms.send_request("GET", access(lin, file_id).data["res_url"]).headers["content-type"] == file_type
    )


@on_both_paths
def test_strangers_have_no_such_session(
    hospital: Hospital, other_hospital: Hospital, session_no: str, path: str
) -> None:
    for person in (hospital.wang, hospital.zhou, other_hospital.lin, other_hospital.chen):
        answer = asked(person, session_no, path)
        assert (answer.status, answer.code) == (404, 10004)
    assert asked(hospital.lin, "no-such-session", path).status == 404


@on_both_paths
@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("file_extension", ...),
        ("file_extension", None),
        ("file_extension", ""),
        ("file_extension", ".jpg"),
        ("file_extension", "svg"),
        ("file_extension", "html"),
        ("file_extension", "../../x"),
        ("file_extension", "jpg\n"),
        ("file_extension", 7),
        ("file_type", ...),
        ("file_type", None),
        ("file_type", ""),
        ("file_type", "image/png"),
        ("file_type", "text/html"),
        ("file_type", "image/jpeg\r\nX: y"),
        ("file_type", "x" * 65),
        ("file_size", 0),
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
def test_a_bad_field_is_refused_by_name(lin: Person, session_no: str, path: str, field: str, bad: object) -> None:
    answer = asked(lin, session_no, path, **{field: bad})
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith(field)


def test_the_size_may_be_left_out_and_may_be_text(lin: Person, session_no: str) -> None:
    assert asked(lin, session_no, file_size=None).status == 200
    assert asked(lin, session_no, file_size="100").status == 200
    film: dict[str, Any] = {"file_extension": "MP4", "file_type": "video/mp4", "file_size": 100 * 1024 * 1024}
    assert asked(lin, session_no, **film).status == 200


def test_confirming_again_is_the_same_file(lin: Person, session_no: str) -> None:
    file_id = uploaded(lin, session_no)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: access(lin, file_id).data, range(8)))
    assert len({answer["res_url"].partition("?")[0] for answer in answers}) == 1
    assert post(ACCESS, lin.token, fileId=str(file_id)).data["file_id"] == str(file_id)


def test_what_is_not_there_yet_is_a_conflict(lin: Person, session_no: str) -> None:
    answer = access(lin, asked(lin, session_no).data["fileId"])
    assert (answer.status, answer.code) == (409, 10005)


def test_what_is_no_picture_is_a_conflict_for_ever(lin: Person, session_no: str) -> None:
    file_id = uploaded(lin, session_no, b"<script>alert(1)</script>")
    for _ in range(2):
        answer = access(lin, file_id)
        assert (answer.status, answer.code) == (409, 10005)


def test_only_the_uploader_confirms(hospital: Hospital, other_hospital: Hospital, session_no: str) -> None:
    file_id = uploaded(hospital.lin, session_no)
    assert post(ACCESS, file_id=file_id).status == 401
    for person in (hospital.chen, hospital.wang, other_hospital.lin, other_hospital.chen):
        assert access(person, file_id).status == 404
    assert access(hospital.lin, 2**53 - 1).status == 404
    assert access(hospital.lin, file_id).status == 200


@pytest.mark.parametrize("bad", [None, "", "x", 0, -1, True, 1.5, 2**53, [1]])
def test_a_bad_file_id_is_refused_by_name(lin: Person, bad: object) -> None:
    answer = access(lin, bad)
    assert (answer.status, answer.code) == (400, 10001)
    assert answer.error.startswith("file_id")


def test_a_session_of_another_member_of_the_account_is_the_accounts_own(lin: Person, chen: Person) -> None:
    child = replace(lin, member_id=add_member(lin, "林小宝"))
    assert asked(lin, create_session(child, chen)).status == 200


def test_while_s3_is_gone_forms_are_made_and_confirming_waits(
    lin: Person, session_no: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = uploaded(lin, session_no)
    monkeypatch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
    assert asked(lin, session_no).status == 200
    answer = access(lin, file_id)
    assert (answer.status, answer.code) == (503, 10007)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_file_is_served_by_the_usual_name_of_its_type(lin: Person, session_no: str) -> None:
    recording: dict[str, Any] = {"file_extension": "m4a", "file_type": "audio/x-m4a"}
    file_id = uploaded(lin, session_no, VALID["m4a"], **recording)
    assert (
        multipart_forms.send_request("GET", access(lin, file_id).data["res_url"]).headers["content-type"] == "audio/mp4"
    )
