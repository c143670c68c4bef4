"""wechat/template_id: by what template each kind of message is sent."""

from functools import partial
from typing import Any

import pytest

from tests.support.client import Answer, get, post
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads
from tests.support.wechat_client import WECHAT_PATH

pytestmark = pytest.mark.store

PATH = f"{WECHAT_PATH}/template_id"
FIRST, SECOND = "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY", "TM00015-_"


def save(person: Person, kind: Any, template_id: Any) -> Answer:
    return post(PATH, person.token, wech_temp_type=kind, wech_temp_id=template_id)


def saved(person: Person) -> list[tuple[int, str]]:
    return [(one["wech_temp_type"], one["wech_temp_id"]) for one in get(PATH, person.token).data]


def test_what_was_saved_is_listed_by_kind(hospital: Hospital) -> None:
    assert saved(hospital.admin) == []
    for kind in (5, "1", 0):
        assert save(hospital.admin, kind, FIRST).data is None
    assert saved(hospital.admin) == [(0, FIRST), (1, FIRST), (5, FIRST)]


def test_another_template_takes_the_place_of_the_first(hospital: Hospital) -> None:
    for template_id in (FIRST, SECOND, SECOND):
        save(hospital.admin, 1, template_id)
    assert saved(hospital.admin) == [(1, SECOND)]


def test_without_a_template_a_kind_is_sent_no_more(hospital: Hospital) -> None:
    save(hospital.admin, 1, FIRST)
    save(hospital.admin, 2, FIRST)
    assert save(hospital.admin, 1, "").status == 200
    assert save(hospital.admin, 1, "").status == 200
    assert saved(hospital.admin) == [(2, FIRST)]


def test_two_who_save_at_once_leave_one(hospital: Hospital) -> None:
    answers = run_in_threads([partial(save, hospital.admin, 1, one) for one in (FIRST, SECOND)])
    assert [one.status for one in answers] == [200, 200]
    assert saved(hospital.admin) in ([(1, FIRST)], [(1, SECOND)])


def test_each_hospital_has_its_own(hospital: Hospital, other_hospital: Hospital) -> None:
    save(hospital.admin, 1, FIRST)
    assert saved(other_hospital.admin) == []
    save(other_hospital.admin, 1, SECOND)
    save(other_hospital.admin, 1, "")
    assert saved(hospital.admin) == [(1, FIRST)]


@pytest.mark.parametrize("kind", ["lin", "chen", "desk"])
def test_only_an_admin_may(hospital: Hospital, kind: str) -> None:
    assert save(getattr(hospital, kind), 1, FIRST).status == 403
    assert get(PATH, getattr(hospital, kind).token).status == 403
    assert get(PATH).status == 401


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        *(({"wech_temp_type": one, "wech_temp_id": FIRST}, "wech_temp_type") for one in (7, -1, "x", 1.5, True, None)),
        *(({"wech_temp_type": 1, "wech_temp_id": one}, "wech_temp_id") for one in ("a b", "a" * 65, "模板", 12, None)),
        ({"wech_temp_id": FIRST}, "wech_temp_type"),
        ({"wech_temp_type": 1}, "wech_temp_id"),
    ],
)
def test_a_bad_field_is_named_and_changes_nothing(hospital: Hospital, fields: dict[str, Any], field: str) -> None:
    answer = post(PATH, hospital.admin.token, **fields)
    assert (answer.status, answer.error.partition("：")[0]) == (400, field)
    assert saved(hospital.admin) == []
