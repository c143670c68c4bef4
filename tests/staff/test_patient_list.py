"""The list of patients for staff."""

from typing import Any

import pytest

from tests.support import staff_client
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_unused_id_number
from tests.support.staff_client import GROUP, build_label_list

pytestmark = pytest.mark.usefixtures("everyone")


def search_names(person: Person, **query: Any) -> list[str]:
    return [one["pati_name"] for one in staff_client.search_patients(person, **query).data["list"]]


def test_search_by_the_beginning_of_a_name_newest_first(hospital: Hospital) -> None:
    for name in ("林小雨", "林大雨", "王小林"):
        staff_client.create_patient_file(hospital.desk, pati_name=name)
    assert search_names(hospital.desk, pati_name="林") == ["林大雨", "林小雨"]
    assert search_names(hospital.desk, pati_name="林小雨") == ["林小雨"]
    assert search_names(hospital.admin) == ["王小林", "林大雨", "林小雨"]
    assert search_names(hospital.desk, pati_name="陈") == []


@pytest.mark.parametrize("wild", ["%", "_", "林%", "\\", "%雨", "'; --"])
def test_wildcards_are_matched_literally(hospital: Hospital, wild: str) -> None:
    staff_client.create_patient_file(hospital.desk, pati_name="林小雨")
    assert search_names(hospital.desk, pati_name=wild) == []
    staff_client.create_patient_file(hospital.desk, pati_name=f"{wild}雨")
    assert search_names(hospital.desk, pati_name=wild) == [f"{wild}雨"]


def test_search_by_phone_id_number_group_and_label(hospital: Hospital) -> None:
    group, label, number = (
        staff_client.create_label(hospital.desk, "慢病", GROUP),
        staff_client.create_label(hospital.desk, "高血压"),
        build_unused_id_number(),
    )
    staff_client.create_patient_file(
        hospital.desk, pati_id_number=number, pati_group_id=group, list=build_label_list(label)
    )
    staff_client.create_patient_file(
        hospital.desk, pati_name="王强", pati_phone="13800000002", list=build_label_list(label)
    )
    assert search_names(hospital.desk, pati_phone="13800000002") == ["王强"]
    assert search_names(hospital.desk, pati_id_number=number.lower()) == ["林小雨"]
    assert search_names(hospital.desk, pati_id_number=build_unused_id_number()) == []
    assert search_names(hospital.desk, label_id=group) == ["林小雨"]
    assert search_names(hospital.desk, label_id=label) == ["王强", "林小雨"]
    assert search_names(hospital.desk, label_id=label, pati_name="王", pati_phone="13800000002") == ["王强"]


def test_list_masks_phones_and_has_no_id_numbers(hospital: Hospital) -> None:
    number = build_unused_id_number()
    staff_client.create_patient_file(hospital.desk, pati_id_number=number)
    response = staff_client.search_patients(hospital.desk)
    (one,) = response.data["list"]
    assert one["pati_phone"] == "138****0001"
    assert (number not in str(response.body), "13800000001" not in str(response.body)) == (True, True)


def test_list_is_paged(hospital: Hospital) -> None:
    for number in range(3):
        staff_client.create_patient_file(hospital.desk, pati_name=f"林{number}")
    data = staff_client.search_patients(hospital.desk, page_num=2, page_size=2).data
    assert ([one["pati_name"] for one in data["list"]], data["total"], data["pages"]) == (["林0"], 3, 2)


def test_patients_of_other_hospitals_are_not_listed(hospital: Hospital, other_hospital: Hospital) -> None:
    label, number = staff_client.create_label(hospital.desk, "高血压"), build_unused_id_number()
    staff_client.create_patient_file(hospital.desk, pati_id_number=number, list=build_label_list(label))
    queries: list[dict[str, str]] = [{}, {"label_id": label}, {"pati_id_number": number}, {"pati_phone": "13800000001"}]
    assert [search_names(other_hospital.admin, **query) for query in queries] == [[], [], [], []]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("pati_name", "x" * 65),
            ("pati_phone", "138"),
            ("pati_id_number", "1" * 65),
            ("pati_id", "a"),
            ("card_no", "12"),
            ("pati_id_type", "证"),
            ("label_id", "a"),
        ),
        *(("page_num", "-1"), ("page_size", "a")),
    ],
)
def test_invalid_field_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = staff_client.search_patients(hospital.desk, **{name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)
