"""The bar code that a patient shows at the front desk."""

import base64

import pytest

from chalicelib.people import bar_code
from tests.support import bar_codes, factories
from tests.support.client import ApiResponse, get
from tests.support.factories import Hospital, Person

PATH = "/pati_service/wechat/query_bar_code"


def get_bar_code(person: Person, member_id: object, **headers: str) -> ApiResponse:
    return get(PATH, person.token, headers, member_id=member_id)


def test_bar_code_is_the_number_of_the_file(lin: Person) -> None:
    pati_id = factories.create_patient_file(lin)
    response = get_bar_code(lin, lin.member_id)
    assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
    assert bar_codes.decode_png(response.content) == str(pati_id)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html,image/avif,*/*;q=0.8", "application/json"])
def test_response_is_a_picture_for_any_accept_header(lin: Person, accept: str) -> None:
    pati_id = factories.create_patient_file(lin)
    assert bar_codes.decode_png(get_bar_code(lin, lin.member_id, Accept=accept).content) == str(pati_id)


def test_service_staff_see_bar_codes_of_all_patients(hospital: Hospital) -> None:
    pati_id = factories.create_patient_file(hospital.lin)
    for person in (hospital.desk, hospital.admin):
        assert bar_codes.decode_png(get_bar_code(person, hospital.lin.member_id).content) == str(pati_id)


def test_picture_is_deterministic(lin: Person) -> None:
    factories.create_patient_file(lin)
    assert get_bar_code(lin, lin.member_id).content == get_bar_code(lin, lin.member_id).content


def test_member_of_another_account_or_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    factories.create_patient_file(hospital.lin)
    for person in (hospital.wang, other_hospital.lin, other_hospital.admin):
        response = get_bar_code(person, hospital.lin.member_id)
        assert (response.status, response.code) == (404, 10004)


def test_member_without_a_file_has_no_bar_code(lin: Person) -> None:
    assert get_bar_code(lin, lin.member_id).status == 404


def test_doctors_are_not_allowed(hospital: Hospital) -> None:
    assert get_bar_code(hospital.chen, hospital.lin.member_id).status == 403


def test_token_is_required(lin: Person) -> None:
    assert get(PATH, member_id=lin.member_id).status == 401


@pytest.mark.parametrize("member_id", ["", "0", "-1", "a", "1.5", str(2**53)])
def test_invalid_member_id_is_named(lin: Person, member_id: str) -> None:
    response = get_bar_code(lin, member_id)
    assert (response.status, response.error.partition("：")[0]) == (400, "member_id")


@pytest.mark.parametrize("text", ["1", "1234567890123456", "A-z 9~!"])
def test_bar_code_decodes_to_the_encoded_text(text: str) -> None:
    assert bar_codes.decode_png(bar_code.render_png(text)) == text
    assert bar_codes.decode_png(base64.b64decode(bar_code.render_base64(text))) == text


def test_symbols_have_the_form_of_the_standard() -> None:
    """Three bars and three spaces, eleven modules wide, an even number of bar modules, and unique."""
    assert len(set(bar_code._SYMBOLS)) == 106
    for symbol in bar_code._SYMBOLS:
        widths = [int(width) for width in symbol]
        assert (len(widths), sum(widths), sum(widths[::2]) % 2) == (6, 11, 0)
