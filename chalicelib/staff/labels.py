"""Groups and labels of patients."""

from enum import IntEnum

from chalicelib import errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.staff import store
from chalicelib.staff.label_models import (
    CountedLabel,
    CountedLabels,
    DeleteLabelRequest,
    Label,
    LabelCountQuery,
    LabelQuery,
    Labels,
    SaveLabelRequest,
)


class LabelKind(IntEnum):
    """label_type of document 003."""

    GROUP = 1  # a patient has at most one
    LABEL = 2


DESCENDING = 2  # order_type of document 003


LABEL_TYPE_NAMES: dict[int, str] = {LabelKind.GROUP: "分组", LabelKind.LABEL: "标签"}


def list_all(caller: Caller, query: LabelQuery) -> Labels:
    """Return the tenant's groups or labels, in the order of creation."""
    found = store.list_labels(mysql.autocommit, caller.tenant_id, query.label_type)
    return Labels(list=[Label(label_name=label.name, label_id=str(label.label_id)) for label in found])


def list_with_counts(caller: Caller, query: LabelCountQuery) -> CountedLabels:
    """Return a page of groups or labels with the number of their patients; all of them without page and size."""
    unpaged = query.page_num is None and query.page_size is None
    num, size = query.page_num or 1, query.page_size or (store.MAX_LABELS_PER_TYPE if unpaged else 10)
    limits = ((num - 1) * size, size)
    page = store.list_labels_with_counts(
        mysql.autocommit, caller.tenant_id, query.label_type, query.order_type == DESCENDING, limits
    )
    size = page.total_labels if unpaged else size
    return CountedLabels(
        page_num=num,
        page_size=size,
        total=page.total_labels,
        pages=-(-page.total_labels // size) if size else 0,
        person_numbers=page.total_patients,
        list=[
            CountedLabel(
                label_name=label.name,
                label_id=str(label.label_id),
                user_name=label.user_name,
                person_number=label.person_number,
                create_time=label.created_at // 1000,
            )
            for label in page.labels
        ],
    )


def save(caller: Caller, request: SaveLabelRequest, idempotency_key: str | None) -> None:
    """Create a group or label, or rename the one with this label_id.

    A repeated request creates nothing: with the same idempotency key or, without one, a moment after the first.

    Raises:
        ApiError: 404 if the tenant has no such group or label, 409 if it has another one of this name, or if the key
            was used for another one.
    """
    try:
        found = mysql.run_transaction(lambda tx: _create_or_rename(tx, caller, request, idempotency_key))
    except mysql.DuplicateKeyError as duplicate:
        label = (caller.tenant_id, request.label_type, request.label_name, caller.user_id, idempotency_key)
        if request.label_id is None and store.was_label_created_by(mysql.autocommit, *label):
            return
        if duplicate.key == "idempotency_key":
            raise ApiError(errors.CONFLICT, "Idempotency-Key：已用于另一个名称") from None
        raise ApiError(errors.CONFLICT, f"{LABEL_TYPE_NAMES[request.label_type]}名称已存在") from None
    if not found:
        raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[request.label_type]}不存在")


def delete(caller: Caller, request: DeleteLabelRequest) -> None:
    """Delete a group or label and remove it from its patients.

    Raises:
        ApiError: 404 if the tenant has no such group or label.
    """
    tenant_id, label_type, label_id = caller.tenant_id, request.label_type, request.label_id
    if not mysql.run_transaction(lambda tx: store.delete_label(tx, tenant_id, label_type, label_id)):
        raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[request.label_type]}不存在")


def set_patient_labels(tx: Tx, tenant_id: int, pati_id: int, label_type: int, label_ids: list[int]) -> None:
    """Replace the labels, or the group, of a patient. The caller has locked the patient's row.

    Raises:
        ApiError: 404 if the tenant has no such label or group.
    """
    present = {label.label_id for label in store.list_patient_labels(tx, pati_id) if label.label_type == label_type}
    removed, added = present - set(label_ids), set(label_ids) - present
    for label_id in sorted(removed | added):  # a fixed order of locks prevents deadlocks
        exists = store.adjust_person_number(tx, tenant_id, label_type, label_id, 1 if label_id in added else -1)
        if label_id in added and not exists:
            raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[label_type]}不存在")
    for label_id in removed:
        store.delete_patient_label(tx, pati_id, label_id)
    for label_id in added:
        store.insert_patient_label(tx, tenant_id, pati_id, label_id, label_type == LabelKind.GROUP)


def _create_or_rename(tx: Tx, caller: Caller, request: SaveLabelRequest, idempotency_key: str | None) -> bool:
    if request.label_id is None:
        label = (caller.tenant_id, request.label_type, request.label_name, caller.user_id, idempotency_key)
        store.insert_label(tx, *label)
        return True
    return store.rename_label(tx, caller.tenant_id, request.label_type, request.label_id, request.label_name)
