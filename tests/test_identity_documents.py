"""A person with any identity document registers, books, is found and has a bar code, as do persons whose names vary."""

import base64
from typing import Any

import pytest

from chalicelib.people.documents import IdType
from tests.support import bar_codes, booking_client, staff_client
from tests.support.accounts_client import add_member, list_members
from tests.support.booking_client import BookingDepartment, get_iso_date
from tests.support.client import get
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number

pytestmark = pytest.mark.store

BIRTHDAY, GENDER = "1990-05-17", 2
BAR_CODE_PATH = "/pati_service/wechat/query_bar_code"
# Number as entered, and as stored.
NUMBERS = {
    IdType.RESIDENT_CARD: (build_id_number().lower(), build_id_number()),
    IdType.HOUSEHOLD_REGISTER: (build_id_number(order=4), build_id_number(order=4)),
    IdType.PASSPORT: ("ea1234567", "EA1234567"),
    IdType.OFFICER_CARD: ("军字第2001988号", "军字第2001988号"),
    IdType.DRIVING_LICENCE: ("D110105", "D110105"),
    IdType.HOME_RETURN_PERMIT: ("H1234567801", "H12345678"),
    IdType.TAIWAN_PERMIT: ("1234567801（B）", "12345678"),
    IdType.FOREIGNER_CARD_OLD: ("BRA110085010203", "BRA110085010203"),
    IdType.FOREIGNER_CARD: (build_id_number(area="911156"), build_id_number(area="911156")),
    IdType.HONG_KONG_MACAU_RESIDENCE: (build_id_number(area="810000"), build_id_number(area="810000")),
    IdType.TAIWAN_RESIDENCE: (build_id_number(area="830000"), build_id_number(area="830000")),
    IdType.BIRTH_CERTIFICATE: ("T320123456", "T320123456"),
    IdType.OTHER: ("联合国难民证 12-345", "联合国难民证12-345"),
}


@pytest.fixture
def department(hospital: Hospital) -> BookingDepartment:
    return booking_client.create_department(hospital)


def find(person: Person, **query: Any) -> list[str]:
    return [one["pati_id"] for one in staff_client.search_patients(person, **query).data["list"]]


def test_every_document_type_is_tested() -> None:
    assert NUMBERS.keys() == set(IdType)


@pytest.mark.parametrize("id_type", IdType)
def test_patient_with_the_document_registers_books_is_found_and_has_a_bar_code(
    department: BookingDepartment, id_type: IdType
) -> None:
    hospital, lin = department.hospital, department.hospital.lin
    entered, stored = NUMBERS[id_type]
    wire_type, protocol_type = {"OT": ("99", "OT"), "01": ("01", "99")}.get(id_type, (id_type, id_type))
    member_id = add_member(lin, entered, idType=wire_type, birthday=BIRTHDAY, phone="+85291234567").data["memberId"]
    member = list_members(lin)[-1]
    assert (member["memberId"], member["idType"], member["IDNo"]) == (member_id, wire_type, stored)
    assert add_member(lin, stored, idType=wire_type, birthday=BIRTHDAY).data["memberId"] == member_id

    schedule_id = department.create_schedule()
    book_id = department.submit(lin, schedule_id, 1, member_id).data["bookId"]
    assert department.get_booking(lin, book_id).data["memberIDNo"] == stored

    pati_id = member["bindPatiId"]
    assert bar_codes.decode_png(base64.b64decode(member["patiImg"])) == pati_id
    assert bar_codes.decode_png(get(BAR_CODE_PATH, hospital.desk.token, member_id=member_id).content) == pati_id
    for query in ({"pati_id_number": entered}, {"pati_id_number": stored, "pati_id_type": protocol_type}):
        assert find(hospital.desk, **query) == [pati_id]
    assert pati_id in find(hospital.desk, pati_phone="+85291234567")
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert (found["pati_id_type"], found["pati_id_number"], found["verified"]) == (protocol_type, stored, False)
    [booked] = get(f"{staff_client.STAFF_PATH}/day_bookings", hospital.desk.token, date=get_iso_date(1)).data["list"]
    assert (booked["pati_id"], booked["pati_phone"]) == (pati_id, "+85****4567")


@pytest.mark.parametrize("id_type", IdType)
def test_front_desk_files_the_document_once(hospital: Hospital, id_type: IdType) -> None:
    entered, stored = NUMBERS[id_type]
    protocol_type = "99" if id_type == "01" else id_type.value
    fields = {"pati_id_type": protocol_type, "pati_birthday": BIRTHDAY, "pati_gender": GENDER}
    pati_id = staff_client.create_patient_file(hospital.desk, pati_id_number=entered, **fields)
    assert staff_client.create_patient_file(hospital.admin, pati_id_number=stored, **fields) == pati_id
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert found["documents"] == [{"id_type": protocol_type, "id_number": stored, "id_country": "", "verified": True}]
    assert (found["verified"], find(hospital.desk, pati_id_number=entered)) == (True, [pati_id])
    assert find(hospital.desk, card_no=found["card_no"]) == find(hospital.desk, pati_id=pati_id) == [pati_id]
    posted_back = {name: found[name] for name in ("pati_id", "pati_name", "pati_phone", "documents")}
    fields |= {"pati_id_type": found["pati_id_type"], "pati_id_number": found["pati_id_number"]}
    assert staff_client.save_patient(hospital.desk, **{**fields, **posted_back}).status == 200
    assert staff_client.get_patient_info(hospital.desk, pati_id).data == found


@pytest.mark.parametrize(
    ("filed", "entered"),
    [
        ("古丽·艾山", "古丽•艾山"),
        ("古丽·艾山", "古丽.艾山"),
        ("古丽·艾山", "古丽艾山"),
        ("张　三", "张三"),
        ("SMITH JOHN", "Smith  John"),
        ("王\ue863", "王䶮"),
    ],
)
def test_name_typed_in_another_way_is_the_same_name(hospital: Hospital, lin: Person, filed: str, entered: str) -> None:
    number = build_id_number(order=6)
    fields = {"pati_id_number": number, "pati_phone": "13800000077"}
    pati_id = staff_client.create_patient_file(hospital.desk, pati_name=filed, **fields)
    assert staff_client.create_patient_file(hospital.desk, pati_name=entered, **fields) == pati_id
    assert staff_client.get_patient_info(hospital.desk, pati_id).data["pati_name"] == filed
    assert add_member(lin, number, name=entered).status == 200
    assert list_members(lin)[-1]["name"] == entered
    assert len(find(hospital.desk, pati_name=entered)) == len(find(hospital.desk, pati_name=filed)) == 2
