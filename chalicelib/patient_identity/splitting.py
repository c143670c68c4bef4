"""Split merged patient files again.

A split gives the source back what the merge moved and the target still has, with the bookings that the moved members
have made since. What others have decided since stays: a member that the merge replaced lives again only if the one that
took its place does, and a file whose last account was closed meanwhile is in storage.

Merges in a row (A into B, B into C) may be split in any order: A takes its own from C, and nothing that B or C had
without it, and the record of B's merge no longer names what was A's.

If files A and D of one account are merged into B, A's member takes the place of D's. When A is split from B, D's member
lives again, with its bookings and consultations: they were never those of A's person.
"""

from collections.abc import Collection
from dataclasses import replace
from itertools import takewhile

from chalicelib import errors
from chalicelib.adapters.mysql import Tx
from chalicelib.audit.audit_log import AuditAction
from chalicelib.errors import ApiError
from chalicelib.identity.callers import Caller
from chalicelib.patient_identity import file_moves, member_moves, merge_records, merging, notices
from chalicelib.patient_identity.file_moves import FileLabel
from chalicelib.patient_identity.merge_records import Merge, Moved, ReplacedMember
from chalicelib.patient_identity.merging import FilesChangedError
from chalicelib.people import guardians, patient_documents, patients
from chalicelib.people.patient_status import PatientStatus
from chalicelib.people.patients import Patient


def split(tx: Tx, tenant_id: int, merge_id: int, actor: Caller, reason: str) -> Merge:
    """Give a merged file back what was moved and still belongs to the target. Splitting again has no effect.

    In a transaction of `merging.run_transaction`. If the target was merged too, its own target gives back.

    Raises:
        ApiError: 404 if the tenant has no such merge.
        FilesChangedError: the files were merged or split meanwhile.
    """
    record = _get_merge(tx, tenant_id, merge_id)
    source = record.source_pati_id
    holder = patients.find_current_id(tx, tenant_id, record.target_pati_id) or record.target_pati_id
    files = merging.lock_files(tx, tenant_id, (source, holder))
    record = _get_merge(tx, tenant_id, merge_id)
    if record.split_at is not None:
        return record
    if patients.find_current_id(tx, tenant_id, source) != holder:
        raise FilesChangedError
    _give_back(tx, files[holder], record, actor)
    merging.set_merged_into(tx, tenant_id, source, record.moved.status, None)
    if not patient_documents.list_identities(tx, tenant_id, source):  # staff have removed its documents meanwhile
        member_moves.remove_verification(tx, tenant_id, source)
    merge_records.mark_split(tx, tenant_id, merge_id, actor.user_id)
    merging.record(tx, tenant_id, AuditAction.SPLIT_PATIENTS, holder, actor, reason, source, merge_id)
    notices.enqueue_split(tx, tenant_id, merge_id)
    return _get_merge(tx, tenant_id, merge_id)


def _get_merge(tx: Tx, tenant_id: int, merge_id: int) -> Merge:
    found = merge_records.find(tx, tenant_id, merge_id)
    if found is None:
        raise ApiError(errors.NOT_FOUND, "合并记录不存在")
    return found


def _give_back(tx: Tx, holder: Patient, record: Merge, actor: Caller) -> None:
    """Give the source of a merge what the merge moved, as far as the holder still has it."""
    moved, tenant_id, old, new = record.moved, holder.tenant_id, holder.pati_id, record.source_pati_id
    later = _list_later_merges(tx, record)
    _give_back_members(tx, record, later, old, actor)
    if moved.status != PatientStatus.VERIFIED:
        member_moves.count_all_for_account(tx, tenant_id, new)
    holders = [record.target_pati_id, *(one.target_pati_id for one in later)]  # some may have left documents behind
    file_moves.move_documents(tx, tenant_id, moved.document_ids, holders, new, moved.primary_id)
    for pati_id in (old, new):  # not of a file that stays merged: its own split returns its primary document
        patient_documents.ensure_primary(tx, tenant_id, pati_id)
    file_moves.move_identities(tx, tenant_id, moved.identities, old, new)
    if holder.status == PatientStatus.VERIFIED and not patient_documents.release_identities(tx, tenant_id, old):
        member_moves.remove_verification(tx, tenant_id, old)
    carried, doubled = _trace_labels(moved.labels, later)
    file_moves.move_labels(tx, tenant_id, [label.label_id for label in carried], old, new)
    file_moves.add_labels(tx, tenant_id, [*doubled, *moved.dropped_labels], new)
    if moved.guardian:
        passed_on = list(takewhile(lambda one: one.moved.guardian, later))
        guardians.move(tx, tenant_id, holders[len(passed_on)], new)
    file_moves.refresh_latest_visits(tx, tenant_id, (old, new))
    file_moves.refresh_storage(tx, tenant_id, (old, new))
    for one in later:
        present = _get_merge(tx, tenant_id, one.merge_id).moved
        merge_records.set_moved(tx, tenant_id, one.merge_id, _subtract(present, moved))


