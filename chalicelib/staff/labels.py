"""Groups and labels, and the patients under them."""

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
    Label,
    LabelCountQuery,
    LabelDeleted,
    LabelQuery,
    Labels,
    LabelSaved,
)


class LabelKind(IntEnum):
    """label_type of document 003."""

    GROUP = 1  # a patient has at most one
    LABEL = 2


LABEL_TYPE_NAMES: dict[int, str] = {LabelKind.GROUP: "分组", LabelKind.LABEL: "标签"}


def list_all(caller: Caller, asked: LabelQuery) -> Labels:
    rows = store.list_labels(mysql.autocommit, caller.tenant_id, asked.label_type)
    return Labels(list=[Label(label_name=row["name"], label_id=row["label_id"]) for row in rows])


def list_with_counts(caller: Caller, asked: LabelCountQuery) -> CountedLabels:
    """Return a page, or everything where neither page nor size is given."""
    everything = asked.page_num is None and asked.page_size is None
    num, size = asked.page_num or 1, asked.page_size or (store.MAX_LABELS_PER_TYPE if everything else 10)
    limits = ((num - 1) * size, size)
    counted = store.list_labels_with_counts(
        mysql.autocommit, caller.tenant_id, asked.label_type, asked.order_type == 2, limits
    )
    size = counted.total_labels if everything else size
    return CountedLabels(
        page_num=num,
        page_size=size,
        total=counted.total_labels,
        pages=-(-counted.total_labels // size) if size else 0,
        person_numbers=counted.total_patients,
        list=[
            CountedLabel(
                label_name=row["name"],
                label_id=row["label_id"],
                user_name=row["user_name"],
                person_number=row["person_number"],
                create_time=row["created_at"] // 1000,
            )
            for row in counted.labels
        ],
    )


def save(caller: Caller, saved: LabelSaved) -> None:
    """Create, or rename where label_id says which. ApiError 409 where the tenant has the name already."""
    try:
        found = mysql.run_transaction(lambda tx: _create_or_rename(tx, caller, saved))
    except mysql.DuplicateKeyError:
        raise ApiError(errors.CONFLICT, f"{LABEL_TYPE_NAMES[saved.label_type]}名称已存在") from None
    if not found:
        raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[saved.label_type]}不存在")


def delete(caller: Caller, deleted: LabelDeleted) -> None:
    """Take a group or label off all its patients, and away."""
    if not mysql.run_transaction(
        lambda tx: store.delete_label(tx, caller.tenant_id, deleted.label_type, deleted.label_id)
    ):
        raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[deleted.label_type]}不存在")


def set_patient_labels(tx: Tx, tenant_id: int, pati_id: int, label_type: int, label_ids: list[int]) -> None:
    """Have a patient, whose row is locked, under these labels, or in this group, and in none but these.

    ApiError 404 for one that is not there.
    """
    had = {row["label_id"] for row in store.list_patient_labels(tx, pati_id) if row["label_type"] == label_type}
    gone, new = had - set(label_ids), set(label_ids) - had
    for label_id in sorted(gone | new):  # in one order, so that no two wait for each other
        there = store.adjust_person_number(tx, tenant_id, label_type, label_id, 1 if label_id in new else -1)
        if label_id in new and not there:
            raise ApiError(errors.NOT_FOUND, f"{LABEL_TYPE_NAMES[label_type]}不存在")
    for label_id in gone:
        store.delete_patient_label(tx, pati_id, label_id)
    for label_id in new:
        store.insert_patient_label(tx, tenant_id, pati_id, label_id, label_type == LabelKind.GROUP)


def _create_or_rename(tx: Tx, caller: Caller, saved: LabelSaved) -> bool:
    if saved.label_id is None:
        store.insert_label(tx, caller.tenant_id, saved.label_type, saved.label_name, caller.user_id)
        return True
    return store.rename_label(tx, caller.tenant_id, saved.label_type, saved.label_id, saved.label_name)
