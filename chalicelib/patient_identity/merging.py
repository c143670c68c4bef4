"""Merge patient files of one person; splitting.py splits them again.

A merge moves everything that belongs to the source to the target: members with their bookings, charges and
consultations, documents, identities, labels, the guardian. The source stays, with status MERGED, and leads to the
target (patients.merged_into). patient_merges records what moved, for a split.

A verified target gets a document only if it owns the identity that the document proves. If staff decide that the files
are one, it owns what the source's documents prove; if an account or one document proves it, the others stay behind.

Files are locked in ascending pati_id, before all other rows; booking locks them too, so a booking is made before or
after a merge. A target is never a merged file, so merges do not form a circle.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.audit import audit_log
from chalicelib.audit.audit_log import AuditAction
from chalicelib.crypto import field_encryption
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Queue
from chalicelib.patient_identity import file_moves, member_moves, merge_records, notices
from chalicelib.patient_identity.member_moves import FileMember
from chalicelib.patient_identity.merge_records import Moved, ReplacedMember
from chalicelib.people import guardians, patient_documents, patients
from chalicelib.people.patient_documents import StoredDocument
from chalicelib.people.patient_status import PatientStatus, VerificationMethod
from chalicelib.people.patients import Patient

T = TypeVar("T")
MAX_TRIES = 3  # of a transaction whose files were changed by another one before it had locked them


class FilesChangedError(Exception):
    """Files were merged, split or verified before they were locked: the transaction is to be run again."""


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A merge, new or of an earlier request."""

    merge_id: int
    pati_id: int  # the target
    conflicts: list[int]  # book_ids of bookings to come that clash with another one of the person


def run_transaction(work: Callable[[Tx], T]) -> T:
    """Run a transaction that merges, splits or verifies files, with the keys it needs, and wake the workers.

    Args:
        work: is run again after FilesChangedError.

    Raises:
        ApiError: 503 if the files keep changing.
    """
    field_encryption.preload_keys()
    for _ in range(MAX_TRIES):
        with suppress(FilesChangedError):
            result = mysql.run_transaction(work)
            outbox.wake_worker(Queue.EXTERNAL)
            return result
    raise ApiError(errors.UNAVAILABLE, retry_after=1)


def lock_files(tx: Tx, tenant_id: int, pati_ids: Collection[int]) -> dict[int, Patient]:
    """Lock files until the commit, in ascending order, and return them. This lock is taken before all others.

    Raises:
        ApiError: 404 if the tenant does not have one of them.
    """
    return {one: patients.get(tx, tenant_id, one, for_update=True) for one in sorted(set(pati_ids))}


def merge(
    tx: Tx,
    tenant_id: int,
    source: int,
    target: int,
    how: VerificationMethod,
    actor: Caller | None = None,
    reason: str = "",
    *,
    claims_documents: bool = False,
) -> MergeResult:
    """Merge one file into another, in a transaction of `run_transaction`. Merging them again has no effect.

    Args:
        actor: who merges; None for a job.
        claims_documents: a verified target owns what the source's documents prove, because staff have compared the
            files; else documents of identities that it does not own stay with the source.

    Raises:
        ApiError: 404 if the tenant does not have one of them; 409 if one of them is merged into another file already,
            or if the target is less verified than the source.
        FilesChangedError: another file was verified meanwhile.
    """
    files = lock_files(tx, tenant_id, (source, target))
    earlier = merge_records.find_live_of_source(tx, tenant_id, source)
    if earlier and earlier.target_pati_id == target:
        return MergeResult(earlier.merge_id, target, [])
    _require_mergeable(files[source], files[target])
    moved, conflicts = _move(tx, files[source], files[target], actor, claims_documents)
    set_merged_into(tx, tenant_id, source, PatientStatus.MERGED, target)
    merge_id = merge_records.insert(tx, tenant_id, source, target, how, moved, actor.user_id if actor else None)
    record(tx, tenant_id, AuditAction.MERGE_PATIENTS, target, actor, reason, source, merge_id)
    notices.enqueue_bound(tx, tenant_id, merge_id, conflicts)
    return MergeResult(merge_id, target, conflicts)


