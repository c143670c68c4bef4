"""wechat/auth_file and the root of a domain: the files by which WeChat verifies that the domain is the hospital's."""

from functools import partial

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.booking_client import list_rows
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital
from tests.support.threads import run_in_threads
from tests.support.wechat_client import (
    AUTH_FILE_CONTENT,
    AUTH_FILE_NAME,
    BOUNDARY,
    WECHAT_PATH,
    build_multipart,
    post_bytes,
    upload_auth_file,
)

UPLOAD_PATH, DOWNLOAD_PATH = f"{WECHAT_PATH}/auth_file/upload", f"{WECHAT_PATH}/auth_file/download"
OTHER_NAME = "MP_verify_ZZZZZZZZZZZZZZZZ.txt"
BINARY_CONTENT = bytes(range(256)) * 3 + b"\r\n--\r\n\n\r"
FORM_TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def get_root_file(hospital: Hospital, name: str = AUTH_FILE_NAME) -> ApiResponse:
    return get(f"/{name}", headers={"tenantId": str(hospital.tenant_id)})


def list_files(hospital: Hospital) -> list[tuple[str, bytes]]:
    return [(row["file_name"], row["content"]) for row in list_rows("bas_tenant_wechat_webauth", hospital)]


@pytest.mark.parametrize("field", ["file", "inputstream", "文件"])
def test_file_uploaded_as_form_is_downloaded_unchanged(hospital: Hospital, field: str) -> None:
    assert upload_auth_file(hospital.admin, BINARY_CONTENT, field=field).data is None
    response = get(DOWNLOAD_PATH, hospital.admin.token)
    assert response.content == BINARY_CONTENT
    assert response.headers["Content-Disposition"] == f'attachment; filename="{AUTH_FILE_NAME}"'


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_file_may_be_the_request_body(hospital: Hospital, kind: str) -> None:
    assert post_bytes(UPLOAD_PATH, hospital.admin, BINARY_CONTENT, kind, file_name=AUTH_FILE_NAME).data is None
    assert list_files(hospital) == [(AUTH_FILE_NAME, BINARY_CONTENT)]


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", ""])
@pytest.mark.parametrize("content", [AUTH_FILE_CONTENT, AUTH_FILE_CONTENT + b"\r\n"])
def test_request_body_needs_no_file_name(hospital: Hospital, content: bytes, kind: str) -> None:
    for _ in range(2):
        assert post_bytes(UPLOAD_PATH, hospital.admin, content, kind).data is None
    assert list_files(hospital) == [(AUTH_FILE_NAME, content)]
    assert get_root_file(hospital).content == content


@pytest.mark.parametrize(
    "content", [b"0a1B2c3D4e5F6g7", AUTH_FILE_CONTENT + b"x", b"<html>", "０a1B2c3D4e5F6g7H".encode()]
)
def test_body_that_contains_no_name_needs_one(hospital: Hospital, content: bytes) -> None:
    response = post_bytes(UPLOAD_PATH, hospital.admin, content, "text/plain")
    assert (response.status, response.error.partition("：")[0]) == (400, "file_name")
    assert "multipart" in response.error
    assert list_files(hospital) == []


