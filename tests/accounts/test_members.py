"""Members (就诊人): adding, listing, and their patient files."""

import base64
from typing import Any

import pytest

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.outbox import outbox
from chalicelib.people import bar_code
from tests.support import staff_client
from tests.support.accounts_client import MEMBER, MEMBERS, add_member, list_members, remove_member
from tests.support.client import get, post
from tests.support.factories import Hospital, Person, create_patient
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.processes import run_in_processes
from tests.support.statements import record_statements


@pytest.fixture
def newcomer(hospital: Hospital) -> Person:
    """An account without members."""
    person = create_patient(hospital.tenant_id, "13800000088", "新来的")
    mysql.autocommit.execute("DELETE FROM members WHERE user_id = %(id)s", id=person.user_id)
    return person


def test_first_member_is_default_and_has_a_file(newcomer: Person) -> None:
    number = build_unused_id_number()
    member_id = add_member(newcomer, number).data["memberId"]
    [one] = list_members(newcomer)
    pati_id = one["bindPatiId"]
    assert one == {
        "memberId": member_id,
        "bindPatiId": pati_id,
        "name": "林小雨",
        "gender": 2,
        "age": one["age"],
        "IDNo": number,
        "phone": "13800000001",
        "defaultMember": True,
        "patiImg": base64.b64encode(bar_code.render_png(pati_id)).decode(),
        "idType": "01",
        "idCountry": "",
        "verified": False,
        "hasGuardian": False,
    }
    assert one["age"].endswith("岁")


def test_second_member_is_not_default(newcomer: Person) -> None:
    first, second = (add_member(newcomer, build_unused_id_number()).data["memberId"] for _ in range(2))
    assert [(one["memberId"], one["defaultMember"]) for one in list_members(newcomer)] == [
        (first, True),
        (second, False),
    ]


@pytest.mark.store
def test_adding_a_person_again_returns_the_same_member(newcomer: Person) -> None:
    number = build_unused_id_number()
    assert add_member(newcomer, number).data == add_member(newcomer, number).data
    assert len(list_members(newcomer)) == 1


@pytest.mark.store
def test_two_accounts_add_the_same_person_with_files_of_their_own(lin: Person, wang: Person) -> None:
    """Neither learns that the other has added the person, whatever the name."""
    number = build_unused_id_number()
    responses = [add_member(lin, number), add_member(wang, number), add_member(wang, build_unused_id_number())]
    assert [response.status for response in responses] == [200] * 3
    assert len({response.data["memberId"] for response in responses}) == 3
    assert list_members(lin)[-1]["bindPatiId"] != list_members(wang)[1]["bindPatiId"]
    other = create_patient(wang.tenant_id, "13800000089", "林大雨")
    assert add_member(other, number, name="林大雨").status == 200


def test_another_hospital_creates_its_own_file(lin: Person, other_hospital: Hospital) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    add_member(other_hospital.lin, number)
    assert list_members(lin)[-1]["bindPatiId"] != list_members(other_hospital.lin)[-1]["bindPatiId"]


@pytest.mark.store
def test_verified_file_of_the_person_makes_no_difference(
    hospital: Hospital, lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "wake_worker", lambda *_: None)  # which would verify the member afterwards
    number = build_unused_id_number()
    filed = staff_client.create_patient_file(hospital.desk, pati_id_number=number, pati_phone=lin.phone)

    def add(number: str) -> tuple[int, list[str], list[str]]:
        with record_statements() as statements:
            response = add_member(lin, number)
        return response.status, [*response.body, *response.data], statements

    add(build_unused_id_number())  # this process now remembers the owner of the token
    assert add(number) == add(build_unused_id_number())
    [_, _, one, _] = list_members(lin)
    assert (one["verified"], one["bindPatiId"] == filed) == (False, False)


@pytest.mark.store
def test_account_has_at_most_ten_members(newcomer: Person) -> None:
    numbers = [build_unused_id_number() for _ in range(11)]
    assert [add_member(newcomer, number).status for number in numbers] == [200] * 10 + [409]
    assert add_member(newcomer, numbers[0]).status == 200, "who is there already"
    assert len(list_members(newcomer)) == 10


def try_to_add_member(person: Person, number: str) -> tuple[int, str]:
    response = add_member(person, number)
    return response.status, response.data["memberId"] if response.status == 200 else ""


