from collections.abc import Iterator
from dataclasses import replace

import pytest

from app import sweep_files
from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.errors import ApiError
from chalicelib.files import cleanup, confirmation
from chalicelib.files.models import UploadTicket
from chalicelib.settings import settings
from tests.support.client import build_schedule_event
from tests.support.factories import Person
from tests.support.file_samples import build_file
from tests.support.processes import run_in_processes
from tests.support.uploads import file_exists, find_object_start, get_upload_key, request_form, upload

HOUR = 3600 * clock.SECOND


@pytest.fixture(autouse=True)
def delete_old_rows() -> Iterator[None]:
    """Delete the old uploads of each test, so that no other test counts them."""
    yield
    mysql.autocommit.execute("DELETE FROM files WHERE created_at < %(then)s", then=clock.now() - HOUR)


def make_older(ticket: UploadTicket, hours: float = 25) -> UploadTicket:
    """Date an upload back by some hours."""
    then = clock.now() - int(hours * HOUR)
    sql = "UPDATE files SET created_at = %(then)s WHERE file_id = %(file_id)s"
    mysql.autocommit.execute(sql, then=then, file_id=ticket.file_id)
    return ticket


def run_cleanup() -> None:
    sweep_files(build_schedule_event(), None)


def test_unconfirmed_upload_is_deleted_after_a_day(lin: Person) -> None:
    unconfirmed, never_uploaded = make_older(upload(lin)), make_older(request_form(lin))
    run_cleanup()
    assert not file_exists(unconfirmed.file_id)
    assert not file_exists(never_uploaded.file_id)
    assert find_object_start(get_upload_key(unconfirmed)) is None


def test_recent_upload_is_not_deleted(lin: Person) -> None:
    ticket = make_older(upload(lin), hours=23.9)
    run_cleanup()
    assert file_exists(ticket.file_id)
    assert find_object_start(get_upload_key(ticket)) == build_file("jpg", 100)


def test_confirmed_file_remains_and_its_uploaded_object_is_deleted(lin: Person) -> None:
    ticket = make_older(upload(lin))
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    run_cleanup()
    assert find_object_start(get_upload_key(ticket)) is None
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id) == file


def test_second_run_deletes_nothing(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmation.confirm_own_upload(lin.tenant_id, lin.principal, make_older(upload(lin)).file_id)
    make_older(upload(lin))
    assert cleanup.delete_expired_uploads() == 1
    monkeypatch.setattr(s3, "delete", lambda _: pytest.fail("nothing is left to delete"))
    assert cleanup.delete_expired_uploads() == 0


def test_file_confirmed_during_the_run_is_not_deleted(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, delete = make_older(upload(lin)), s3.delete

    def confirm_and_delete(keys: list[str]) -> set[str]:
        confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
        return delete(keys)

    monkeypatch.setattr(s3, "delete", confirm_and_delete)
    assert cleanup.delete_expired_uploads() == 0
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert find_object_start(file.object_key) == build_file("jpg", 100)


def test_upload_deleted_during_its_confirmation_leaves_no_copy(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, copy = make_older(upload(lin)), s3.copy
    copies: list[str] = []

    def copy_and_clean_up(source: str, etag: str, target: str, content_type: str) -> bool:
        copies.append(target)
        succeeded = copy(source, etag, target, content_type)
        cleanup.delete_expired_uploads()
        return succeeded

    monkeypatch.setattr(s3, "copy", copy_and_clean_up)
    with pytest.raises(ApiError) as error:
        confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert error.value.kind is errors.NOT_FOUND
    assert [find_object_start(key) for key in copies] == [None]


def test_rows_remain_while_s3_is_unreachable(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = make_older(upload(lin))
    with monkeypatch.context() as patch:
        patch.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
        with pytest.raises(ApiError):
            run_cleanup()
    assert file_exists(ticket.file_id)
    assert cleanup.delete_expired_uploads() == 1


def test_object_that_s3_does_not_delete_is_skipped_until_the_next_run(
    lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    tickets, delete = [make_older(upload(lin)) for _ in range(5)], s3.delete
    locked = get_upload_key(tickets[0])
    with monkeypatch.context() as patch:
        patch.setattr(s3, "delete", lambda keys: delete([key for key in keys if key != locked]) | {locked} & set(keys))
        assert cleanup.delete_expired_uploads() == 4
    assert [file_exists(ticket.file_id) for ticket in tickets] == [True] + [False] * 4
    assert cleanup.delete_expired_uploads() == 1


def test_one_run_deletes_several_batches(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 3)
    for _ in range(7):
        make_older(request_form(lin))
    assert cleanup.delete_expired_uploads() == 7


def test_run_stops_in_time_and_the_next_continues(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 1)
    monkeypatch.setattr(cleanup, "TIME_BUDGET_SECONDS", 0.0)
    make_older(request_form(lin))
    assert cleanup.delete_expired_uploads() == 0
    monkeypatch.setattr(cleanup, "TIME_BUDGET_SECONDS", 8.0)
    assert cleanup.delete_expired_uploads() == 1


def test_concurrent_runs_count_each_upload_once(lin: Person) -> None:
    tickets = [make_older(upload(lin)) for _ in range(20)]
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, tickets[0].file_id)
    assert sum(run_in_processes(cleanup.delete_expired_uploads, [(), ()])) == 19
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert [file_exists(ticket.file_id) for ticket in tickets] == [True] + [False] * 19
