"""Profiles and avatars."""

from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.errors import UNAVAILABLE, ApiError
from chalicelib.files import confirmation
from chalicelib.settings import settings
from tests.support import consult_client, multipart_forms
from tests.support.accounts_client import MYINFO, PICTURE, add_member, list_members
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person, create_patient, create_patient_file
from tests.support.file_samples import VALID, build_file
from tests.support.id_numbers import build_unused_id_number

PNG = build_file("png", 120)


def get_info(person: Person) -> Any:
    return get(MYINFO, person.token).data


def save(person: Person, **changed: Any) -> ApiResponse:
    return post(MYINFO, person.token, **{"name": "小雨", "gender": "2", "birthday": "1990-05-17", **changed})


def request_form(person: Person, **changed: Any) -> ApiResponse:
    return post(PICTURE, person.token, **{"file_extension": "png", "file_type": "image/png", **changed})


def upload(person: Person, content: bytes = PNG, **changed: Any) -> Any:
    data = request_form(person, **changed).data
    assert multipart_forms.post_form(data["url"], list(data["fields"].items()), content).status == 204
    return data


def download_avatar(person: Person) -> bytes:
    url = get_info(person)["avatar"]
    return multipart_forms.send_request("GET", url).body if url else b""


def test_empty_profile_shows_the_default_member(lin: Person) -> None:
    pati_id = create_patient_file(lin)
    mine = get_info(lin)
    assert (mine["phone"], mine["name"], mine["gender"]) == (lin.phone, "林小雨", 2)
    assert (mine["pati_id"], mine["pati_img"]) == (str(pati_id), list_members(lin)[0]["patiImg"])
    assert mine["avatar"] == ""
    assert mine["age"] == list_members(lin)[0]["age"]


def test_profile_is_shown_and_changes_no_member(lin: Person) -> None:
    before = list_members(lin)
    assert save(lin).data is None
    mine = get_info(lin)
    assert (mine["name"], mine["gender"], mine["birthday"]) == ("小雨", 2, "1990-05-17")
    assert save(lin, name="雨", gender=9, birthday="1991-01-01").status == 200
    mine = get_info(lin)
    assert (mine["name"], mine["gender"], mine["birthday"]) == ("雨", 9, "1991-01-01")
    assert list_members(lin) == before


def test_new_account_has_an_empty_profile(hospital: Hospital) -> None:
    person = create_patient(hospital.tenant_id, "13800000088", "新来的")
    mysql.autocommit.execute("DELETE FROM members WHERE user_id = %(id)s", id=person.user_id)
    mine = get_info(person)
    assert (mine["name"], mine["gender"], mine["birthday"], mine["age"], mine["pati_id"]) == ("", 0, None, "", "")
    assert post(MYINFO, person.token, **mine).data is None
    assert get_info(person) == mine


@pytest.mark.parametrize("empty", [None, ""])
def test_empty_name_and_birthday_stay_as_they_are(lin: Person, empty: Any) -> None:
    save(lin)
    assert save(lin, name=empty, birthday=empty, gender=9).status == 200
    mine = get_info(lin)
    assert (mine["name"], mine["gender"], mine["birthday"]) == ("小雨", 9, "1990-05-17")
    assert post(MYINFO, lin.token, gender=1).error == "name：必填；birthday：必填"


def test_profiles_of_accounts_are_separate(lin: Person, wang: Person) -> None:
    save(lin, name="小雨")
    assert get_info(wang)["name"] == "王强"


def test_patient_file_is_the_default_members(wang: Person) -> None:
    assert get_info(wang)["pati_id"] == ""
    add_member(wang, build_unused_id_number())
    assert get_info(wang)["pati_id"] == "", "the first member has no file"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in (" ", "名" * 65, "a\x00b", 7)),
        *(("gender", value) for value in (None, 3, "女", False)),
        *(("birthday", value) for value in ("1990/05/17", "2999-01-01", "1990-02-30")),
    ],
)
def test_invalid_field_is_named_and_changes_nothing(lin: Person, field: str, value: Any) -> None:
    response = save(lin, **{field: value})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{field}：")
    assert get_info(lin)["name"] == "林小雨"


