"""The bar code that a patient shows at the desk."""

import base64

import pytest

from chalicelib.people import bar_code
from tests.support import bar_codes, factories
from tests.support.client import Answer, get
from tests.support.factories import Hospital, Person

PATH = "/pati_service/wechat/query_bar_code"


def shown(person: Person, member_id: object, **headers: str) -> Answer:
    return get(PATH, person.token, headers, member_id=member_id)


def test_lins_bar_code_is_the_number_of_her_file(lin: Person) -> None:
    pati_id = factories.create_patient_file(lin)
    answer = shown(lin, lin.member_id)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/png")
    assert bar_codes.decode_png(answer.content) == str(pati_id)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html,image/avif,*/*;q=0.8", "application/json"])
def test_it_is_a_picture_whatever_the_browser_accepts(lin: Person, accept: str) -> None:
    pati_id = factories.create_patient_file(lin)
    assert bar_codes.decode_png(shown(lin, lin.member_id, Accept=accept).content) == str(pati_id)


def test_the_desk_sees_every_patients(hospital: Hospital) -> None:
    pati_id = factories.create_patient_file(hospital.lin)
    for person in (hospital.desk, hospital.admin):
        assert bar_codes.decode_png(shown(person, hospital.lin.member_id).content) == str(pati_id)


def test_asking_again_gives_the_same_picture(lin: Person) -> None:
    factories.create_patient_file(lin)
    assert shown(lin, lin.member_id).content == shown(lin, lin.member_id).content


def test_another_patient_and_another_hospital_find_no_member(hospital: Hospital, other_hospital: Hospital) -> None:
    factories.create_patient_file(hospital.lin)
    for person in (hospital.wang, other_hospital.lin, other_hospital.admin):
        answer = shown(person, hospital.lin.member_id)
        assert (answer.status, answer.code) == (404, 10004)


def test_a_member_without_a_file_has_no_bar_code(lin: Person) -> None:
    assert shown(lin, lin.member_id).status == 404


def test_a_doctor_has_no_use_for_it(hospital: Hospital) -> None:
    assert shown(hospital.chen, hospital.lin.member_id).status == 403


def test_nobody_sees_it_without_a_token(lin: Person) -> None:
    assert get(PATH, member_id=lin.member_id).status == 401


@pytest.mark.parametrize("member_id", ["", "0", "-1", "a", "1.5", str(2**53)])
def test_a_bad_member_id_is_refused_by_name(lin: Person, member_id: str) -> None:
    answer = shown(lin, member_id)
    assert (answer.status, answer.error.partition("：")[0]) == (400, "member_id")


@pytest.mark.parametrize("text", ["1", "1234567890123456", "A-z 9~!"])
def test_a_scanner_reads_what_was_drawn(text: str) -> None:
    assert bar_codes.decode_png(bar_code.render_png(text)) == text
    assert bar_codes.decode_png(base64.b64decode(bar_code.render_base64(text))) == text


def test_the_symbols_are_those_of_the_standard() -> None:
    """Each is three bars and three spaces, eleven modules wide, with an even sum of bars, and unlike every other."""
    assert len(set(bar_code._SYMBOLS)) == 106
    for symbol in bar_code._SYMBOLS:
        widths = [int(width) for width in symbol]
        assert (len(widths), sum(widths), sum(widths[::2]) % 2) == (6, 11, 0)
