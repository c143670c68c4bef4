"""The guardian of a child, as staff enter and see them."""

from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from tests.support import staff_client
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number
from tests.support.staff_client import create_patient_file, get_patient_info, save_patient

pytestmark = pytest.mark.store

GUARDIAN = {"name": "林大山", "IDNo": build_id_number(order=3), "phone": "13800000003", "relation": 3, "consent": True}


def save_child(hospital: Hospital, years: int, **fields: Any) -> str:
    birthday = clock.today().replace(year=clock.today().year - years, day=1)
    return create_patient_file(hospital.desk, pati_birthday=f"{birthday}", guardian=GUARDIAN, **fields)


def test_guardian_is_shown_in_full_to_the_front_desk(hospital: Hospital) -> None:
    pati_id = save_child(hospital, 10)
    shown = {"name": "林大山", "id_type": "99", "id_number": GUARDIAN["IDNo"], "phone": "13800000003", "relation": 3}
    for person in (hospital.desk, hospital.admin):
        assert get_patient_info(person, pati_id).data["guardian"] == shown
    changed = {**GUARDIAN, "idType": "03", "IDNo": "E12345678", "phone": "13800000004"}
    save_patient(hospital.desk, pati_id=pati_id, guardian=changed)
    found = get_patient_info(hospital.desk, pati_id).data["guardian"]
    assert found == {**shown, "id_type": "03", "id_number": "E12345678", "phone": "13800000004"}


def test_doctors_see_the_guardian_of_small_children_without_the_document(hospital: Hospital) -> None:
    small, big = save_child(hospital, 5), save_child(hospital, 6, pati_name="林大宝")
    shown = {"name": "林大山", "id_type": "", "id_number": "", "phone": "13800000003", "relation": 3}
    assert get_patient_info(hospital.chen, small, reason="会诊").data["guardian"] == shown
    assert get_patient_info(hospital.chen, big, reason="会诊").data["guardian"] is None


def read_guardian_row(pati_id: str) -> Any:
    return mysql.autocommit.fetch_one("SELECT * FROM guardians WHERE pati_id = %(id)s", id=pati_id)


@pytest.mark.parametrize("years", [2, 10])
def test_page_that_posts_a_child_back_changes_nothing(hospital: Hospital, years: int) -> None:
    """Not even who entered the guardian, and when they consented. A doctor does not see all of it."""
    pati_id = save_child(hospital, years)
    before = read_guardian_row(pati_id)
    reasons: list[tuple[Person, dict[str, Any]]] = [(hospital.admin, {}), (hospital.chen, {"reason": "会诊"})]
    for person, reason in reasons:
        info = get_patient_info(person, pati_id, **reason).data
        response = post(f"{staff_client.STAFF_PATH}/patient", person.token, **info, **reason)
        assert response.status == 200, response.body
        assert get_patient_info(person, pati_id, **reason).data == info
    assert read_guardian_row(pati_id) == before


def test_change_of_a_guardian_needs_consent_and_another_guardian_a_document(hospital: Hospital) -> None:
    pati_id = save_child(hospital, 2)
    shown = get_patient_info(hospital.desk, pati_id).data["guardian"]

    def save(**changed: Any) -> ApiResponse:
        return save_patient(hospital.desk, pati_id=pati_id, guardian={**shown, **changed})

    hidden = {"id_type": "", "id_number": ""}
    assert save(phone="13800000009").error == "guardian.consent：更换或修改监护人须经监护人同意"
    assert save(**hidden, name="林二山", consent=True).error == "guardian.IDNo：请填写监护人的证件号码"
    assert save(id_number="1", consent=True).error.startswith("guardian.id_number：")
    assert save(id_type="77", consent=True).error.startswith("guardian.id_type：")
    assert get_patient_info(hospital.desk, pati_id).data["guardian"] == shown
    assert save(**hidden, phone="13800000009", consent=True).status == 200
    assert get_patient_info(hospital.desk, pati_id).data["guardian"] == {**shown, "phone": "13800000009"}
    assert save(id_type="03", id_number="e12345678", consent=True).status == 200
    changed = {**shown, "id_type": "03", "id_number": "E12345678"}
    assert get_patient_info(hospital.desk, pati_id).data["guardian"] == changed


@pytest.mark.parametrize("missing", ["IDNo", "consent"])
def test_new_guardian_needs_document_and_consent(hospital: Hospital, missing: str) -> None:
    guardian = {name: value for name, value in GUARDIAN.items() if name != missing}
    response = save_patient(hospital.desk, guardian=guardian)
    assert response.status == 400
    assert response.error.startswith(f"guardian.{missing}：")