def _require_mergeable(source: Patient, target: Patient) -> None:
    if source.pati_id == target.pati_id:
        raise ApiError(errors.CONFLICT, "不能将档案并入自身")
    for file, name in ((source, "来源"), (target, "目标")):
        if file.status == PatientStatus.MERGED:
            raise ApiError(errors.CONFLICT, f"{name}档案已并入档案 {file.merged_into}")
    if source.status == PatientStatus.VERIFIED and target.status != PatientStatus.VERIFIED:
        raise ApiError(errors.CONFLICT, "来源档案已核验而目标档案未核验，请交换来源与目标")
    if target.status == PatientStatus.TEMPORARY and source.status != PatientStatus.TEMPORARY:
        raise ApiError(errors.CONFLICT, "目标是临时档案，请交换来源与目标")


def _move(
    tx: Tx, source: Patient, target: Patient, actor: Caller | None, claims_documents: bool
) -> tuple[Moved, list[int]]:
    """Move what belongs to the source; return it, and the book_ids of bookings to come that clash."""
    tenant_id, old, new = source.tenant_id, source.pati_id, target.pati_id
    members = member_moves.list_members(tx, tenant_id, old)
    member_ids = [member.member_id for member in members]
    others = {one.user_id: one.member_id for one in member_moves.list_members(tx, tenant_id, new) if one.is_live}
    doubles = [(member, others[member.user_id]) for member in members if member.is_live and member.user_id in others]
    replaced = [replace_member(tx, tenant_id, *pair, actor) for pair in doubles]
    member_moves.set_file_of_members(tx, tenant_id, member_ids, old, new)
    book_ids = member_moves.list_bookings_without_member(tx, tenant_id, old)
    conflicts = move_bookings_of_members(tx, tenant_id, old, new, member_ids, book_ids)
    for one in replaced:
        member_moves.set_member_of_bookings(tx, tenant_id, one.book_ids, [one.member_id], one.other_id)
    if target.status == PatientStatus.VERIFIED:
        member_moves.count_booked_for_person(tx, tenant_id, new)
    if any(member.is_live for member in members):
        file_moves.take_from_storage(tx, tenant_id, new)
    identities = patient_documents.list_identities(tx, tenant_id, old)
    file_moves.move_identities(tx, tenant_id, identities, old, new)
    document_ids, primary_id = _move_documents(tx, old, target, claims_documents)
    labels, dropped_labels = _move_labels(tx, tenant_id, old, new)
    file_moves.refresh_latest_visits(tx, tenant_id, (old, new))
    moved = Moved(
        status=source.status,
        member_ids=member_ids,
        book_ids=book_ids,
        replaced=replaced,
        document_ids=document_ids,
        primary_id=primary_id,
        identities=identities,
        labels=labels,
        dropped_labels=dropped_labels,
        guardian=guardians.move(tx, tenant_id, old, new),
    )
    return moved, conflicts


def replace_member(tx: Tx, tenant_id: int, member: FileMember, other_id: int, actor: Caller | None) -> ReplacedMember:
    """Remove a member whose account has another one of the file, which gets consultations and places on the waitlist.

    The caller lets it have the bookings too, once they are on its file.
    """
    book_ids = member_moves.list_booked_of_member(tx, tenant_id, member.member_id)
    moved_ids, archived_ids = member_moves.list_sessions(tx, tenant_id, member.member_id, other_id)
    member_moves.set_member_of_sessions(tx, tenant_id, moved_ids, [member.member_id], other_id)
    member_moves.set_archived(tx, tenant_id, archived_ids, clock.now())
    entry_ids = member_moves.list_waitlist_entries(tx, tenant_id, member.member_id, other_id)
    member_moves.set_member_of_waitlist_entries(tx, tenant_id, entry_ids, [member.member_id], other_id)
    member_moves.replace_member(tx, tenant_id, member, other_id, actor.user_id if actor else None)
    return ReplacedMember(
        member_id=member.member_id,
        other_id=other_id,
        book_ids=book_ids,
        conversation_ids=moved_ids,
        archived_ids=archived_ids,
        entry_ids=entry_ids,
    )


def move_bookings_of_members(
    tx: Tx, tenant_id: int, old: int, new: int, member_ids: Collection[int], book_ids: Collection[int]
) -> list[int]:
    """Move the bookings of members, and those without one that are named.

    Returns the book_ids of those to come that clash with another one of the new file.

    Both stay: the person may keep both, or the front desk cancels one with them.
    """
    live = member_moves.list_live_bookings(tx, tenant_id, (old, new))
    held = {hold for one in live if one.pati_id == new and one.is_held for hold in one.holds}
    clashing = []
    for one in live:
        if one.pati_id == old and (one.member_id in member_ids or one.book_id in book_ids):
            if held & one.holds:
                clashing.append(one)
            else:
                held |= one.holds
    member_moves.move_bookings(tx, tenant_id, old, new, member_ids, book_ids, [one.book_id for one in clashing])
    return [one.book_id for one in clashing if one.day >= clock.today()]


