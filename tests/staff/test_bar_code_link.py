"""bar_code_link, and the bar code in an `<img>`, which sends no headers."""

import pytest

from chalicelib import clock
from tests.support import bar_codes, factories
from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person

LINK_PATH, PICTURE_PATH = "/pati_service/wechat/bar_code_link", "/pati_service/wechat/bar_code"
MINUTE = 60 * clock.SECOND


def request_link(person: Person, member_id: object) -> ApiResponse:
    return get(LINK_PATH, person.token, member_id=member_id)


def create_link(person: Person, member_id: int | None = None) -> str:
    return str(request_link(person, member_id or person.member_id).data["url"])


def load_picture(link: str) -> ApiResponse:
    """Request a link as an `<img>` does."""
    path, _, ticket = link.partition("?ticket=")
    return get(path, ticket=ticket)


def test_picture_is_loaded_without_headers(lin: Person) -> None:
    pati_id = factories.create_patient_file(lin)
    link = create_link(lin)
    for _ in range(2):
        response = load_picture(link)
        assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
        assert bar_codes.decode_png(response.content) == str(pati_id)


def test_staff_get_links_to_bar_codes_of_all_patients(hospital: Hospital) -> None:
    pati_id = factories.create_patient_file(hospital.lin)
    for person in (hospital.desk, hospital.admin):
        link = create_link(person, hospital.lin.member_id)
        assert bar_codes.decode_png(load_picture(link).content) == str(pati_id)


def test_link_contains_no_token(lin: Person) -> None:
    factories.create_patient_file(lin)
    assert lin.token not in create_link(lin)


def test_link_is_no_credential_for_anything_else(hospital: Hospital) -> None:
    factories.create_patient_file(hospital.lin)
    ticket = create_link(hospital.lin).partition("ticket=")[2]
    member = hospital.lin.member_id
    assert get("/pati_service/wechat/query_bar_code", ticket, member_id=member).status == 401
    assert get("/pati_service/wechat/query_bar_code", member_id=member, ticket=ticket, token=ticket).status == 401
    assert get(LINK_PATH, ticket, member_id=member).status == 401


def test_link_is_valid_for_half_an_hour(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.create_patient_file(lin)
    link, now = create_link(lin), clock.now()
    for minutes, status in ((29, 200), (30, 403), (60 * 24, 403)):
        monkeypatch.setattr(clock, "now", lambda later=now + minutes * MINUTE: later)
        response = load_picture(link)
        assert response.status == status
        assert status == 200 or response.error == "链接已失效，请重新获取"


def test_link_of_a_removed_member_shows_nothing(hospital: Hospital) -> None:
    factories.create_patient_file(hospital.lin)
    link = create_link(hospital.lin)
    removed = post("/pati_service/patient_service/member/remove", hospital.lin.token, memberId=hospital.lin.member_id)
    assert removed.status == 200
    assert load_picture(link).status == 404
    for person in (hospital.lin, hospital.desk):
        assert request_link(person, hospital.lin.member_id).status == 404


@pytest.mark.parametrize("part", range(4))
def test_changed_ticket_is_rejected(hospital: Hospital, part: int) -> None:
    """Another hospital, member, expiry or signature."""
    factories.create_patient_file(hospital.lin)
    factories.create_patient_file(hospital.wang)
    parts = create_link(hospital.lin).partition("?ticket=")[2].split(".")
    last = "0" if parts[part][-1] != "0" else "1"
    for changed in (parts[part][:-1] + last, str(hospital.wang.member_id), parts[part] + "0"):
        forged = ".".join([*parts[:part], changed, *parts[part + 1 :]])
        assert load_picture(f"{PICTURE_PATH}?ticket={forged}").status in (400, 403)


@pytest.mark.parametrize(
    "ticket",
    ["", "1", "1.2.3", "1.2.3.x", "0.1.1." + "0" * 64, "-1.1.1." + "0" * 64, "1.1.1." + "0" * 64 + "\n", "a" * 9000],
)
def test_malformed_ticket_is_named(ticket: str) -> None:
    response = get(PICTURE_PATH, ticket=ticket)
    assert (response.status, response.error.partition("：")[0]) == (400, "ticket")
    assert get(PICTURE_PATH).status == 400


def test_member_of_another_account_or_hospital_has_no_link(hospital: Hospital, other_hospital: Hospital) -> None:
    factories.create_patient_file(hospital.lin)
    for person in (hospital.wang, other_hospital.lin, other_hospital.admin):
        assert request_link(person, hospital.lin.member_id).status == 404


def test_member_without_a_file_has_no_link(lin: Person) -> None:
    assert request_link(lin, lin.member_id).status == 404


def test_who_may_request_a_link(hospital: Hospital) -> None:
    assert request_link(hospital.chen, hospital.lin.member_id).status == 403
    assert get(LINK_PATH, member_id=hospital.lin.member_id).status == 401


@pytest.mark.parametrize("member_id", ["", "0", "-1", "a", "1.5", str(2**53)])
def test_invalid_member_id_is_named(lin: Person, member_id: str) -> None:
    response = request_link(lin, member_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "member_id")
