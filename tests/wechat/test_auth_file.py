"""wechat/auth_file and the root of a domain: the files by which WeChat sees whose it is."""

from functools import partial

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import tenants
from chalicelib.settings import settings
from tests.booking.ward import rows
from tests.people import Hospital
from tests.threads import at_once
from tests.wechat.desk import BOUNDARY, CONTENT, NAME, ROOT, form, send_bytes, upload
from tests.wire import Answer, get, post

UPLOAD, DOWNLOAD = f"{ROOT}/auth_file/upload", f"{ROOT}/auth_file/download"
OTHER = "MP_verify_ZZZZZZZZZZZZZZZZ.txt"
ODD = bytes(range(256)) * 3 + b"\r\n--\r\n\n\r"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def at_root(hospital: Hospital, name: str = NAME) -> Answer:
    return get(f"/{name}", headers={"tenantId": str(hospital.tenant_id)})


def kept(hospital: Hospital) -> list[tuple[str, bytes]]:
    return [(row["file_name"], row["content"]) for row in rows("bas_tenant_wechat_webauth", hospital)]


@pytest.mark.parametrize("field", ["file", "inputstream", "文件"])
def test_an_admin_uploads_a_form_and_downloads_the_same_bytes(hospital: Hospital, field: str) -> None:
    assert upload(hospital.admin, ODD, field=field).data is None
    answer = get(DOWNLOAD, hospital.admin.token)
    assert answer.content == ODD
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{NAME}"'


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded"])
def test_a_file_may_be_the_body_itself(hospital: Hospital, kind: str) -> None:
    assert send_bytes(UPLOAD, hospital.admin, ODD, kind, file_name=NAME).data is None
    assert kept(hospital) == [(NAME, ODD)]


def test_a_form_may_have_other_fields_and_quote_its_boundary(hospital: Hospital) -> None:
    body = form(("name", None, b"x"), ("file", NAME, CONTENT), ("note", None, b"--" + BOUNDARY.encode()))
    assert send_bytes(UPLOAD, hospital.admin, body, f'Multipart/Form-Data; boundary="{BOUNDARY}"').status == 200
    assert kept(hospital) == [(NAME, CONTENT)]


def test_anybody_reads_it_at_the_root_of_the_domain(hospital: Hospital, elsewhere: Hospital) -> None:
    upload(hospital.admin)
    host = f"h5-{hospital.tenant_id}.renhe.example"
    mysql.run_transaction(lambda tx: tenants.add_host(tx, hospital.tenant_id, host))
    answer = get(f"/{NAME}", headers={"Host": host})
    assert answer.content == CONTENT
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert at_root(hospital).content == CONTENT
    assert at_root(elsewhere).status == 404
    assert get(f"/{NAME}", elsewhere.lin.token, {"tenantId": str(hospital.tenant_id)}).status == 403


@pytest.mark.parametrize(
    "name", ["favicon.ico", "docs.html", OTHER, NAME.lower(), NAME + "%0A", "MP_verify_.txt", "%E5%8C%BB.txt"]
)
def test_nothing_else_is_at_the_root(hospital: Hospital, name: str) -> None:
    upload(hospital.admin)
    answer = at_root(hospital, name)
    assert (answer.status, answer.code) == (404, 10004)


def test_who_asks_an_unknown_domain_finds_nothing(hospital: Hospital) -> None:
    upload(hospital.admin)
    for headers in ({}, {"Host": "nowhere.example"}, {"tenantId": "0"}):
        assert get(f"/{NAME}", headers=headers).status == 404


def test_the_newest_is_downloaded_and_each_is_served(hospital: Hospital) -> None:
    upload(hospital.admin)
    upload(hospital.admin, b"other", OTHER)
    assert get(DOWNLOAD, hospital.admin.token).content == b"other"
    upload(hospital.admin, b"again")
    assert get(DOWNLOAD, hospital.admin.token).content == b"again"
    assert (at_root(hospital).content, at_root(hospital, OTHER).content) == (b"again", b"other")
    assert len(kept(hospital)) == 2


def test_two_who_upload_at_once_leave_one(hospital: Hospital) -> None:
    answers = at_once([partial(upload, hospital.admin, one) for one in (b"first", b"second")])
    assert [one.status for one in answers] == [200, 200]
    assert kept(hospital) in ([(NAME, b"first")], [(NAME, b"second")])


def test_there_is_nothing_to_download_at_first(hospital: Hospital, elsewhere: Hospital) -> None:
    upload(elsewhere.admin)
    assert get(DOWNLOAD, hospital.admin.token).status == 404


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_an_admin_may(hospital: Hospital, kind: str) -> None:
    person = getattr(hospital, kind)
    assert upload(person).status == 403
    assert get(DOWNLOAD, person.token).status == 403
    assert post(UPLOAD).status == 401
    assert kept(hospital) == []


WRONG_NAMES = [
    *("", "x.txt", "MP_verify_0a1B2c3D4e5F6g7.txt", "mp_verify_0a1B2c3D4e5F6g7H.txt", f"../{NAME}", f"{NAME}\n"),
    *(
        "MP_verify_0a1B2c3D4e5F6g7é.txt",
        "MP_verify_0a1B2c3D4e5F6g7H.html",
        "MP_verify_０a1B2c3D4e5F6g7H.txt",
        f"{NAME}x",
    ),
]


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_only_a_name_of_wechats_is_taken(hospital: Hospital, name: str) -> None:
    for answer in (
        upload(hospital.admin, name=name.replace("\n", "%0A")),
        send_bytes(UPLOAD, hospital.admin, CONTENT, "text/plain", file_name=name),
    ):
        assert (answer.status, answer.error.partition("：")[0]) == (400, "file_name")
    assert kept(hospital) == []


def test_a_file_has_at_most_a_kilobyte(hospital: Hospital) -> None:
    assert upload(hospital.admin, b"a" * 1024).status == 200
    assert upload(hospital.admin, b"b" * 1025).status == 413
    assert send_bytes(UPLOAD, hospital.admin, b"b" * 1025, "text/plain", file_name=NAME).status == 413
    assert send_bytes(UPLOAD, hospital.admin, b"b" * (settings.max_body_bytes + 1), FORM).status == 413
    assert kept(hospital) == [(NAME, b"a" * 1024)]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FORM),
        (b"no form", FORM),
        (form(), FORM),
        (form(("file", None, CONTENT)), FORM),
        (form(("file", NAME, b"")), FORM),
        (form(("file", NAME, CONTENT), ("file", OTHER, CONTENT)), FORM),
        (form(("file", NAME, CONTENT))[:-4], FORM),
        (form(("file", NAME, CONTENT)), "multipart/form-data"),
        (form(("file", NAME, CONTENT)), "multipart/mixed; boundary=" + BOUNDARY),
        (b"", "text/plain"),
    ],
)
def test_a_form_without_one_whole_file_is_refused(hospital: Hospital, body: bytes, kind: str) -> None:
    answer = send_bytes(UPLOAD, hospital.admin, body, kind, file_name=NAME)
    assert (answer.status, answer.error.partition("：")[0]) == (400, "file")
    assert kept(hospital) == []
