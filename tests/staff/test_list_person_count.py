"""Groups and labels with the number of their patients."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.staff import store
from tests.support import staff_client
from tests.support.factories import Hospital
from tests.support.staff_client import GROUP, LABEL, build_label_list

pytestmark = pytest.mark.usefixtures("everyone")


def test_labels_and_page_have_counts(hospital: Hospital) -> None:
    before = clock.now() // 1000
    first, second, empty = (staff_client.create_label(hospital.desk, name) for name in ("高血压", "糖尿病", "哮喘"))
    for labels in ([first], [first, second], []):
        staff_client.create_patient_file(hospital.desk, list=build_label_list(*labels))
    data = staff_client.list_person_counts(hospital.chen).data
    assert {name: data[name] for name in data if name != "list"} == {
        "page_num": 1,
        "page_size": 3,
        "total": 3,
        "pages": 1,
        "person_numbers": 3,
    }
    assert [(one["label_id"], one["person_number"]) for one in data["list"]] == [(first, 2), (second, 1), (empty, 0)]
    assert {one["user_name"] for one in data["list"]} == {"客服小李"}
    assert all(before <= one["create_time"] <= clock.now() // 1000 for one in data["list"])


def test_patient_is_counted_in_the_new_group(hospital: Hospital) -> None:
    old, new = (staff_client.create_label(hospital.desk, name, GROUP) for name in ("慢病", "术后"))
    pati_id = staff_client.create_patient_file(hospital.desk, pati_group_id=old)
    staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_group_id=new)
    assert [one["person_number"] for one in staff_client.list_person_counts(hospital.desk, GROUP).data["list"]] == [
        0,
        1,
    ]


def test_concurrent_changes_keep_counts_correct(hospital: Hospital) -> None:
    groups = [staff_client.create_label(hospital.desk, f"分组{n}", GROUP) for n in range(2)]
    labels = [staff_client.create_label(hospital.desk, f"标签{n}") for n in range(3)]
    patients = [staff_client.create_patient_file(hospital.desk, pati_name=f"林{n}") for n in range(3)]

    def move(number: int) -> None:
        chance = random.Random(number)
        for _ in range(6):
            group, some = chance.choice([*groups, ""]), chance.sample(labels, chance.randrange(4))
            fields: dict[str, Any] = {"pati_group_id": group, "list": build_label_list(*some)}
            response = staff_client.save_patient(hospital.desk, pati_id=chance.choice(patients), **fields)
            assert response.status == 200 or (response.status == 404 and labels[0] in some)
        if number == 0:
            assert staff_client.delete_label(hospital.desk, labels[0]).status == 200

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, range(4)))
    found = [staff_client.get_patient_info(hospital.desk, pati_id).data for pati_id in patients]
    for label in staff_client.list_person_counts(hospital.desk, GROUP).data["list"]:
        assert label["person_number"] == sum(one["pati_group_id"] == label["label_id"] for one in found)
    for label in staff_client.list_person_counts(hospital.desk, LABEL).data["list"]:
        under_it = [one for one in found for own in one["list"] if own["label_id"] == label["label_id"]]
        assert label["person_number"] == len(under_it)


def test_order_is_by_creation_ascending_or_descending(hospital: Hospital) -> None:
    label_ids = [staff_client.create_label(hospital.desk, name) for name in ("丙", "甲", "乙")]
    for order_type, expected in ((1, label_ids), ("2", label_ids[::-1])):
        listed = staff_client.list_person_counts(hospital.desk, LABEL, order_type).data["list"]
        assert [one["label_id"] for one in listed] == expected


def test_list_is_paged(hospital: Hospital) -> None:
    label_ids = [staff_client.create_label(hospital.desk, f"标签{number}") for number in range(5)]

    def get_page(**query: Any) -> tuple[list[str], list[int]]:
        data = staff_client.list_person_counts(hospital.desk, **query).data
        return [one["label_id"] for one in data["list"]], [data[n] for n in ("page_num", "page_size", "total", "pages")]

    assert get_page(page_num=1, page_size=2) == (label_ids[:2], [1, 2, 5, 3])
    assert get_page(page_num="3", page_size="2") == (label_ids[4:], [3, 2, 5, 3])
    assert get_page(page_num=4, page_size=2) == ([], [4, 2, 5, 3])
    assert get_page(page_num="", page_size="") == (label_ids, [1, 5, 5, 1])
    assert get_page(page_num=1, page_size="") == (label_ids, [1, 10, 5, 1])
    assert get_page(page_num="", page_size=3) == (label_ids[:3], [1, 3, 5, 2])
    assert get_page(page_num=1, page_size=101)[1] == [1, 100, 5, 1]


def test_hospital_without_labels_has_an_empty_list(hospital: Hospital) -> None:
    data = staff_client.list_person_counts(hospital.desk).data
    assert data == {"page_num": 1, "page_size": 0, "total": 0, "pages": 0, "person_numbers": 0, "list": []}


def test_patients_of_other_hospitals_are_not_counted(hospital: Hospital, other_hospital: Hospital) -> None:
    label = staff_client.create_label(hospital.desk, "高血压")
    staff_client.create_patient_file(hospital.desk, list=build_label_list(label))
    data = staff_client.list_person_counts(other_hospital.desk).data
    assert (data["list"], data["person_numbers"]) == ([], 0)


@pytest.mark.parametrize("name", ["label_type", "order_type", "page_num", "page_size"])
@pytest.mark.parametrize("value", ["-1", "a", "1.5", str(2**53), "３"])
def test_invalid_field_is_named(hospital: Hospital, name: str, value: str) -> None:
    response = staff_client.list_person_counts(hospital.desk, **{"page_num": 1, "page_size": 10, name: value})
    assert (response.status, response.error.partition("：")[0]) == (400, name)


@pytest.mark.parametrize("name", ["label_type", "order_type"])
def test_both_types_are_required(hospital: Hospital, name: str) -> None:
    assert staff_client.list_person_counts(hospital.desk, **{name: ""}).error.startswith(name)


@pytest.mark.store
@pytest.mark.parametrize(
    "sql",
    [
        store.LABEL_COUNT_SQL,
        store.PATIENT_COUNT_SQL,
        f"{store.LABELS_WITH_COUNTS_SQL} ORDER BY l.label_id DESC LIMIT 0, 10",
    ],
)
def test_statements_use_an_index(hospital: Hospital, sql: str) -> None:
    def explain(tx: mysql.Tx) -> list[mysql.Row]:
        for number in range(50):  # with fewer rows MySQL prefers a full scan
            store.insert_label(tx, hospital.tenant_id, 1, f"分组{number}", hospital.desk.user_id)
        tx.execute("ANALYZE TABLE patients, adm_group_label, adm_pati_label_rela, staff")
        return tx.fetch_all(
            f"EXPLAIN FORMAT=TRADITIONAL {sql}", tenant_id=hospital.tenant_id, label_type=1, merged="merged"
        )

    plan = mysql.run_autocommit(explain)
    assert plan
    for step in plan:
        assert step["key"], step
        assert step["type"] in ("ref", "eq_ref", "const", "range"), step
