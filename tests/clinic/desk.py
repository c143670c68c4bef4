"""What the desk's page asks for, in the words of the tests."""

from typing import Any

from tests.people import Person
from tests.wire import Answer, get, post

ROOT = "/pati_service/manager_service"
GROUP, LABEL = 1, 2
LIN = {"pati_name": "林小雨", "pati_gender": "2", "pati_birthday": "1990-05-17", "pati_phone": "13800000001"}


def save_label(person: Person, name: Any, label_type: Any = LABEL, label_id: Any = "") -> Answer:
    fields = {"label_name": name, "label_type": label_type, "label_id": label_id}
    return post(f"{ROOT}/save_group_label", person.token, **fields)


def delete_label(person: Person, label_id: Any, label_type: Any = LABEL) -> Answer:
    return post(f"{ROOT}/del_group_label", person.token, label_id=label_id, label_type=label_type)


def labels(person: Person, label_type: Any = LABEL) -> Answer:
    return get(f"{ROOT}/list", person.token, label_type=label_type)


def counts(person: Person, label_type: Any = LABEL, order_type: Any = 1, **more: Any) -> Answer:
    query = {"label_type": label_type, "order_type": order_type, **more}
    return get(f"{ROOT}/list_person_count", person.token, **query)


def label(person: Person, name: str, label_type: int = LABEL) -> str:
    """Make a label, or a group; returns its id."""
    assert save_label(person, name, label_type).status == 200
    (made,) = [one for one in labels(person, label_type).data["list"] if one["label_name"] == name]
    return str(made["label_id"])


def under(*label_ids: str) -> list[dict[str, str]]:
    return [{"label_id": one} for one in label_ids]


def save(person: Person, headers: dict[str, str] | None = None, **fields: Any) -> Answer:
    """Save a file that says what is known of Lin, but for these fields; None leaves one out."""
    body = {name: value for name, value in {**LIN, **fields}.items() if value is not None}
    return post(f"{ROOT}/patient", person.token, headers, **body)


def file(person: Person, **fields: Any) -> str:
    """File a patient; returns pati_id."""
    return str(save(person, **fields).data["pati_id"])


def info(person: Person, pati_id: Any) -> Answer:
    return get(f"{ROOT}/pati_info", person.token, pati_id=pati_id)


def found(person: Person, **query: Any) -> Answer:
    return get(f"{ROOT}/patient_list", person.token, **query)


def log(person: Person, **query: Any) -> Answer:
    return get(f"{ROOT}/access_log", person.token, **query)