def _move_documents(tx: Tx, old: int, target: Patient, claims: bool) -> tuple[list[int], int | None]:
    """Move the documents that the target may have and does not have. Return their ids, and the primary one among them.

    Args:
        claims: let a verified target own what they prove, unless another verified file does.
    """
    tenant_id, new = target.tenant_id, target.pati_id
    present = patient_documents.list_of_patient(tx, tenant_id, new)
    moved = patient_documents.list_of_patient(tx, tenant_id, old)
    moved = [one for one in moved if not any(_has_number_of(other, one) for other in present)]
    if target.status == PatientStatus.VERIFIED:
        owned = [one for one in moved if patient_documents.owns(tx, tenant_id, new, one.identity)]
        free = [one for one in moved if one not in owned and claims and not _is_owned(tx, one)]
        moved = [one for one in moved if one in owned or one in free]
        _claim(tx, target, free)
    document_ids = [one.document_id for one in moved]
    primary_id = next((one.document_id for one in moved if one.is_primary), None)
    has_primary = any(one.is_primary for one in present)
    file_moves.move_documents(tx, tenant_id, document_ids, [old], new, None if has_primary else primary_id)
    return document_ids, primary_id


def _has_number_of(document: StoredDocument, other: StoredDocument) -> bool:
    """Return whether a document has the number of another, and its country, if that is known."""
    return document.number_blind == other.number_blind and other.country in ("", document.country)


def _is_owned(tx: Tx, document: StoredDocument) -> bool:
    """Return whether a verified file owns the identity of a document."""
    return patient_documents.find_verified_by_identity(tx, document.tenant_id, document.identity) is not None


def _claim(tx: Tx, file: Patient, documents: Collection[StoredDocument]) -> None:
    """Let a verified file own what documents prove. Raises FilesChangedError if another file was verified meanwhile."""
    identities = [one.identity for one in documents]
    try:
        patient_documents.claim_identities(tx, file.tenant_id, file.pati_id, identities)
    except mysql.DuplicateKeyError as duplicate:
        raise FilesChangedError from duplicate


def _move_labels(
    tx: Tx, tenant_id: int, old: int, new: int
) -> tuple[list[file_moves.FileLabel], list[file_moves.FileLabel]]:
    """Move the labels that the new file does not have, and the group if it has none; return them and the others."""
    present = file_moves.list_labels(tx, tenant_id, new)
    label_ids, has_group = {one.label_id for one in present}, any(one.is_group for one in present)
    labels = file_moves.list_labels(tx, tenant_id, old)
    dropped = [one for one in labels if one.label_id in label_ids or (one.is_group and has_group)]
    moved = [one for one in labels if one not in dropped]
    file_moves.move_labels(tx, tenant_id, [one.label_id for one in moved], old, new)
    file_moves.drop_labels(tx, tenant_id, [one.label_id for one in dropped], old)
    return moved, dropped


def set_merged_into(tx: Tx, tenant_id: int, pati_id: int, status: PatientStatus, target: int | None) -> None:
    """Set the status of a locked file, and which file replaces it; None: none does."""
    tx.execute(
        """
        UPDATE patients SET status = %(status)s, merged_into = %(target)s, changed_at = %(now)s
        WHERE pati_id = %(pati_id)s AND tenant_id = %(tenant_id)s
        """,
        status=status,
        target=target,
        now=clock.now(),
        pati_id=pati_id,
        tenant_id=tenant_id,
    )


def record(
    tx: Tx,
    tenant_id: int,
    action: AuditAction,
    target: int,
    actor: Caller | None,
    reason: str,
    source: int,
    merge_id: int,
) -> None:
    """Enter a merge or split into the audit log."""
    audit_log.insert_entry(
        tx,
        tenant_id,
        actor.principal if actor else "",
        action,
        f"patient:{target}",
        reason=reason,
        key_id=(actor.key_id or None) if actor else None,
        source=source,
        merge_id=merge_id,
    )
