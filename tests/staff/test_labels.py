"""Groups and labels: save_group_label, list, del_group_label."""

from functools import partial
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.staff import store
from tests.support import staff_client
from tests.support.factories import Hospital
from tests.support.staff_client import GROUP, LABEL, build_label_list
from tests.support.threads import run_in_threads


def get_names(response: Any) -> list[str]:
    return [one["label_name"] for one in response.data["list"]]


def test_labels_are_listed_by_creation(hospital: Hospital) -> None:
    for name in ("高血压", "糖尿病", "哮喘"):
        assert staff_client.save_label(hospital.desk, name).data is None
    for person in (hospital.desk, hospital.admin, hospital.chen):
        assert get_names(staff_client.list_labels(person)) == ["高血压", "糖尿病", "哮喘"]


def test_groups_and_labels_are_separate(hospital: Hospital) -> None:
    staff_client.create_label(hospital.desk, "慢病", GROUP)
    staff_client.create_label(hospital.desk, "慢病", LABEL)
    assert (
        get_names(staff_client.list_labels(hospital.desk, GROUP))
        == get_names(staff_client.list_labels(hospital.desk, LABEL))
        == ["慢病"]
    )


def test_name_is_unique(hospital: Hospital) -> None:
    staff_client.create_label(hospital.desk, "高血压")
    response = staff_client.save_label(hospital.admin, " 高血压 ")
    assert (response.status, response.code, response.error) == (409, 10005, "标签名称已存在")
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压"]


def age_labels(hospital: Hospital, seconds: int) -> None:
    sql = "UPDATE adm_group_label SET created_at = created_at - %(age)s WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, age=seconds * clock.SECOND, id=hospital.tenant_id)


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize("label_type", [GROUP, LABEL])
def test_double_click_creates_one_label_and_both_requests_succeed(hospital: Hospital, label_type: int) -> None:
    for name in ("高血压", " 高血压 "):
        assert staff_client.save_label(hospital.desk, name, label_type).status == 200
    assert get_names(staff_client.list_labels(hospital.desk, label_type)) == ["高血压"]
    age_labels(hospital, 6)
    assert staff_client.save_label(hospital.desk, "高血压", label_type).status == 409


@pytest.mark.usefixtures("frozen_clock")
def test_repeated_request_with_its_idempotency_key_succeeds_later_too(hospital: Hospital) -> None:
    key = {"Idempotency-Key": "k1"}
    assert staff_client.save_label(hospital.desk, "高血压", headers=key).status == 200
    age_labels(hospital, 60)
    assert staff_client.save_label(hospital.desk, "高血压", headers=key).status == 200
    response = staff_client.save_label(hospital.desk, "糖尿病", headers=key)
    assert (response.status, response.error) == (409, "Idempotency-Key：已用于另一个名称")
    for headers in (None, {"Idempotency-Key": "k2"}):
        assert staff_client.save_label(hospital.desk, "高血压", headers=headers).error == "标签名称已存在"
    assert staff_client.save_label(hospital.admin, "糖尿病", headers=key).status == 200, "a key is its sender's own"
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压", "糖尿病"]


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.store
def test_concurrent_requests_create_one_label(hospital: Hospital) -> None:
    calls = [
        partial(staff_client.save_label, person, "高血压") for person in [hospital.desk] * 4 + [hospital.admin] * 4
    ]
    responses = run_in_threads(calls)
    assert sorted(one.status for one in responses) == [200] * 4 + [409] * 4, "those of the first sender succeed"
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压"]


def test_renamed_label_keeps_position_and_patients(hospital: Hospital) -> None:
    first = staff_client.create_label(hospital.desk, "高血压")
    staff_client.create_label(hospital.desk, "糖尿病")
    pati_id = staff_client.create_patient_file(hospital.desk, list=build_label_list(first))
    for name in ("高血压二级", "高血压二级"):  # the same request twice
        assert staff_client.save_label(hospital.desk, name, LABEL, first).status == 200
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压二级", "糖尿病"]
    assert staff_client.get_patient_info(hospital.desk, pati_id).data["list"] == [
        {"label_name": "高血压二级", "label_id": first}
    ]


def test_label_is_not_renamed_to_an_existing_name(hospital: Hospital) -> None:
    staff_client.create_label(hospital.desk, "高血压")
    second = staff_client.create_label(hospital.desk, "糖尿病")
    assert staff_client.save_label(hospital.desk, "高血压", LABEL, second).status == 409
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压", "糖尿病"]


