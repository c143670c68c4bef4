"""wechat/auth_file and the root of a domain: the files by which WeChat sees whose it is."""

from functools import partial

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.support.booking_client import list_rows
from tests.support.client import Answer, get, post
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

UPLOAD, DOWNLOAD = f"{WECHAT_PATH}/auth_file/upload", f"{WECHAT_PATH}/auth_file/download"
OTHER = "MP_verify_ZZZZZZZZZZZZZZZZ.txt"
ODD = bytes(range(256)) * 3 + b"\r\n--\r\n\n\r"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def at_root(hospital: Hospital, name: str = AUTH_FILE_NAME) -> Answer:
    return get(f"/{name}", headers={"tenantId": str(hospital.tenant_id)})


def kept(hospital: Hospital) -> list[tuple[str, bytes]]:
    return [(row["file_name"], row["content"]) for row in list_rows("bas_tenant_wechat_webauth", hospital)]


@pytest.mark.parametrize("field", ["file", "inputstream", "文件"])
def test_an_admin_uploads_a_form_and_downloads_the_same_bytes(hospital: Hospital, field: str) -> None:
    assert upload_auth_file(hospital.admin, ODD, field=field).data is None
    answer = get(DOWNLOAD, hospital.admin.token)
    assert answer.content == ODD
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{AUTH_FILE_NAME}"'


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_file_may_be_the_body_itself(hospital: Hospital, kind: str) -> None:
    assert post_bytes(UPLOAD, hospital.admin, ODD, kind, file_name=AUTH_FILE_NAME).data is None
    assert kept(hospital) == [(AUTH_FILE_NAME, ODD)]


def test_a_form_may_have_other_fields_and_quote_its_boundary(hospital: Hospital) -> None:
    body = build_multipart(
        ("name", None, b"x"), ("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT), ("note", None, b"--" + BOUNDARY.encode())
    )
    assert post_bytes(UPLOAD, hospital.admin, body, f'Multipart/Form-Data; boundary="{BOUNDARY}"').status == 200
    assert kept(hospital) == [(AUTH_FILE_NAME, AUTH_FILE_CONTENT)]


def test_anybody_reads_it_at_the_root_of_the_domain(hospital: Hospital, other_hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    host = f"h5-{hospital.tenant_id}.renhe.example"
    mysql.run_transaction(lambda tx: tenants.add_host(tx, hospital.tenant_id, host))
    answer = get(f"/{AUTH_FILE_NAME}", headers={"Host": host})
    assert answer.content == AUTH_FILE_CONTENT
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert at_root(hospital).content == AUTH_FILE_CONTENT
    assert at_root(other_hospital).status == 404
    assert get(f"/{AUTH_FILE_NAME}", other_hospital.lin.token, {"tenantId": str(hospital.tenant_id)}).status == 403


@pytest.mark.parametrize(
    "name",
    [
        "favicon.ico",
        "docs.html",
        OTHER,
        AUTH_FILE_NAME.lower(),
        AUTH_FILE_NAME + "%0A",
        "MP_verify_.txt",
        "%E5%8C%BB.txt",
    ],
)
def test_nothing_else_is_at_the_root(hospital: Hospital, name: str) -> None:
    upload_auth_file(hospital.admin)
    answer = at_root(hospital, name)
    assert (answer.status, answer.code) == (404, 10004)


def test_who_asks_an_unknown_domain_finds_nothing(hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    for headers in ({}, {"Host": "nowhere.example"}, {"tenantId": "0"}):
        assert get(f"/{AUTH_FILE_NAME}", headers=headers).status == 404


def test_the_newest_is_downloaded_and_each_is_served(hospital: Hospital) -> None:
    upload_auth_file(hospital.admin)
    upload_auth_file(hospital.admin, b"other", OTHER)
    assert get(DOWNLOAD, hospital.admin.token).content == b"other"
    upload_auth_file(hospital.admin, b"again")
    assert get(DOWNLOAD, hospital.admin.token).content == b"again"
    assert (at_root(hospital).content, at_root(hospital, OTHER).content) == (b"again", b"other")
    assert len(kept(hospital)) == 2


def test_two_who_upload_at_once_leave_one(hospital: Hospital) -> None:
    answers = run_in_threads([partial(upload_auth_file, hospital.admin, one) for one in (b"first", b"second")])
    assert [one.status for one in answers] == [200, 200]
    assert kept(hospital) in ([(AUTH_FILE_NAME, b"first")], [(AUTH_FILE_NAME, b"second")])


def test_there_is_nothing_to_download_at_first(hospital: Hospital, other_hospital: Hospital) -> None:
    upload_auth_file(other_hospital.admin)
    assert get(DOWNLOAD, hospital.admin.token).status == 404


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_an_admin_may(hospital: Hospital, kind: str) -> None:
    person = getattr(hospital, kind)
    assert upload_auth_file(person).status == 403
    assert get(DOWNLOAD, person.token).status == 403
    assert post(UPLOAD).status == 401
    assert kept(hospital) == []


WRONG_NAMES = [
    *(
        "",
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
def test_only_a_name_of_wechats_is_taken(hospital: Hospital, name: str) -> None:
    for answer in (
        upload_auth_file(hospital.admin, name=name.replace("\n", "%0A")),
        post_bytes(UPLOAD, hospital.admin, AUTH_FILE_CONTENT, "text/plain", file_name=name),
    ):
        assert (answer.status, answer.error.partition("：")[0]) == (400, "file_name")
    assert kept(hospital) == []


def test_a_file_has_at_most_a_kilobyte(hospital: Hospital) -> None:
    assert upload_auth_file(hospital.admin, b"a" * 1024).status == 200
    assert upload_auth_file(hospital.admin, b"b" * 1025).status == 413
    assert post_bytes(UPLOAD, hospital.admin, b"b" * 1025, "text/plain", file_name=AUTH_FILE_NAME).status == 413
    assert post_bytes(UPLOAD, hospital.admin, b"b" * (settings.max_body_bytes + 1), FORM).status == 413
    assert kept(hospital) == [(AUTH_FILE_NAME, b"a" * 1024)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"no form", FORM),
        (build_multipart(), FORM),
        (build_multipart(("file", None, AUTH_FILE_CONTENT)), FORM),
        (build_multipart(("file", AUTH_FILE_NAME, b"")), FORM),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT), ("file", OTHER, AUTH_FILE_CONTENT)), FORM),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT))[:-4], FORM),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT)), "multipart/form-data"),
        (build_multipart(("file", AUTH_FILE_NAME, AUTH_FILE_CONTENT)), "multipart/mixed; boundary=" + BOUNDARY),
        (b"", "text/plain"),
    ],
)
def test_a_form_without_one_whole_file_is_refused(hospital: Hospital, body: bytes, kind: str) -> None:
    answer = post_bytes(UPLOAD, hospital.admin, body, kind, file_name=AUTH_FILE_NAME)
    assert (answer.status, answer.error.partition("：")[0]) == (400, "file")
    assert kept(hospital) == []
