"""建档: staff create and change patient files."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier, Event
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.people import patients
from tests.support import staff_client
from tests.support.factories import Hospital
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.staff_client import GROUP, build_label_list


def test_file_contains_all_fields(hospital: Hospital) -> None:
    group, label = (
        staff_client.create_label(hospital.desk, "慢病", GROUP),
        staff_client.create_label(hospital.desk, "高血压"),
    )
    fields: dict[str, Any] = {
        "pati_id_type": "99",
        "pati_id_number": build_unused_id_number(),
        "pati_province": "广东省",
        "pati_city": "广州市",
        "pati_county": "越秀区",
        "pati_address": "中山二路 1 号",
        "cont_name": "王强",
        "cont_relation": 2,
        "cont_phone": "13800000002",
        "pati_group_id": group,
        "list": [{"label_id": label, "label_name": "高血压"}],
    }
    data = staff_client.save_patient(hospital.chen, **fields).data
    assert data["list"] == fields["list"]
    found = staff_client.get_patient_info(hospital.desk, data["pati_id"]).data
    assert {name: found[name] for name in found if name not in ("pati_age", "pati_create_time", "card_no")} == {
        **staff_client.LIN_FIELDS,
        **fields,
        "pati_id": data["pati_id"],
        "pati_gender": 2,
        "phone_confirmed": False,  # a doctor has entered it
        "pati_group_name": "慢病",
        "pati_splice_address": "广东省广州市越秀区中山二路 1 号",
        "pati_photo": "",
        "trea_id": "",
        "documents": [{"id_type": "99", "id_number": fields["pati_id_number"], "id_country": "", "verified": True}],
        "status": "verified",
        "verified": True,
        "description": "",
        "merged_into": "",
        "guardian": None,
    }
    assert found["card_no"].isdigit()


def test_four_fields_are_sufficient(hospital: Hospital) -> None:
    found = staff_client.get_patient_info(hospital.desk, staff_client.create_patient_file(hospital.desk)).data
    assert (found["pati_id_number"], found["cont_relation"], found["list"], found["pati_group_id"]) == (
        "",
        None,
        [],
        "",
    )


def test_change_keeps_absent_fields(hospital: Hospital) -> None:
    group, label, number = (
        staff_client.create_label(hospital.desk, "慢病", GROUP),
        staff_client.create_label(hospital.desk, "高血压"),
        build_unused_id_number(),
    )
    first = {"pati_id_number": number, "pati_city": "广州市", "cont_relation": 2, "pati_group_id": group}
    pati_id = staff_client.create_patient_file(hospital.desk, **first, list=build_label_list(label))
    before = staff_client.get_patient_info(hospital.desk, pati_id).data
    staff_client.save_patient(hospital.desk, pati_id=int(pati_id), pati_phone="13800000009")
    assert staff_client.get_patient_info(hospital.desk, pati_id).data == {**before, "pati_phone": "13800000009"}


def test_change_clears_empty_fields(hospital: Hospital) -> None:
    group, label = (
        staff_client.create_label(hospital.desk, "慢病", GROUP),
        staff_client.create_label(hospital.desk, "高血压"),
    )
    first = {
        "pati_id_number": build_unused_id_number(),
        "pati_city": "广州市",
        "cont_relation": 2,
        "pati_group_id": group,
    }
    pati_id = staff_client.create_patient_file(hospital.desk, **first, list=build_label_list(label))
    empty: dict[str, Any] = dict.fromkeys((*first, "cont_phone"), "")
    assert staff_client.save_patient(hospital.desk, pati_id=pati_id, **empty, list=[]).data["list"] == []
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert [found[name] for name in first] == ["", "", None, ""]
    assert found["list"] == []


def test_repeated_change_has_no_further_effect(hospital: Hospital) -> None:
    pati_id, label = staff_client.create_patient_file(hospital.desk), staff_client.create_label(hospital.desk, "高血压")
    responses = [
        staff_client.save_patient(hospital.desk, pati_id=pati_id, list=build_label_list(label, label)).data
        for _ in range(2)
    ]
    assert responses[0] == responses[1]


def test_id_number_has_one_file_with_one_name(hospital: Hospital) -> None:
    number = build_unused_id_number()
    pati_id = staff_client.create_patient_file(hospital.desk, pati_id_number=number)
    again = staff_client.save_patient(
        hospital.admin, pati_id_number=number.lower(), pati_id_type="01", pati_phone="13800000009"
    )
    assert again.data["pati_id"] == pati_id
    assert staff_client.get_patient_info(hospital.desk, pati_id).data["pati_phone"] == "13800000009"
    response = staff_client.save_patient(hospital.desk, pati_id_number=number, pati_name="林大雨")
    assert (response.status, response.code, response.error) == (409, 10005, "该证件号码已用另一姓名建档")
    assert number not in str(response.body)


def test_id_number_of_another_file_is_rejected(hospital: Hospital) -> None:
    number = build_unused_id_number()
    staff_client.create_patient_file(hospital.desk, pati_id_number=number)
    other = staff_client.create_patient_file(hospital.desk, pati_name="林小雨")
    assert staff_client.save_patient(hospital.desk, pati_id=other, pati_id_number=number).status == 409
    assert staff_client.get_patient_info(hospital.desk, other).data["pati_id_number"] == ""


def test_passport_is_not_checked_as_an_id_card(hospital: Hospital) -> None:
    data = staff_client.save_patient(hospital.desk, pati_id_type="03", pati_id_number="e12345678").data
    found = staff_client.get_patient_info(hospital.desk, data["pati_id"]).data
    assert (found["pati_id_type"], found["pati_id_number"]) == ("03", "E12345678")


def test_eight_concurrent_requests_create_one_file(hospital: Hospital) -> None:
    number, start = build_unused_id_number(), Barrier(8)

    def save(_: int) -> str:
        start.wait()
        return staff_client.create_patient_file(hospital.desk, pati_id_number=number)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(save, range(8)))) == 1


def test_idempotency_key_creates_one_file_and_rejects_other_content(hospital: Hospital) -> None:
    key, start = {"Idempotency-Key": "k1"}, Barrier(4)

    def save(_: int) -> str:
        start.wait()
        return str(staff_client.save_patient(hospital.desk, key).data["pati_id"])

    with ThreadPoolExecutor(4) as pool:
        (pati_id,) = set(pool.map(save, range(4)))
    response = staff_client.save_patient(hospital.desk, key, pati_name="王小雨")
    assert (response.status, response.code) == (409, 10005)
    assert staff_client.save_patient(hospital.chen, key).data["pati_id"] != pati_id, "a key is its sender's own"
    assert staff_client.create_patient_file(hospital.desk) != pati_id


def count_files(hospital: Hospital) -> int:
    return int(staff_client.list_person_counts(hospital.desk).data["person_numbers"])


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.store
def test_double_click_creates_one_file(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    group = staff_client.create_label(hospital.desk, "慢病", GROUP)
    labels = build_label_list(staff_client.create_label(hospital.desk, "高血压"))
    reached, proceed, look_up = Event(), Event(), patients.list_double_submissions

    def pause(*arguments: Any) -> list[int]:
        found = look_up(*arguments)
        reached.set()
        assert proceed.wait(10)
        return found

    def save() -> Any:
        return staff_client.save_patient(hospital.desk, pati_group_id=group, list=labels).data

    monkeypatch.setattr(patients, "list_double_submissions", pause)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(save)
        assert reached.wait(10)
        second = pool.submit(save)
        wait_until(is_row_lock_waiting)
        proceed.set()
        assert first.result() == second.result()
    assert count_files(hospital) == 1


@pytest.mark.usefixtures("frozen_clock")
@pytest.mark.parametrize(
    "changed",
    [
        {"pati_name": "林晓雨"},
        {"pati_gender": "1"},
        {"pati_birthday": "1990-05-18"},
        {"pati_phone": "13800000002"},
        {"pati_address": "中山二路 1 号"},
        {"cont_name": "王强"},
        {"list": [{"label_id": "1"}]},
    ],
)
def test_requests_with_other_content_create_files_of_their_own(hospital: Hospital, changed: dict[str, Any]) -> None:
    if "list" in changed:
        changed = {"list": build_label_list(staff_client.create_label(hospital.desk, "高血压"))}
    first = staff_client.create_patient_file(hospital.desk)
    assert staff_client.create_patient_file(hospital.desk, **changed) != first
    assert count_files(hospital) == 2


@pytest.mark.usefixtures("frozen_clock")
def test_equal_request_of_another_person_or_later_creates_another_file(hospital: Hospital) -> None:
    first = staff_client.create_patient_file(hospital.desk)
    assert staff_client.create_patient_file(hospital.chen) != first
    assert staff_client.create_patient_file(hospital.desk) == first
    sql = "UPDATE patients SET created_at = created_at - 6000000 WHERE tenant_id = %(id)s"
    mysql.autocommit.execute(sql, id=hospital.tenant_id)
    assert staff_client.create_patient_file(hospital.desk) != first


def test_response_has_the_documented_label_fields(hospital: Hospital) -> None:
    labels = [staff_client.create_label(hospital.desk, name) for name in ("高血压", "糖尿病")]
    data = staff_client.save_patient(hospital.desk, list=build_label_list(*labels)).data
    assert (data["label_name"], data["label_id"], len(data["list"])) == ("高血压", labels[0], 2)
    data = staff_client.save_patient(hospital.desk).data
    assert (data["label_name"], data["label_id"], data["list"]) == ("", "", [])


def test_concurrent_changes_leave_a_patient_in_one_group(hospital: Hospital) -> None:
    groups = [staff_client.create_label(hospital.desk, f"分组{n}", GROUP) for n in range(4)]
    pati_id, start = staff_client.create_patient_file(hospital.desk), Barrier(4)

    def move(group: str) -> int:
        start.wait()
        return staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_group_id=group).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(move, groups)) == {200}
    assert sum(one["person_number"] for one in staff_client.list_person_counts(hospital.desk, GROUP).data["list"]) == 1


def test_file_is_locked_between_read_and_write(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    pati_id, real, locked = staff_client.create_patient_file(hospital.desk), patients.update, []

    def change(*arguments: Any) -> None:
        look = "SELECT pati_id FROM patients WHERE pati_id = %(id)s FOR UPDATE NOWAIT"
        with pytest.raises(mysql.StatementError) as failed:
            mysql.run_on_own_connection(lambda tx: tx.fetch_all(look, id=pati_id), 5)
        locked.append(failed.value.number)
        real(*arguments)

    monkeypatch.setattr(patients, "update", change)
    assert staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_name="林晓雨").status == 200
    assert len(locked) == 1


def test_file_of_another_hospital_is_not_found(hospital: Hospital, other_hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk)
    before = staff_client.get_patient_info(hospital.desk, pati_id).data
    response = staff_client.save_patient(other_hospital.admin, pati_id=pati_id, pati_name="别人")
    assert (response.status, response.code) == (404, 10004)
    assert staff_client.get_patient_info(hospital.desk, pati_id).data == before


def test_unknown_label_changes_nothing(hospital: Hospital) -> None:
    pati_id, label = staff_client.create_patient_file(hospital.desk), staff_client.create_label(hospital.desk, "高血压")
    response = staff_client.save_patient(
        hospital.desk, pati_id=pati_id, pati_phone="13800000009", list=build_label_list(label, "999999999")
    )
    assert (response.status, response.error) == (404, "标签不存在")
    found = staff_client.get_patient_info(hospital.desk, pati_id).data
    assert (found["pati_phone"], found["list"]) == ("13800000001", [])


@pytest.mark.parametrize("name", ["pati_name", "pati_gender", "pati_birthday", "pati_phone"])
def test_four_fields_are_required(hospital: Hospital, name: str) -> None:
    response = staff_client.save_patient(hospital.desk, **{name: None})
    assert (response.status, response.error) == (400, f"{name}：必填")


TOMORROW = f"{clock.today() + timedelta(days=2)}"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("pati_id", [-1, "a", 2**53, True]),
        ("pati_name", ["", " ", "x" * 65, "a\x00", "a\nb", 5]),
        ("pati_gender", ["", 3, "男", True, 1.5, [1]]),
        ("pati_birthday", ["", "1990-5-17", "1990-02-30", "1990-05-17 00:00:00", 19900517, TOMORROW, "１９９０-05-17"]),
        ("pati_phone", ["", "1380000000", "02012345678", 13800000001]),
        ("pati_id_type", ["999", "证", 99]),
        (
            "pati_id_number",
            [
                "1" * 33,
                "身份证",
                "11010519491231002Y",
                "110105194912310021",
                build_id_number("19900518"),
                build_id_number(order=1),
            ],
        ),
        ("pati_province", ["x" * 65, "a\x00", 5]),
        ("pati_address", ["x" * 256, "a\nb"]),
        ("cont_name", ["x" * 65]),
        ("cont_relation", [6, "配偶", True]),
        ("cont_phone", ["1", "abc"]),
        ("pati_group_id", ["a", -1]),
        ("list", ["a", {}, [1], [{}], [{"label_id": "a"}], [{"label_id": 1}] * 101]),
    ],
)
def test_invalid_field_is_named_and_creates_no_file(hospital: Hospital, name: str, values: list[Any]) -> None:
    for value in values:
        response = staff_client.save_patient(hospital.desk, **{name: value})
        assert (response.status, response.code) == (400, 10001), value
        assert response.error.startswith(name), response.error
    assert staff_client.list_person_counts(hospital.desk).data["person_numbers"] == 0


def test_stored_id_number_must_match_a_changed_person(hospital: Hospital) -> None:
    pati_id = staff_client.create_patient_file(hospital.desk, pati_id_number=build_unused_id_number())
    response = staff_client.save_patient(hospital.desk, pati_id=pati_id, pati_birthday="1990-05-18")
    assert (response.status, response.error) == (400, "pati_id_number：出生日期与身份证号码不一致")