def test_labels_are_per_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    label_id = staff_client.create_label(hospital.desk, "高血压")
    assert get_names(staff_client.list_labels(other_hospital.desk)) == []
    for response in (
        staff_client.save_label(other_hospital.desk, "别的", LABEL, label_id),
        staff_client.delete_label(other_hospital.desk, label_id),
        staff_client.save_patient(other_hospital.desk, list=build_label_list(label_id)),
    ):
        assert (response.status, response.code) == (404, 10004)
    assert staff_client.save_label(other_hospital.desk, "高血压").status == 200
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压"]


def test_label_is_not_found_as_a_group(hospital: Hospital) -> None:
    label_id = staff_client.create_label(hospital.desk, "高血压", LABEL)
    assert staff_client.save_label(hospital.desk, "慢病", GROUP, label_id).status == 404
    assert staff_client.delete_label(hospital.desk, label_id, GROUP).status == 404
    assert staff_client.save_patient(hospital.desk, pati_group_id=label_id).error == "分组不存在"
    assert get_names(staff_client.list_labels(hospital.desk)) == ["高血压"]


def test_deleted_label_is_removed_from_patients_and_frees_its_name(hospital: Hospital) -> None:
    group, label = (
        staff_client.create_label(hospital.desk, "慢病", GROUP),
        staff_client.create_label(hospital.desk, "高血压"),
    )
    pati_id = staff_client.create_patient_file(hospital.desk, pati_group_id=group, list=build_label_list(label))
    assert staff_client.delete_label(hospital.desk, group, GROUP).data is None
    assert staff_client.delete_label(hospital.desk, label).data is None
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert (found["pati_group_id"], found["pati_group_name"], found["list"]) == ("", "", [])
    assert get_names(staff_client.list_labels(hospital.desk)) == []
    count = "SELECT COUNT(*) FROM adm_pati_label_rela WHERE tenant_id = %(id)s"
    assert mysql.autocommit.fetch_value(count, id=hospital.tenant_id) == 0
    assert staff_client.create_label(hospital.desk, "高血压") != label


def test_adding_a_patient_waits_for_a_concurrent_deletion_and_fails(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    label_id, real = staff_client.create_label(hospital.desk, "高血压"), store.list_patient_labels

    def delete_concurrently(tx: mysql.Tx, pati_id: int) -> Any:
        monkeypatch.setattr(store, "list_patient_labels", real)
        assert staff_client.delete_label(hospital.desk, label_id).status == 200
        return real(tx, pati_id)

    monkeypatch.setattr(store, "list_patient_labels", delete_concurrently)
    assert staff_client.save_patient(hospital.desk, list=build_label_list(label_id)).error == "标签不存在"
    assert staff_client.list_person_counts(hospital.desk).data["person_numbers"] == 0


def test_deleting_a_deleted_label_fails(hospital: Hospital) -> None:
    label_id = staff_client.create_label(hospital.desk, "高血压")
    assert staff_client.delete_label(hospital.desk, label_id).status == 200
    assert (
        staff_client.delete_label(hospital.desk, label_id).status,
        staff_client.save_label(hospital.desk, "新", LABEL, label_id).status,
    ) == (
        404,
        404,
    )


@pytest.mark.parametrize("name", [None, "", "  ", "x" * 65, "高\x00压", "高\n压", 12, ["高血压"], True])
def test_invalid_name_is_named(hospital: Hospital, name: Any) -> None:
    response = staff_client.save_label(hospital.desk, name)
    assert (response.status, response.code, response.error.partition("：")[0]) == (400, 10001, "label_name")


@pytest.mark.parametrize("label_type", [None, "", 0, 3, "3", 1.5, True, "分组"])
def test_invalid_type_is_named(hospital: Hospital, label_type: Any) -> None:
    for response in (
        staff_client.save_label(hospital.desk, "高血压", label_type),
        staff_client.delete_label(hospital.desk, 1, label_type),
        staff_client.list_labels(hospital.desk, label_type),
    ):
        assert (response.status, response.error.partition("：")[0]) == (400, "label_type")


@pytest.mark.parametrize("label_id", [-1, "a", 2**53, True, []])
def test_invalid_id_is_named(hospital: Hospital, label_id: Any) -> None:
    for response in (
        staff_client.save_label(hospital.desk, "高血压", LABEL, label_id),
        staff_client.delete_label(hospital.desk, label_id),
    ):
        assert (response.status, response.error.partition("：")[0]) == (400, "label_id")