@pytest.mark.store
def test_concurrent_additions_of_one_person_create_one_member_in_each_account(
    hospital: Hospital, newcomer: Person
) -> None:
    number = build_unused_id_number()
    people = [newcomer, hospital.lin, hospital.wang] * 3
    responses = run_in_processes(try_to_add_member, [(person, number) for person in people])
    assert {status for status, _ in responses} == {200}
    assert len({member for _, member in responses}) == 3
    assert len({list_members(person)[-1]["bindPatiId"] for person in people}) == 3


@pytest.mark.store
def test_account_adds_at_most_twenty_members_in_a_year(newcomer: Person) -> None:
    added = []
    for _ in range(20):
        added.append(add_member(newcomer, build_unused_id_number()).data["memberId"])
        assert remove_member(newcomer, added[-1]).status == 200
    response = add_member(newcomer, build_unused_id_number())
    assert (response.status, response.error) == (409, "一年内最多添加 20 位就诊人")
    year = "UPDATE members SET created_at = created_at - %(year)s WHERE member_id = %(id)s"
    mysql.autocommit.execute(year, year=365 * clock.DAY, id=added[0])
    assert add_member(newcomer, build_unused_id_number()).status == 200


@pytest.mark.store
def test_concurrent_additions_do_not_exceed_ten_members(newcomer: Person) -> None:
    responses = run_in_processes(try_to_add_member, [(newcomer, build_unused_id_number()) for _ in range(14)])
    assert sorted(status for status, _ in responses) == [200] * 10 + [409] * 4
    assert [one["defaultMember"] for one in list_members(newcomer)] == [True] + [False] * 9


def test_lower_case_check_digit_is_accepted(lin: Person) -> None:
    number = next(one for order in range(2, 400, 2) if (one := build_id_number(order=order)).endswith("X"))
    add_member(lin, number.lower())
    assert list_members(lin)[-1]["IDNo"] == number


def test_id_number_is_encrypted(lin: Person) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    rows = mysql.run_autocommit(
        lambda tx: (
            tx.fetch_all("SELECT * FROM patients WHERE tenant_id = %(id)s", id=lin.tenant_id)
            + tx.fetch_all("SELECT * FROM patient_documents WHERE tenant_id = %(id)s", id=lin.tenant_id)
            + tx.fetch_all("SELECT * FROM members WHERE tenant_id = %(id)s", id=lin.tenant_id)
        )
    )
    assert (number not in str(rows), "13800000001" not in str(rows)) == (True, True)


def test_member_without_a_file_is_listed(lin: Person) -> None:
    [one] = list_members(lin)
    assert (one["bindPatiId"], one["IDNo"], one["patiImg"]) == ("", "", "")


def test_members_of_other_accounts_are_invisible(lin: Person, wang: Person) -> None:
    add_member(lin, build_unused_id_number())
    assert len(get(MEMBERS, wang.token).data) == 1


NUMBER = build_id_number()
WRONG: list[tuple[str, Any, str]] = [
    *(("name", value, "name") for value in (None, "", "  ", "名" * 65, "a\nb", 7)),
    *(("gender", value, "gender") for value in (None, 3, "男", True, -1)),
    *(("birthday", value, "birthday") for value in (None, "", "1990-5-17", "1990-02-30", "2999-01-01", 641952000)),
    *(
        ("IDNo", value, "IDNo")
        for value in (None, "", NUMBER[:17], NUMBER[:17] + "_", f"0{NUMBER[1:]}", 11010519900517)
    ),
    ("IDNo", NUMBER[:17] + ("1" if NUMBER[17] != "1" else "2"), "IDNo"),
    ("birthday", "1990-05-18", "IDNo"),
    ("gender", 1, "IDNo"),
    *(("phone", value, "phone") for value in (None, "", "010-12345678", 13800000001)),
]


@pytest.mark.parametrize(("field", "value", "named"), WRONG)
def test_invalid_field_is_named_and_adds_no_member(lin: Person, field: str, value: Any, named: str) -> None:
    response = add_member(lin, NUMBER, **{field: value})
    assert (response.status, response.code) == (400, 10001)
    assert response.error.startswith(f"{named}：")
    assert NUMBER not in response.error
    assert len(list_members(lin)) == 1


def test_all_fields_are_required(lin: Person) -> None:
    names = [part.partition("：")[0] for part in post(MEMBER, lin.token).error.split("；")]
    assert names == ["name", "gender", "birthday", "IDNo", "phone"]
