"""Records of merges (patient_merges): which file replaces which, and what moved."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.patient_identity.file_moves import FileLabel
from chalicelib.people.documents import Identity
from chalicelib.people.patient_status import PatientStatus, VerificationMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedMember:
    """A member of the source whose account has another member of the target: the other one takes its place."""

    member_id: int
    other_id: int
    book_ids: list[int]  # bookings to come, which are the other member's now
    conversation_ids: list[int]  # consultations, which are the other member's now
    archived_ids: list[int]  # consultations with doctors of whom the other member is a patient too
    entry_ids: list[int]  # places on the waitlist, which are the other member's now


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a merge moved from source to target."""

    status: PatientStatus  # of the source before
    member_ids: list[int] = field(default_factory=list)
    book_ids: list[int] = field(default_factory=list)  # bookings without a member
    replaced: list[ReplacedMember] = field(default_factory=list)
    document_ids: list[int] = field(default_factory=list)
    primary_id: int | None = None  # of the documents, the source's primary one
    identities: list[Identity] = field(default_factory=list)
    labels: list[FileLabel] = field(default_factory=list)
    dropped_labels: list[FileLabel] = field(default_factory=list)  # which the target has too, and a second group
    guardian: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """A merge of two files."""

    merge_id: int
    tenant_id: int
    source_pati_id: int
    target_pati_id: int
    how: VerificationMethod
    moved: Moved
    merged_by: int | None  # user_id, None for a job
    merged_at: int
    split_by: int | None
    split_at: int | None  # None while the files are merged


def insert(
    tx: Tx, tenant_id: int, source: int, target: int, how: VerificationMethod, moved: Moved, merged_by: int | None
) -> int:
    """Insert a merge and return its merge_id."""
    return tx.insert(
        """
        INSERT INTO patient_merges (tenant_id, source_pati_id, target_pati_id, how, moved, merged_by, merged_at)
        VALUES (%(tenant_id)s, %(source)s, %(target)s, %(how)s, %(moved)s, %(merged_by)s, %(now)s)
        """,
        tenant_id=tenant_id,
        source=source,
        target=target,
        how=how,
        moved=_format_moved(moved),
        merged_by=merged_by,
        now=clock.now(),
    )


def find(tx: Tx, tenant_id: int, merge_id: int, for_update: bool = False) -> Merge | None:
    """Return a merge, None if the tenant has no such merge."""
    row = tx.fetch_one(
        f"{_SELECT_SQL} AND merge_id = %(merge_id)s {'FOR UPDATE' if for_update else ''}",
        tenant_id=tenant_id,
        merge_id=merge_id,
    )
    return _parse(row) if row else None


def find_live_of_source(tx: Tx, tenant_id: int, source: int) -> Merge | None:
    """Return the merge by which a file was replaced, or None."""
    row = tx.fetch_one(
        f"{_SELECT_SQL} AND source_pati_id = %(source)s AND live = 1", tenant_id=tenant_id, source=source
    )
    return _parse(row) if row else None


def list_live_into(tx: Tx, tenant_id: int, pati_id: int) -> list[Merge]:
    """Return the merges into a file, into the sources of these, and so on, that are not split; the earliest first."""
    found, targets = list[Merge](), [pati_id]
    while targets:
        sql = f"{_SELECT_SQL} AND target_pati_id IN %(targets)s AND live = 1"
        merges = [_parse(row) for row in tx.fetch_all(sql, tenant_id=tenant_id, targets=targets)]
        found += merges
        targets = [one.source_pati_id for one in merges]
    return sorted(found, key=lambda one: one.merge_id)


def list_of_patient(tx: Tx, tenant_id: int, pati_id: int) -> list[Merge]:
    """Return the merges of a file, as source or target, the newest first."""
    rows = tx.fetch_all(
        f"""
        {_SELECT_SQL} AND (source_pati_id = %(pati_id)s OR target_pati_id = %(pati_id)s)
        ORDER BY merge_id DESC
        """,
        tenant_id=tenant_id,
        pati_id=pati_id,
    )
    return [_parse(row) for row in rows]


def set_moved(tx: Tx, tenant_id: int, merge_id: int, moved: Moved) -> None:
    """Replace the record of what a merge moved, part of which was given back to another file."""
    tx.execute(
        "UPDATE patient_merges SET moved = %(moved)s WHERE merge_id = %(merge_id)s AND tenant_id = %(tenant_id)s",
        moved=_format_moved(moved),
        merge_id=merge_id,
        tenant_id=tenant_id,
    )


def mark_split(tx: Tx, tenant_id: int, merge_id: int, split_by: int) -> None:
    """Record that the files are split again."""
    tx.execute(
        """
        UPDATE patient_merges SET live = NULL, split_by = %(split_by)s, split_at = %(now)s
        WHERE merge_id = %(merge_id)s AND tenant_id = %(tenant_id)s
        """,
        split_by=split_by,
        now=clock.now(),
        merge_id=merge_id,
        tenant_id=tenant_id,
    )


_SELECT_SQL = """
    SELECT merge_id, tenant_id, source_pati_id, target_pati_id, how, moved, merged_by, merged_at, split_by, split_at
    FROM patient_merges WHERE tenant_id = %(tenant_id)s
"""


def _parse(row: Row) -> Merge:
    how, moved = VerificationMethod(row["how"]), _parse_moved(json.loads(row["moved"]))
    return Merge(**{**row, "how": how, "moved": moved})


def _format_moved(moved: Moved) -> str:
    """Return what `_parse_moved` parses. An identity is its blind index in hexadecimal, followed by the country."""
    return json.dumps({**asdict(moved), "identities": [one.blind.hex() + one.country for one in moved.identities]})


def _parse_moved(stored: Mapping[str, Any]) -> Moved:
    return Moved(
        **{
            **stored,
            "status": PatientStatus(stored["status"]),
            "replaced": [ReplacedMember(**one) for one in stored["replaced"]],
            "identities": [Identity(bytes.fromhex(one[:64]), one[64:]) for one in stored["identities"]],
            "labels": _parse_labels(stored["labels"]),
            "dropped_labels": _parse_labels(stored["dropped_labels"]),
        }
    )


def _parse_labels(stored: Iterable[Mapping[str, Any]]) -> list[FileLabel]:
    return [FileLabel(**one) for one in stored]