@pytest.mark.store
def test_uploaded_picture_becomes_the_avatar(lin: Person) -> None:
    data = upload(lin)
    assert data["OSS_access_key_id"] == data["fields"]["x-amz-credential"].split("/")[0]
    assert (data["policy"], data["signature"]) == (data["fields"]["policy"], data["fields"]["x-amz-signature"])
    assert download_avatar(lin) == PNG
    assert download_avatar(lin) == PNG


@pytest.mark.store
def test_later_picture_replaces_the_avatar(lin: Person) -> None:
    upload(lin)
    assert download_avatar(lin) == PNG
    upload(lin, VALID["jpg"], file_extension="jpg", file_type="image/jpeg")
    assert download_avatar(lin) == VALID["jpg"]


def test_event_of_s3_sets_the_avatar_and_doctors_see_it(lin: Person, chen: Person) -> None:
    consult_client.send_as_patient(lin, chen, "您好", key="k1")
    data = upload(lin)
    confirmation.handle_object_created(settings.s3_bucket, data["key"])
    [session] = get(consult_client.DOCTOR_SESSIONS, chen.token, page_size=10).data
    assert multipart_forms.send_request("GET", session["member_photo_url"]).body == PNG


@pytest.mark.store
def test_late_event_of_an_older_picture_is_ignored(lin: Person) -> None:
    first, second = upload(lin), upload(lin, VALID["jpg"], file_extension="jpg", file_type="image/jpeg")
    for form_of in (second, first):
        confirmation.handle_object_created(settings.s3_bucket, form_of["key"])
    assert download_avatar(lin) == VALID["jpg"]


def test_unused_form_changes_nothing(lin: Person) -> None:
    upload(lin)
    assert download_avatar(lin) == PNG
    request_form(lin)
    assert download_avatar(lin) == PNG


def test_avatar_is_served_as_what_it_is(lin: Person) -> None:
    upload(lin, VALID["jpg"])
    assert multipart_forms.send_request("GET", get_info(lin)["avatar"]).headers["content-type"] == "image/jpeg"


def test_file_that_is_no_picture_is_no_avatar(lin: Person) -> None:
    upload(lin, b"<html>" + b"x" * 100)
    assert get_info(lin)["avatar"] == ""


def test_upload_access_says_why_a_file_is_no_avatar(lin: Person) -> None:
    access = "/msg_service/msg/doctor/file/upload_access"
    heic = upload(lin, VALID["heic"], file_extension="jpg", file_type="image/jpeg")
    assert get_info(lin)["avatar"] == ""
    response = post(access, lin.token, file_id=heic["file_id"])
    assert response.status == 409
    assert response.error.startswith("文件内容是 heic，这里只支持 jpg、png、gif、webp。请选择 JPG 或 PNG 图片")
    assert post(access, lin.token, file_id=upload(lin)["file_id"]).status == 200
    assert download_avatar(lin) == PNG


def test_profile_is_shown_while_s3_is_down(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_unavailable(*_: object) -> Any:
        raise ApiError(UNAVAILABLE)

    upload(lin)
    monkeypatch.setattr(s3, "find_preview", raise_unavailable)
    assert get_info(lin)["name"] == "林小雨"


@pytest.mark.store
def test_picture_of_another_account_is_no_avatar(lin: Person, wang: Person, other_hospital: Hospital) -> None:
    upload(lin)
    assert download_avatar(lin) == PNG
    assert get_info(wang)["avatar"] == get_info(other_hospital.lin)["avatar"] == ""


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *(
            ({"file_extension": value, "file_type": ""}, "file_extension")
            for value in (None, "", "pdf", "mp4", "heic", 7)
        ),
        ({"file_extension": "html", "file_type": "text/html"}, "file_extension"),
        ({"file_type": 7}, "file_type"),
        *(({"file_size": value}, "file_size") for value in (-1, "x", True, 5 * 1024 * 1024 + 1)),
    ],
)
def test_invalid_picture_field_is_named(lin: Person, changed: dict[str, Any], named: str) -> None:
    response = request_form(lin, **changed)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{named}：")
