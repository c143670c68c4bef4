"""Requests of staff about labels and patient files."""

from typing import Any

from tests.support.client import ApiResponse, get, post
from tests.support.factories import Person

STAFF_PATH = "/pati_service/manager_service"
GROUP, LABEL = 1, 2
LIN_FIELDS = {"pati_name": "林小雨", "pati_gender": "2", "pati_birthday": "1990-05-17", "pati_phone": "13800000001"}


def save_label(
    person: Person, name: Any, label_type: Any = LABEL, label_id: Any = "", headers: dict[str, str] | None = None
) -> ApiResponse:
    fields = {"label_name": name, "label_type": label_type, "label_id": label_id}
    return post(f"{STAFF_PATH}/save_group_label", person.token, headers, **fields)


def delete_label(person: Person, label_id: Any, label_type: Any = LABEL) -> ApiResponse:
    return post(f"{STAFF_PATH}/del_group_label", person.token, label_id=label_id, label_type=label_type)


def list_labels(person: Person, label_type: Any = LABEL) -> ApiResponse:
    return get(f"{STAFF_PATH}/list", person.token, label_type=label_type)


def list_person_counts(person: Person, label_type: Any = LABEL, order_type: Any = 1, **more: Any) -> ApiResponse:
    query = {"label_type": label_type, "order_type": order_type, **more}
    return get(f"{STAFF_PATH}/list_person_count", person.token, **query)


def create_label(person: Person, name: str, label_type: int = LABEL) -> str:
    """Create a label, or a group, and return its id."""
    assert save_label(person, name, label_type).status == 200
    (label,) = [one for one in list_labels(person, label_type).data["list"] if one["label_name"] == name]
    return str(label["label_id"])


def build_label_list(*label_ids: str) -> list[dict[str, str]]:
    return [{"label_id": one} for one in label_ids]


def save_patient(person: Person, headers: dict[str, str] | None = None, **fields: Any) -> ApiResponse:
    """Save a file with Lin's details, except for these fields; None leaves a field out."""
    body = {name: value for name, value in {**LIN_FIELDS, **fields}.items() if value is not None}
    return post(f"{STAFF_PATH}/patient", person.token, headers, **body)


def create_patient_file(person: Person, **fields: Any) -> str:
    """Create a patient file and return its pati_id."""
    return str(save_patient(person, **fields).data["pati_id"])


def get_patient_info(person: Person, pati_id: Any, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/pati_info", person.token, pati_id=pati_id, **query)


def search_patients(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/patient_list", person.token, **query)


def get_access_log(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/access_log", person.token, **query)


def list_withdrawn_messages(person: Person, **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/withdrawn_messages", person.token, **query)


def get_withdrawn_message(person: Person, msg_id: Any, reason: str = "患者投诉，核对原文") -> ApiResponse:
    return get(f"{STAFF_PATH}/withdrawn_message", person.token, msg_id=msg_id, reason=reason)


def get_stored_messages(person: Person, reason: str = "司法调取", **query: Any) -> ApiResponse:
    return get(f"{STAFF_PATH}/stored_messages", person.token, reason=reason, **query)
