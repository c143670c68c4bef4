"""Identity documents: which numbers each type accepts, how they are stored, and which prove one identity."""

from datetime import date

import pytest

from chalicelib.people import documents
from chalicelib.people.documents import IdType, normalize_number
from tests.support.id_numbers import build_id_number

HONG_KONG, MACAU, TAIWAN = (build_id_number(area=area) for area in ("810000", "820000", "830000"))
FOREIGNER, CITIZEN = build_id_number(area="911156"), build_id_number()
ACCEPTED = [
    (IdType.RESIDENT_CARD, CITIZEN, CITIZEN),
    (IdType.RESIDENT_CARD, HONG_KONG, HONG_KONG),
    (IdType.HOUSEHOLD_REGISTER, CITIZEN, CITIZEN),
    (IdType.PASSPORT, "e12345678", "E12345678"),
    (IdType.PASSPORT, "AB 123-456", "AB123456"),
    (IdType.PASSPORT, "Ｇ１２３４５６７８", "G12345678"),
    (IdType.OFFICER_CARD, "军字第2001988号", "军字第2001988号"),
    (IdType.DRIVING_LICENCE, CITIZEN, CITIZEN),
    (IdType.HOME_RETURN_PERMIT, "H12345678", "H12345678"),
    (IdType.HOME_RETURN_PERMIT, "m1234567801", "M12345678"),
    (IdType.HOME_RETURN_PERMIT, "HA1234567", "HA1234567"),
    (IdType.HOME_RETURN_PERMIT, "MA123456702", "MA1234567"),
    (IdType.TAIWAN_PERMIT, "12345678", "12345678"),
    (IdType.TAIWAN_PERMIT, "1234567801", "12345678"),
    (IdType.TAIWAN_PERMIT, "1234567801（Ｂ）", "12345678"),
    (IdType.TAIWAN_PERMIT, "1234567801B", "12345678"),
    (IdType.FOREIGNER_CARD_OLD, "bra110085010203", "BRA110085010203"),
    (IdType.FOREIGNER_CARD, FOREIGNER, FOREIGNER),
    (IdType.HONG_KONG_MACAU_RESIDENCE, HONG_KONG, HONG_KONG),
    (IdType.HONG_KONG_MACAU_RESIDENCE, MACAU, MACAU),
    (IdType.TAIWAN_RESIDENCE, TAIWAN, TAIWAN),
    (IdType.BIRTH_CERTIFICATE, "t320123456", "T320123456"),
    (IdType.OTHER, "难民证 2024-001", "难民证2024-001"),
]
REJECTED = [
    (IdType.RESIDENT_CARD, ["", "1", CITIZEN[:17], CITIZEN[:17] + "A", "H12345678"]),
    (IdType.HOUSEHOLD_REGISTER, ["123456789"]),
    (IdType.PASSPORT, ["", "E123", "E" * 21, "护照12345"]),
    (IdType.OFFICER_CARD, ["123", "a" * 21]),
    (IdType.DRIVING_LICENCE, ["1234"]),
    (IdType.HOME_RETURN_PERMIT, ["H1234567", "C12345678", "H123456789", "HB1234567", "HA12345678", "12345678"]),
    (IdType.TAIWAN_PERMIT, ["1234567", "123456789", "A12345678", "12345678(B)"]),
    (IdType.FOREIGNER_CARD_OLD, ["BR110085010203", "BRA11008501020", "BRA1100850102034"]),
    (IdType.FOREIGNER_CARD, [CITIZEN, HONG_KONG, FOREIGNER[:17]]),
    (IdType.HONG_KONG_MACAU_RESIDENCE, [CITIZEN, TAIWAN]),
    (IdType.TAIWAN_RESIDENCE, [CITIZEN, HONG_KONG]),
    (IdType.BIRTH_CERTIFICATE, ["T32012345", "3320123456", "TT20123456"]),
    (IdType.OTHER, ["", "12", "x" * 33, "a\x00bc", "a/b/c"]),
]


@pytest.mark.parametrize(("id_type", "entered", "stored"), ACCEPTED)
def test_number_is_stored_in_one_form(id_type: IdType, entered: str, stored: str) -> None:
    assert normalize_number(id_type, entered) == stored
    assert normalize_number(id_type, stored) == stored


@pytest.mark.parametrize(("id_type", "numbers"), REJECTED)
def test_number_of_no_such_document_is_rejected(id_type: IdType, numbers: list[str]) -> None:
    for number in numbers:
        with pytest.raises(ValueError, match=r"[一-龥]"):
            normalize_number(id_type, number)


def test_every_type_is_tested_both_ways() -> None:
    assert {one for one, *_ in ACCEPTED} == {one for one, _ in REJECTED} == set(IdType) == set(documents.TYPE_NAMES)


def test_a_citizen_number_is_one_identity_whatever_shows_it() -> None:
    keys = {documents.identity_key(one, CITIZEN) for one in IdType if documents.is_citizen_number(one)}
    assert keys == {f"citizen:{CITIZEN}"}
    assert documents.identity_key(IdType.PASSPORT, CITIZEN) != f"citizen:{CITIZEN}"
    assert documents.identity_key(IdType.PASSPORT, "E1234") != documents.identity_key(IdType.OTHER, "E1234")


def test_blind_indexes_differ_by_hospital_and_type() -> None:
    card, register = (
        documents.build_document(1, one, CITIZEN) for one in (IdType.RESIDENT_CARD, IdType.HOUSEHOLD_REGISTER)
    )
    assert card.identity_blind == register.identity_blind
    assert card.number_blind != register.number_blind
    assert card.identity_blind != documents.build_document(2, IdType.RESIDENT_CARD, CITIZEN).identity_blind


def test_birthday_and_gender_must_agree_with_a_citizen_number() -> None:
    born = date(1990, 5, 17)
    documents.require_match(IdType.FOREIGNER_CARD, FOREIGNER, born, 2)
    documents.require_match(IdType.PASSPORT, "E12345678", born, 1)
    for birthday, gender in ((date(1990, 5, 18), 2), (born, 1)):
        with pytest.raises(ValueError, match="不一致"):
            documents.require_match(IdType.FOREIGNER_CARD, FOREIGNER, birthday, gender)


def test_number_without_a_type_may_be_of_several_documents() -> None:
    def list_types(number: str) -> set[str]:
        return {one.id_type for one in documents.list_possible_documents(1, number)}

    assert {"07", "03"} <= list_types("1234567801")
    assert {"06"} <= list_types("h1234567801")
    assert {"01", "02"} <= list_types(CITIZEN)
    assert list_types("x") == set()


@pytest.mark.parametrize("id_type", IdType)
def test_types_on_the_wire_are_parsed_as_they_are_formatted(id_type: IdType) -> None:
    assert documents.parse_wire_type(documents.format_wire_type(id_type)) == id_type
    assert documents.parse_protocol_type(documents.format_protocol_type(id_type)) == id_type


def test_99_means_another_document_or_in_document_003_the_resident_card() -> None:
    assert (documents.parse_wire_type("99"), documents.parse_wire_type("")) == (IdType.OTHER, IdType.RESIDENT_CARD)
    assert {documents.parse_protocol_type(one) for one in ("", "01", "99")} == {IdType.RESIDENT_CARD}
    assert documents.format_protocol_type(IdType.RESIDENT_CARD) == "99"
    with pytest.raises(ValueError, match="证件类型不存在"):
        documents.parse_wire_type("08")
