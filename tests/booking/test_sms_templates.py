"""manager_service/sms_templates: the SMS templates of a hospital."""

from functools import partial
from typing import Any

import pytest

from tests.support.booking_client import STAFF_PATH
from tests.support.client import get
from tests.support.factories import Hospital
from tests.support.ladder_client import save_template
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store


def list_templates(hospital: Hospital) -> list[tuple[int, str, str, list[str]]]:
    found = get(f"{STAFF_PATH}/sms_templates", hospital.admin.token).data
    return [(one["type"], one["sign_name"], one["template_id"], one["variables"]) for one in found]


def test_templates_are_listed_by_event(hospital: Hospital, other_hospital: Hospital) -> None:
    assert list_templates(hospital) == []
    assert save_template(hospital, "1110", template_id="1234567", variables=["until", "time"]).status == 200
    assert save_template(hospital, 1102, variables=[]).status == 200
    assert list_templates(hospital) == [
        (1102, "仁和医院", "SMS_1102", []),
        (1110, "仁和医院", "1234567", ["until", "time"]),
    ]
    assert list_templates(other_hospital) == []


def test_new_template_replaces_the_old_one_and_an_empty_one_removes_it(hospital: Hospital) -> None:
    for template_id in ("SMS_1", "SMS_2", "SMS_2"):
        save_template(hospital, template_id=template_id)
    assert [one[2] for one in list_templates(hospital)] == ["SMS_2"]
    for _ in range(2):
        assert save_template(hospital, template_id="", sign_name="").status == 200
    assert list_templates(hospital) == []


def test_concurrent_saves_store_one_template(hospital: Hospital) -> None:
    saves = [partial(save_template, hospital, template_id=one) for one in ("SMS_1", "SMS_2")]
    assert [one.status for one in run_in_threads(saves)] == [200, 200]
    assert list_templates(hospital)[0][2] in ("SMS_1", "SMS_2")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", 1100),
        ("type", "x"),
        ("type", None),
        ("sign_name", ""),
        ("sign_name", "  "),
        ("sign_name", "【仁和】"),
        ("sign_name", "长" * 33),
        ("template_id", "SMS-1"),
        ("template_id", "a" * 65),
        ("template_id", None),
        ("variables", ["name"]),
        ("variables", ["time", "time"]),
        ("variables", "time"),
        ("variables", ["time"] * 11),
    ],
)
def test_invalid_fields_are_rejected(hospital: Hospital, field: str, value: Any) -> None:
    response = save_template(hospital, **({"event_type": value} if field == "type" else {field: value}))
    assert response.status == 400, response.body
    assert response.error.startswith(field)
    assert list_templates(hospital) == []
