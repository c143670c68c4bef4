"""Children are added with a guardian, and without a document of their own if they have none yet."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.crypto import field_encryption
from chalicelib.people import guardians
from tests.support import staff_client
from tests.support.accounts_client import MEMBER, add_member, list_members
from tests.support.client import ApiResponse, post
from tests.support.factories import Hospital, Person
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

GUARDIAN: dict[str, Any] = {
    "name": "林小雨",
    "IDNo": build_id_number(),
    "phone": "+85291234567",
    "relation": 3,
    "consent": True,
}
BIRTHDAY = f"{clock.today() - timedelta(days=400)}"
CHILD: dict[str, Any] = {"name": "林小宝", "gender": 1, "birthday": BIRTHDAY, "IDNo": "", "phone": "13800000001"}


def add_child(person: Person, **changed: Any) -> ApiResponse:
    fields = {**CHILD, "guardian": GUARDIAN, **changed}
    return post(MEMBER, person.token, **{name: value for name, value in fields.items() if value is not None})


def build_child_number(order: int = 1) -> str:
    return build_id_number(BIRTHDAY.replace("-", ""), order)


def test_newborn_without_a_document_has_a_file_with_the_guardian(lin: Person) -> None:
    member_id = add_child(lin).data["memberId"]
    child = list_members(lin)[-1]
    assert (child["memberId"], child["IDNo"], child["idType"], child["hasGuardian"]) == (member_id, "", "", True)
    field_encryption.preload_keys()
    found = guardians.find(mysql.autocommit, lin.tenant_id, int(child["bindPatiId"]))
    assert found
    assert (found.name, found.id_type, found.number) == ("林小雨", "01", GUARDIAN["IDNo"])
    assert (found.phone, found.cont_relation) == ("+85291234567", 3)
    row = mysql.autocommit.fetch_one("SELECT * FROM guardians WHERE pati_id = %(id)s", id=child["bindPatiId"])
    assert row
    assert row["consented_at"] > 0
    assert (GUARDIAN["IDNo"] in str(row), "91234567" in str(row)) == (False, False)


def test_double_click_adds_one_child(lin: Person) -> None:
    responses = run_in_threads([lambda: add_child(lin)] * 4)
    assert {one.status for one in responses} == {200}
    assert len({one.data["memberId"] for one in responses}) == 1
    assert len(list_members(lin)) == 2


def test_twins_are_two_members(lin: Person) -> None:
    first, second = add_child(lin).data["memberId"], add_child(lin, name="林小贝").data["memberId"]
    assert first != second
    assert add_child(lin, name="林 小贝").data["memberId"] == second, "however the name is typed"
    other: list[dict[str, Any]] = [{"gender": 2}, {"birthday": f"{clock.today() - timedelta(days=401)}"}]
    assert len({first, second, *(add_child(lin, **one).data["memberId"] for one in other)}) == 4


def test_later_document_of_the_child_is_added_to_the_same_file(lin: Person) -> None:
    member_id = add_child(lin).data["memberId"]
    [*_, before] = list_members(lin)
    documents: list[dict[str, Any]] = [{"idType": "C1", "IDNo": "T320123456"}, {"IDNo": build_child_number()}]
    for fields in documents:
        assert add_child(lin, **fields).data["memberId"] == member_id
    [_, child] = list_members(lin)
    assert (child["bindPatiId"], child["idType"], child["IDNo"]) == (before["bindPatiId"], "C1", "T320123456")
    sql = "SELECT id_type FROM patient_documents WHERE pati_id = %(id)s ORDER BY document_id"
    found = mysql.autocommit.fetch_all(sql, id=child["bindPatiId"])
    assert [row["id_type"] for row in found] == ["C1", "01"]
    assert add_child(lin, IDNo=build_child_number(), name="林大宝").data["memberId"] == member_id, "found by number"


def test_first_document_of_a_child_who_has_turned_14_is_added_to_the_same_file(lin: Person) -> None:
    member_id = add_child(lin).data["memberId"]
    birthday = f"{clock.today().replace(day=1) - timedelta(days=15 * 366)}"
    for table in ("members", "patients"):
        mysql.autocommit.execute(
            f"UPDATE {table} SET birthday = %(birthday)s WHERE name = %(name)s AND tenant_id = %(tenant_id)s",
            birthday=birthday,
            name=CHILD["name"],
            tenant_id=lin.tenant_id,
        )
    own = {"birthday": birthday, "guardian": None, "IDNo": build_id_number(birthday.replace("-", ""), 1)}
    responses = run_in_threads([lambda: add_child(lin, **own)] * 2)
    assert [one.data["memberId"] for one in responses] == [member_id] * 2
    [_, child] = list_members(lin)
    assert child["IDNo"] == own["IDNo"]
    other = add_child(lin, **{**own, "name": "林大宝", "IDNo": build_id_number(birthday.replace("-", ""), 3)})
    assert other.data["memberId"] != member_id


def test_second_number_of_one_type_is_another_child(lin: Person) -> None:
    """An account cannot attach any number of claims to one file."""
    first = add_child(lin, IDNo=build_child_number(1)).data["memberId"]
    assert add_child(lin, IDNo=build_child_number(3)).data["memberId"] != first


def test_later_document_of_a_verified_child_proves_nothing(hospital: Hospital, lin: Person) -> None:
    add_child(lin)
    pati_id, number = int(list_members(lin)[-1]["bindPatiId"]), build_child_number()
    status = "UPDATE patients SET status = 'verified' WHERE pati_id = %(id)s"
    mysql.autocommit.execute(status, id=pati_id)
    assert add_child(lin, IDNo=number).data["memberId"] == list_members(lin)[-1]["memberId"]
    for table in ("patient_identities", "patient_documents"):
        count = mysql.autocommit.fetch_value(f"SELECT COUNT(*) FROM {table} WHERE pati_id = %(id)s", id=pati_id)
        assert count == 0, "nobody has seen the document"
    fields = {"pati_name": "林小宝", "pati_gender": 1, "pati_birthday": BIRTHDAY, "pati_id_number": number}
    assert staff_client.create_patient_file(hospital.desk, **fields) != str(pati_id)


def test_child_of_another_account_is_another_member(lin: Person, wang: Person) -> None:
    add_child(lin)
    add_child(wang)
    assert list_members(lin)[-1]["bindPatiId"] != list_members(wang)[-1]["bindPatiId"]


@pytest.mark.parametrize(("days_before", "is_required"), [(1, True), (0, False)])
def test_guardian_is_required_under_14(lin: Person, days_before: int, is_required: bool) -> None:
    today = clock.today()
    day = today - timedelta(days=1) if (today.month, today.day) == (2, 29) else today
    birthday = day.replace(year=day.year - 14) + timedelta(days=days_before)
    fields = {"birthday": f"{birthday}", "IDNo": build_id_number(f"{birthday:%Y%m%d}", 1), "guardian": None}
    response = add_child(lin, **fields)
    if is_required:
        assert (response.status, response.error) == (400, "guardian：14 岁以下儿童须填写监护人")
    else:
        assert response.status == 200


def test_adults_need_a_document_and_have_no_guardian(lin: Person) -> None:
    response = add_child(lin, birthday="1990-05-17")
    assert (response.status, response.error.partition("：")[0]) == (400, "IDNo")
    adult = add_member(lin, build_unused_id_number(), guardian=GUARDIAN)
    assert adult.status == 200
    assert list_members(lin)[-1]["hasGuardian"] is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("name", value) for value in (None, "", " ", "x" * 65)),
        *(("IDNo", value) for value in (None, "", "1", build_id_number()[:17], 11)),
        *(("idType", value) for value in ("08", "999", 1)),
        *(("phone", value) for value in (None, "", "123", 13800000001)),
        *(("relation", value) for value in (None, "", 1, 2, 4, 6, "父母")),
        *(("consent", value) for value in (None, "", False, "no", 2)),
    ],
)
def test_invalid_field_of_the_guardian_is_named(lin: Person, field: str, value: Any) -> None:
    guardian = {name: one for name, one in {**GUARDIAN, field: value}.items() if one is not None}
    response = add_child(lin, guardian=guardian)
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"guardian.{field}：")
    assert len(list_members(lin)) == 1


def test_child_is_no_guardian(lin: Person) -> None:
    number = build_child_number()
    response = add_child(lin, IDNo=number, guardian={**GUARDIAN, "IDNo": number})
    assert (response.status, response.error) == (400, "guardian.IDNo：监护人须年满 14 岁")
    assert len(list_members(lin)) == 1


def test_guardian_may_have_any_document(lin: Person) -> None:
    guardian = {**GUARDIAN, "idType": "06", "IDNo": "h1234567801"}
    add_child(lin, guardian=guardian)
    field_encryption.preload_keys()
    found = guardians.find(mysql.autocommit, lin.tenant_id, int(list_members(lin)[-1]["bindPatiId"]))
    assert found
    assert (found.id_type, found.number) == ("06", "H12345678")


def test_guardian_moves_with_the_child_to_another_file(hospital: Hospital, lin: Person) -> None:
    add_child(lin)
    source, target = int(list_members(lin)[-1]["bindPatiId"]), int(staff_client.create_patient_file(hospital.desk))
    field_encryption.preload_keys()
    tenant_id = lin.tenant_id
    before = guardians.find(mysql.autocommit, tenant_id, source)
    assert mysql.run_transaction(lambda tx: guardians.move(tx, tenant_id, source, target))
    assert guardians.find(mysql.autocommit, tenant_id, target) == before
    assert guardians.find(mysql.autocommit, tenant_id, source) is None
    assert not mysql.run_transaction(lambda tx: guardians.move(tx, tenant_id, source, target))
