"""Members (就诊人): adding, listing, and their patient files."""

import base64
from typing import Any

import pytest

from chalicelib.adapters import mysql
from chalicelib.people import bar_code
from tests.support.accounts_client import MEMBER, MEMBERS, add_member, list_members
from tests.support.client import get, post
from tests.support.factories import Hospital, Person, create_patient
from tests.support.id_numbers import build_id_number, build_unused_id_number
from tests.support.processes import run_in_processes


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
def test_two_accounts_share_the_file_but_not_the_member(lin: Person, wang: Person) -> None:
    number = build_unused_id_number()
    one, other = add_member(lin, number).data["memberId"], add_member(wang, number).data["memberId"]
    assert one != other
    assert list_members(lin)[-1]["bindPatiId"] == list_members(wang)[-1]["bindPatiId"]


def test_another_hospital_creates_its_own_file(lin: Person, other_hospital: Hospital) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    add_member(other_hospital.lin, number)
    assert list_members(lin)[-1]["bindPatiId"] != list_members(other_hospital.lin)[-1]["bindPatiId"]


@pytest.mark.store
def test_id_number_with_another_name_is_rejected(lin: Person, wang: Person) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    response = add_member(wang, number, name="林大雨")
    assert (response.status, response.code) == (409, 10005)
    assert len(list_members(wang)) == 1


def test_guessing_names_of_an_id_number_is_limited(lin: Person, wang: Person) -> None:
    number = build_unused_id_number()
    add_member(lin, number)
    wrong = [add_member(wang, number, name=f"林{n}").status for n in range(11)]
    assert wrong == [409] * 10 + [429]
    assert add_member(wang, number).status == 429
    assert add_member(lin, build_unused_id_number()).status == 200


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
def test_concurrent_additions_of_one_id_number_create_one_file(hospital: Hospital, newcomer: Person) -> None:
    number = build_unused_id_number()
    people = [newcomer, hospital.lin, hospital.wang] * 3
    responses = run_in_processes(try_to_add_member, [(person, number) for person in people])
    assert {status for status, _ in responses} == {200}
    assert len({member for _, member in responses}) == 3
    assert len({list_members(person)[-1]["bindPatiId"] for person in people}) == 1


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
            + tx.fetch_all("SELECT * FROM members WHERE tenant_id = %(id)s", id=lin.tenant_id)
        )
    )
    assert number not in str(rows)


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