def test_form_may_have_other_fields_and_a_quoted_boundary(hospital: Hospital) -> None:
    body = build_multipart(
        ("name", None, b"x"), ("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT), ("note", None, b"--" + BOUNDARY.encode())
    )
    assert post_bytes(UPLOAD_PATH, hospital.admin, body, f'Multipart/Form-Data; boundary="{BOUNDARY}"').status == 200
    assert list_files(hospital) == [(AUTH_FILE_NAME, AUTH_FILE_CONTENT)]


def test_file_is_public_at_the_root_of_the_hospitals_domain(hospital: Hospital, other_hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    host = f"h5-{hospital.tenant_id}.renhe.example"
    mysql.run_transaction(lambda tx: tenants.add_host(tx, hospital.tenant_id, host))
    response = get(f"/{AUTH_FILE_NAME}", headers={"Host": host})
    assert response.content == AUTH_FILE_CONTENT
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert get_root_file(hospital).content == AUTH_FILE_CONTENT
    assert get_root_file(other_hospital).status == 404
    assert get(f"/{AUTH_FILE_NAME}", other_hospital.lin.token, {"tenantId": str(hospital.tenant_id)}).status == 403


@pytest.mark.parametrize(
    "name",
    [
        "favicon.ico",
        "docs.html",
        OTHER_NAME,
        AUTH_FILE_NAME.lower(),
        AUTH_FILE_NAME + "%0A",
        "MP_verify_.txt",
        "%E5%8C%BB.txt",
    ],
)
def test_other_names_at_the_root_return_404(hospital: Hospital, name: str) -> None:
    upload_auth_file(hospital.admin)
    response = get_root_file(hospital, name)
    assert (response.status, response.code) == (404, 10004)


def test_unknown_domain_returns_404(hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    for headers in ({}, {"Host": "nowhere.example"}, {"tenantId": "0"}):
        assert get(f"/{AUTH_FILE_NAME}", headers=headers).status == 404


def test_newest_file_is_downloaded_and_all_are_served(hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    upload_auth_file(hospital.admin, b"other", OTHER_NAME)
    assert get(DOWNLOAD_PATH, hospital.admin.token).content == b"other"
    upload_auth_file(hospital.admin, b"again")
    assert get(DOWNLOAD_PATH, hospital.admin.token).content == b"again"
    assert (get_root_file(hospital).content, get_root_file(hospital, OTHER_NAME).content) == (b"again", b"other")
    assert len(list_files(hospital)) == 2


def test_concurrent_uploads_store_one_file(hospital: Hospital) -> None:
    responses = run_in_threads([partial(upload_auth_file, hospital.admin, one) for one in (b"first", b"second")])
    assert [one.status for one in responses] == [200, 200]
    assert list_files(hospital) in ([(AUTH_FILE_NAME, b"first")], [(AUTH_FILE_NAME, b"second")])


def test_download_without_file_returns_404(hospital: Hospital, other_hospital: Hospital) -> None:
    upload_auth_file(other_hospital.admin)
    assert get(DOWNLOAD_PATH, hospital.admin.token).status == 404


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_admins_are_allowed(hospital: Hospital, kind: str) -> None:
    person = getattr(hospital, kind)
    assert upload_auth_file(person).status == 403
    assert get(DOWNLOAD_PATH, person.token).status == 403
    assert post(UPLOAD_PATH).status == 401
    assert list_files(hospital) == []


WRONG_NAMES = [
    *(
        "x.txt",
        "MP_verify_0a1B2c3D4e5F6g7.txt",
        "mp_verify_0a1B2c3D4e5F6g7H.txt",
        f"../{AUTH_FILE_NAME}",
        f"{AUTH_FILE_NAME}\n",
    ),
    *(
        "MP_verify_0a1B2c3D4e5F6g7é.txt",
        "MP_verify_0a1B2c3D4e5F6g7H.html",
        "MP_verify_０a1B2c3D4e5F6g7H.txt",
        f"{AUTH_FILE_NAME}x",
    ),
]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_other_file_names_are_rejected(hospital: Hospital, name: str) -> None:
    for response in (
        upload_auth_file(hospital.admin, name=name.replace("\n", "%0A")),
        post_bytes(UPLOAD_PATH, hospital.admin, AUTH_FILE_CONTENT, "text/plain", file_name=name),
    ):
        assert (response.status, response.error.partition("：")[0]) == (400, "file_name")
    assert list_files(hospital) == []


def test_file_above_one_kilobyte_is_rejected(hospital: Hospital) -> None:
    assert upload_auth_file(hospital.admin, b"a" * 1024).status == 200
    assert upload_auth_file(hospital.admin, b"b" * 1025).status == 413
    assert post_bytes(UPLOAD_PATH, hospital.admin, b"b" * 1025, "text/plain", file_name=AUTH_FILE_NAME).status == 413
    assert post_bytes(UPLOAD_PATH, hospital.admin, b"b" * (settings.max_body_bytes + 1), FORM_TYPE).status == 413
    assert list_files(hospital) == [(AUTH_FILE_NAME, b"a" * 1024)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM_TYPE),
        (b"no form", FORM_TYPE),
        (build_multipart(), FORM_TYPE),
        (build_multipart(("file", None, AUTH_FILE_CONTENT)), FORM_TYPE),
        (build_multipart(("file", AUTH_FILE_NAME, b"")), FORM_TYPE),
        (
            build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT), ("file", OTHER_NAME, AUTH_FILE_CONTENT)),
            FORM_TYPE,
        ),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT))[:-4], FORM_TYPE),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT)), "multipart/form-data"),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT)), "multipart/mixed; boundary=" + BOUNDARY),
        (b"", "text/plain"),
    ],
)
def test_form_without_exactly_one_complete_file_is_rejected(hospital: Hospital, body: bytes, kind: str) -> None:
    response = post_bytes(UPLOAD_PATH, hospital.admin, body, kind, file_name=AUTH_FILE_NAME)
    assert (response.status, response.error.partition("：")[0]) == (400, "file")
    assert list_files(hospital) == []
