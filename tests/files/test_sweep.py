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
from tests.support.factories import Person
from tests.support.file_samples import build_file
from tests.support.processes import run_in_processes
from tests.support.uploads import file_exists, find_object_start, get_upload_key, request_form, upload

HOUR = 3600 * clock.SECOND


@pytest.fixture(autouse=True)
def nothing_older() -> Iterator[None]:
    """What other tests left must not be counted here, nor what is left here by others."""
    yield
    mysql.autocommit.execute("DELETE FROM files WHERE created_at < %(then)s", then=clock.now() - HOUR)


def aged(ticket: UploadTicket, hours: float = 25) -> UploadTicket:
    """The form was made some hours ago."""
    then = clock.now() - int(hours * HOUR)
    sql = "UPDATE files SET created_at = %(then)s WHERE file_id = %(file_id)s"
    mysql.autocommit.execute(sql, then=then, file_id=ticket.file_id)
    return ticket


def run() -> None:
    sweep_files(said(), None)


def said() -> dict[str, object]:
    """What EventBridge says to a job that it starts."""
    names = ("version", "account", "region", "source", "time", "id")
    return {**dict.fromkeys(names, ""), "detail-type": "Scheduled Event", "detail": {}, "resources": []}


def test_after_a_day_an_upload_that_became_no_file_goes(lin: Person) -> None:
    there_but_never_confirmed, never_uploaded = aged(upload(lin)), aged(request_form(lin))
    run()
    assert not file_exists(there_but_never_confirmed.file_id)
    assert not file_exists(never_uploaded.file_id)
    assert find_object_start(get_upload_key(there_but_never_confirmed)) is None


def test_within_a_day_it_stays(lin: Person) -> None:
    ticket = aged(upload(lin), hours=23.9)
    run()
    assert file_exists(ticket.file_id)
    assert find_object_start(get_upload_key(ticket)) == build_file("jpg", 100)


def test_a_file_stays_and_only_what_it_was_copied_from_goes(lin: Person) -> None:
    ticket = aged(upload(lin))
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    run()
    assert find_object_start(get_upload_key(ticket)) is None
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id) == file


def test_sweeping_again_finds_nothing_to_do(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmation.confirm_own_upload(lin.tenant_id, lin.principal, aged(upload(lin)).file_id)
    aged(upload(lin))
    assert cleanup.delete_expired_uploads() == 1
    monkeypatch.setattr(s3, "delete", lambda _: pytest.fail("there is nothing left to delete"))
    assert cleanup.delete_expired_uploads() == 0


def test_a_file_confirmed_while_the_sweep_runs_is_not_deleted(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, delete = aged(upload(lin)), s3.delete

    def confirmed_first(keys: list[str]) -> set[str]:
        confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
        return delete(keys)

    monkeypatch.setattr(s3, "delete", confirmed_first)
    assert cleanup.delete_expired_uploads() == 0
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert find_object_start(file.object_key) == build_file("jpg", 100)


def test_an_upload_swept_while_it_is_confirmed_is_gone_with_its_copy(
    lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket, copy = aged(upload(lin)), s3.copy
    copied: list[str] = []

    def swept_after(source: str, etag: str, target: str, content_type: str) -> bool:
        copied.append(target)
        done = copy(source, etag, target, content_type)
        cleanup.delete_expired_uploads()
        return done

    monkeypatch.setattr(s3, "copy", swept_after)
    with pytest.raises(ApiError) as refused:
        confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert refused.value.kind is errors.NOT_FOUND
    assert [find_object_start(key) for key in copied] == [None]


def test_while_s3_is_gone_the_rows_stay_for_the_next_run(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = aged(upload(lin))
    with monkeypatch.context() as gone:
        gone.setattr(s3, "settings", replace(settings, s3_endpoint_url="http://127.0.0.1:9"))
        with pytest.raises(ApiError):
            run()
    assert file_exists(ticket.file_id)
    assert cleanup.delete_expired_uploads() == 1


def test_an_object_that_s3_keeps_is_passed_over_and_tried_again_by_the_next_run(
    lin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 2)
    tickets, delete = [aged(upload(lin)) for _ in range(5)], s3.delete
    locked = get_upload_key(tickets[0])
    with monkeypatch.context() as lock:
        lock.setattr(s3, "delete", lambda keys: delete([key for key in keys if key != locked]) | {locked} & set(keys))
        assert cleanup.delete_expired_uploads() == 4
    assert [file_exists(ticket.file_id) for ticket in tickets] == [True] + [False] * 4
    assert cleanup.delete_expired_uploads() == 1


def test_more_than_a_batch_goes_in_one_run(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 3)
    for _ in range(7):
        aged(request_form(lin))
    assert cleanup.delete_expired_uploads() == 7


def test_a_run_ends_in_time_and_the_next_goes_on(lin: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleanup, "BATCH_SIZE", 1)
    monkeypatch.setattr(cleanup, "TIME_BUDGET_SECONDS", 0.0)
    aged(request_form(lin))
    assert cleanup.delete_expired_uploads() == 0
    monkeypatch.setattr(cleanup, "TIME_BUDGET_SECONDS", 8.0)
    assert cleanup.delete_expired_uploads() == 1


def test_two_sweeps_at_once_count_each_upload_once(lin: Person) -> None:
    tickets = [aged(upload(lin)) for _ in range(20)]
    kept = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, tickets[0].file_id)
    assert sum(run_in_processes(cleanup.delete_expired_uploads, [(), ()])) == 19
    assert find_object_start(kept.object_key) == build_file("jpg", 100)
    assert [file_exists(ticket.file_id) for ticket in tickets] == [True] + [False] * 19