def _give_back_members(tx: Tx, record: Merge, later: Collection[Merge], holder: int, actor: Caller) -> None:
    """Give the source its members with their bookings, and undo what replaced them, and whom they have replaced."""
    tenant_id, source, member_ids = record.tenant_id, record.source_pati_id, record.moved.member_ids
    by_later = [one for merge in later for one in merge.moved.replaced]
    replaced = [*(one for one in by_later if one.member_id in member_ids), *record.moved.replaced]
    orphans = _list_orphans(tx, record, holder)
    for one in (*replaced, *(one for _, one in orphans)):
        others = _list_successors(one, by_later)
        member_moves.set_member_of_bookings(tx, tenant_id, one.book_ids, others, one.member_id)
        member_moves.set_member_of_sessions(tx, tenant_id, one.conversation_ids, others, one.member_id)
        member_moves.set_member_of_waitlist_entries(tx, tenant_id, one.entry_ids, others, one.member_id)
    member_moves.set_file_of_members(tx, tenant_id, member_ids, holder, source)
    for one in replaced:
        if member_moves.restore_member(tx, tenant_id, one.member_id, _list_successors(one, by_later)[-1]):
            _reopen_sessions(tx, tenant_id, one, by_later)
    _restore_orphans(tx, tenant_id, orphans, later, holder, actor)
    merging.move_bookings_of_members(tx, tenant_id, holder, source, member_ids, record.moved.book_ids)
    member_moves.hold_free_times(tx, tenant_id, holder)


def _reopen_sessions(tx: Tx, tenant_id: int, one: ReplacedMember, by_later: Collection[ReplacedMember]) -> None:
    """Reopen the consultations of a member that its own merge, or a later one, has archived."""
    archived = {*one.archived_ids, *(id_ for other in by_later for id_ in other.archived_ids)}
    member_moves.set_archived(tx, tenant_id, sorted(archived & {*one.archived_ids, *one.conversation_ids}), None)


def _list_orphans(tx: Tx, record: Merge, holder: int) -> list[tuple[Merge, ReplacedMember]]:
    """Return the members of other files whose place one of the source has taken, each with the merge that did it."""
    member_ids = record.moved.member_ids
    return [
        (merge, one)
        for merge in merge_records.list_live_into(tx, record.tenant_id, holder)
        for one in merge.moved.replaced
        if one.other_id in member_ids and one.member_id not in member_ids
    ]


