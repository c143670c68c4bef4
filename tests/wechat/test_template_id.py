"""wechat/template_id: the template of each kind of message."""

from functools import partial
from typing import Any

import pytest

from tests.support.client import ApiResponse, get, post
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads
from tests.support.wechat_client import WECHAT_PATH

pytestmark = pytest.mark.store

PATH = f"{WECHAT_PATH}/template_id"
FIRST_ID, SECOND_ID = "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY", "TM00015-_"


def save(person: Person, kind: Any, template_id: Any) -> ApiResponse:
    return post(PATH, person.token, wech_temp_type=kind, wech_temp_id=template_id)


def list_choices(person: Person) -> list[tuple[int, str]]:
    return [(one["wech_temp_type"], one["wech_temp_id"]) for one in get(PATH, person.token).data]


def test_choices_are_listed_by_kind(hospital: Hospital) -> None:
    assert list_choices(hospital.admin) == []
    for kind in (5, "1", 0):
        assert save(hospital.admin, kind, FIRST_ID).data is None
    assert list_choices(hospital.admin) == [(0, FIRST_ID), (1, FIRST_ID), (5, FIRST_ID)]


def test_new_template_replaces_the_old_one(hospital: Hospital) -> None:
    for template_id in (FIRST_ID, SECOND_ID, SECOND_ID):
        save(hospital.admin, 1, template_id)
    assert list_choices(hospital.admin) == [(1, SECOND_ID)]


def test_empty_template_id_removes_the_kind(hospital: Hospital) -> None:
    save(hospital.admin, 1, FIRST_ID)
    save(hospital.admin, 2, FIRST_ID)
    assert save(hospital.admin, 1, "").status == 200
    assert save(hospital.admin, 1, "").status == 200
    assert list_choices(hospital.admin) == [(2, FIRST_ID)]


def test_concurrent_saves_keep_one_choice(hospital: Hospital) -> None:
    responses = run_in_threads([partial(save, hospital.admin, 1, one) for one in (FIRST_ID, SECOND_ID)])
    assert [one.status for one in responses] == [200, 200]
    assert list_choices(hospital.admin) in ([(1, FIRST_ID)], [(1, SECOND_ID)])


def test_choices_belong_to_one_hospital(hospital: Hospital, other_hospital: Hospital) -> None:
    save(hospital.admin, 1, FIRST_ID)
    assert list_choices(other_hospital.admin) == []
    save(other_hospital.admin, 1, SECOND_ID)
    save(other_hospital.admin, 1, "")
    assert list_choices(hospital.admin) == [(1, FIRST_ID)]


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_admins_are_allowed(hospital: Hospital, kind: str) -> None:
    assert save(getattr(hospital, kind), 1, FIRST_ID).status == 403
    assert get(PATH, getattr(hospital, kind).token).status == 403
    assert get(PATH).status == 401


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(
            ({"wech_temp_type": one, "wech_temp_id": FIRST_ID}, "wech_temp_type")
            for one in (7, -1, "x", 1.5, True, None)
        ),
        *(({"wech_temp_type": 1, "wech_temp_id": one}, "wech_temp_id") for one in ("a b", "a" * 65, "模板", 12, None)),
        ({"wech_temp_id": FIRST_ID}, "wech_temp_type"),
        ({"wech_temp_type": 1}, "wech_temp_id"),
    ],
)
def test_invalid_field_is_named_and_nothing_changes(hospital: Hospital, fields: dict[str, Any], field: str) -> None:
    response = post(PATH, hospital.admin.token, **fields)
    assert (response.status, response.error.partition("：")[0]) == (400, field)
    assert list_choices(hospital.admin) == []
