"""merge_patients, split_patients and patient_merges: invalid requests, requests of others, the audit log."""

from typing import Any

import pytest

from chalicelib.people.patient_status import PatientStatus
from tests.support import front_desk_client
from tests.support.booking_client import list_rows
from tests.support.factories import Hospital, Person
from tests.support.front_desk_client import (
    Declared,
    declare,
    file_patient,
    get_file,
    merge_patients,
    split_patients,
)
from tests.support.id_numbers import build_unused_id_number


@pytest.fixture
def verified(hospital: Hospital, number: str) -> int:
    return file_patient(hospital.desk, number)


@pytest.fixture
def declared(wang: Person, number: str) -> Declared:
    """A self-declared file of the same identity, in Wang's account."""
    return declare(wang, number)


def test_files_and_merges_of_others_are_not_found(
    hospital: Hospital, other_hospital: Hospital, verified: int, declared: Declared
) -> None:
    elsewhere = file_patient(other_hospital.desk, build_unused_id_number())
    for source, target in ((elsewhere, verified), (declared.pati_id, elsewhere), (999_999_999, verified)):
        assert merge_patients(hospital.desk, source, target).status == 404
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    for desk, named in ((other_hospital.desk, merge_id), (hospital.desk, 999_999_999)):
        assert split_patients(desk, named).status == 404
    assert get_file(declared.pati_id)["status"] == PatientStatus.MERGED


@pytest.mark.parametrize("reason", ["", " ", None, "x", "x" * 256, "a\nb"])
def test_reason_is_required(hospital: Hospital, verified: int, declared: Declared, reason: Any) -> None:
    responses = [merge_patients(hospital.desk, declared.pati_id, verified, reason)]
    merge_id = merge_patients(hospital.desk, declared.pati_id, verified).data["merge_id"]
    responses.append(split_patients(hospital.desk, merge_id, reason))
    for response in responses:
        assert (response.status, response.error.partition("：")[0]) == (400, "reason")


@pytest.mark.parametrize("value", ["x", "", None, 0, True, 2**53])
def test_invalid_ids_are_named(hospital: Hospital, value: Any) -> None:
    assert merge_patients(hospital.desk, value, 1).error.startswith("source：")
    assert merge_patients(hospital.desk, 1, value).error.startswith("target：")
    assert split_patients(hospital.desk, value).error.startswith("merge_id：")


def test_merges_are_listed_and_audited(hospital: Hospital, verified: int, declared: Declared) -> None:
    desk, admin = hospital.desk, hospital.admin
    merge_id = merge_patients(desk, declared.pati_id, verified).data["merge_id"]
    split_patients(admin, merge_id, "误合并，不是同一人")
    for pati_id in (declared.pati_id, verified):
        [found] = front_desk_client.list_merges(desk, pati_id).data
        times = (found.pop("merge_time"), found.pop("split_time"))
        assert all(times)
        assert found == {
            "merge_id": merge_id,
            "source": str(declared.pati_id),
            "target": str(verified),
            "how": "front_desk",
            "merge_by": "客服小李",
            "split_by": "管理员",
        }
    entries = list_rows("audit_log", hospital)
    recorded = [(one["action"], one["actor"].decode(), one["subject"].decode(), one["reason"]) for one in entries]
    assert recorded == [
        ("merge_patients", desk.principal, f"patient:{verified}", front_desk_client.REASON),
        ("split_patients", admin.principal, f"patient:{verified}", "误合并，不是同一人"),
    ]
    assert entries[0]["detail"] == f'{{"source": {declared.pati_id}, "merge_id": {merge_id}}}'