def _restore_orphans(
    tx: Tx,
    tenant_id: int,
    orphans: Collection[tuple[Merge, ReplacedMember]],
    later: Collection[Merge],
    holder: int,
    actor: Caller,
) -> None:
    """Let members live again whose place was taken by one that has left, as if that one had never been there.

    The account has one live member of a file: of several, the first takes the place of the others. If a later merge has
    replaced the one that has left, it replaces them instead.
    """
    by_later = [one for merge in later for one in merge.moved.replaced]
    first: dict[int, int] = {}
    for merge, one in orphans:
        left_id, *successors = _list_successors(one, by_later)
        _set_replaced(tx, merge, one.member_id, None)
        if not successors and left_id not in first:
            if member_moves.restore_member(tx, tenant_id, one.member_id, left_id):
                first[left_id] = one.member_id
                _reopen_sessions(tx, tenant_id, one, by_later)
            continue
        other_id = successors[-1] if successors else first[left_id]
        members = {member.member_id: member for member in member_moves.list_members(tx, tenant_id, holder)}
        if members[other_id].is_live:
            _reopen_sessions(tx, tenant_id, one, by_later)
            new = merging.replace_member(tx, tenant_id, members[one.member_id], other_id, actor)
            member_moves.set_member_of_bookings(tx, tenant_id, new.book_ids, [one.member_id], other_id)
            by = next((merge for merge in later if left_id in {it.member_id for it in merge.moved.replaced}), merge)
            _set_replaced(tx, by, one.member_id, replace(new, other_id=(successors or [other_id])[0]))


def _set_replaced(tx: Tx, merge: Merge, member_id: int, new: ReplacedMember | None) -> None:
    """Replace the record of how a merge has replaced a member; None removes it."""
    moved = _get_merge(tx, merge.tenant_id, merge.merge_id).moved
    others = [one for one in moved.replaced if one.member_id != member_id]
    moved = replace(moved, replaced=[*others, new] if new else others)
    merge_records.set_moved(tx, merge.tenant_id, merge.merge_id, moved)


def _list_successors(replaced: ReplacedMember, later: Collection[ReplacedMember]) -> list[int]:
    """Return the members that took a member's place one after another: one that did may have been replaced too."""
    found = [replaced.other_id]
    while other := next((one.other_id for one in later if one.member_id == found[-1]), None):
        found.append(other)
    return found


def _list_later_merges(tx: Tx, record: Merge) -> list[Merge]:
    """Return the merges of the target into another file, of that file into the next one, and so on."""
    found: list[Merge] = []
    holder = record.target_pati_id
    while later := merge_records.find_live_of_source(tx, record.tenant_id, holder):
        found.append(later)
        holder = later.target_pati_id
    return found


def _trace_labels(labels: Collection[FileLabel], later: Collection[Merge]) -> tuple[list[FileLabel], list[FileLabel]]:
    """Return which moved labels later merges carried to the holder, and which they dropped because a target had them.

    The others were removed before a later merge, and do not come back.
    """
    carried, doubled = list(labels), list[FileLabel]()
    for merge in later:
        doubled += [one for one in carried if one in merge.moved.dropped_labels]
        carried = [one for one in carried if one in merge.moved.labels]
    return carried, doubled


def _subtract(moved: Moved, given_back: Moved) -> Moved:
    """Return what a later merge moved without what the source of an earlier one has taken back."""
    book_ids = {id_ for one in given_back.replaced for id_ in one.book_ids}
    conversation_ids = {id_ for one in given_back.replaced for id_ in (*one.conversation_ids, *one.archived_ids)}
    entry_ids = {id_ for one in given_back.replaced for id_ in one.entry_ids}
    document_ids = set(given_back.document_ids)
    return replace(
        moved,
        member_ids=[one for one in moved.member_ids if one not in given_back.member_ids],
        replaced=[
            replace(
                one,
                book_ids=[id_ for id_ in one.book_ids if id_ not in book_ids],
                conversation_ids=[id_ for id_ in one.conversation_ids if id_ not in conversation_ids],
                archived_ids=[id_ for id_ in one.archived_ids if id_ not in conversation_ids],
                entry_ids=[id_ for id_ in one.entry_ids if id_ not in entry_ids],
            )
            for one in moved.replaced
            if one.member_id not in given_back.member_ids
        ],
        book_ids=[one for one in moved.book_ids if one not in given_back.book_ids],
        document_ids=[one for one in moved.document_ids if one not in document_ids],
        primary_id=None if moved.primary_id in document_ids else moved.primary_id,
        identities=[one for one in moved.identities if one not in given_back.identities],
        labels=[one for one in moved.labels if one not in given_back.labels],
        dropped_labels=[one for one in moved.dropped_labels if one not in given_back.labels],
        guardian=moved.guardian and not given_back.guardian,
    )
