"""How much a person may upload in a day, and what posting a form again leaves in the bucket."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from app import file_arrived
from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.errors import ApiError
from chalicelib.files import confirmation, file_types, store, upload_forms
from chalicelib.files.models import UploadTicket
from chalicelib.people import double_submission
from chalicelib.settings import UploadSettings, settings
from tests.support.client import post
from tests.support.consult_client import create_session
from tests.support.factories import Hospital, Person
from tests.support.faults.final_state import is_row_lock_waiting, wait_until
from tests.support.file_samples import build_file
from tests.support.query_plans import explain
from tests.support.uploads import find_object_start, get_upload_key, post_file, request_form, upload

MB = file_types.MB
PICTURE: dict[str, Any] = {"file_extension": "jpg", "file_type": "image/jpeg", "file_size": 1000}
VIDEO: dict[str, Any] = {"extension": "mp4", "size": 100 * MB}
pytestmark = pytest.mark.store


@pytest.fixture
def quotas(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that sets the quotas of patients."""

    def set_quotas(forms: int = 500, megabytes: int = 2048) -> None:
        uploads = UploadSettings(forms_per_day=forms, bytes_per_day=megabytes * MB)
        monkeypatch.setattr(upload_forms, "settings", replace(settings, uploads=uploads))

    return set_quotas


def count_issued(person: Person, tries: int, **terms: Any) -> int:
    """Request forms until one is rejected; return how many were issued."""
    for number in range(tries):
        if not try_form(person, **terms):
            return number
    return tries


def try_form(person: Person, **terms: Any) -> bool:
    """Request a form; return whether it was issued."""
    try:
        request_form(person, **terms)
    except ApiError as error:
        if error.kind is errors.RATE_LIMITED:
            return False
        raise
    return True


def test_four_hundred_videos_of_a_patient_are_rejected(lin: Person) -> None:
    assert count_issued(lin, 400, **VIDEO) == 20
    assert count_issued(lin, 400, size=2 * MB) == 24, "what is left of two gigabytes"


def test_forms_are_counted_whatever_their_size(lin: Person, quotas: Any) -> None:
    quotas(forms=7)
    assert count_issued(lin, 20, size=1) == 7


def test_staff_have_ten_times_as_much(chen: Person, quotas: Any) -> None:
    quotas(forms=2)
    assert count_issued(chen, 30, size=1) == 20
    quotas(forms=100, megabytes=10)
    assert count_issued(chen, 30, size=10 * MB) == 9


def test_each_person_has_a_quota(hospital: Hospital, other_hospital: Hospital, quotas: Any) -> None:
    quotas(forms=1)
    for person in (hospital.lin, hospital.wang, other_hospital.lin):
        assert count_issued(person, 3) == 1


def test_confirmed_file_counts_with_its_own_size(lin: Person, quotas: Any) -> None:
    quotas(megabytes=25)
    ticket = upload(lin)  # of up to 20 MB
    assert count_issued(lin, 5, size=10 * MB) == 0
    confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert count_issued(lin, 5, size=10 * MB) == 2


def test_rejection_says_when_to_come_back(lin: Person, quotas: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    quotas(forms=1)
    evening = clock.to_instant(clock.today()) + 23 * 3600 * clock.SECOND
    monkeypatch.setattr(clock, "now", lambda: evening)
    request_form(lin)
    with pytest.raises(ApiError) as raised:
        request_form(lin)
    assert raised.value.text == "今天上传的文件已达上限（1 个或共 2 GB），请明天再上传"
    assert raised.value.retry_after == 3601
    monkeypatch.setattr(clock, "now", lambda: evening + 3601 * clock.SECOND)
    assert request_form(lin)


@pytest.mark.parametrize("limits", [{"forms": 5}, {"megabytes": 100}])
def test_parallel_requests_do_not_exceed_the_quota(lin: Person, quotas: Any, limits: dict[str, int]) -> None:
    quotas(**limits)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: try_form(lin, size=20 * MB), range(24))) == 5


def test_request_is_counted_after_a_concurrent_one_of_the_same_person(lin: Person, quotas: Any) -> None:
    """The second one waits for the first one's transaction, whose row is not visible until it is committed."""
    quotas(forms=1)

    def meet(tx: mysql.Tx) -> Any:
        double_submission.lock_sender(tx, lin.tenant_id, lin.principal)
        second = pool.submit(try_form, lin)
        wait_until(lambda: second.done() or is_row_lock_waiting())
        tx.execute(
            """
            INSERT INTO files (tenant_id, uploader, place, purpose, extension, min_size, max_size, upload_key,
                               created_at)
            VALUES (%(tenant_id)s, %(uploader)s, '', 'chat', 'jpg', 1, 1, %(key)s, %(now)s)
            """,
            tenant_id=lin.tenant_id,
            uploader=lin.principal.encode(),
            key=f"first-{lin.tenant_id}",
            now=clock.now(),
        )
        return second

    with ThreadPoolExecutor(1) as pool:
        assert not mysql.run_transaction(meet).result()


def test_rejected_form_leaves_no_row(lin: Person, quotas: Any) -> None:
    quotas(forms=1)
    request_form(lin)
    count = "SELECT COUNT(*) FROM files WHERE tenant_id = %(tenant_id)s"
    with pytest.raises(ApiError):
        request_form(lin)
    assert mysql.autocommit.fetch_value(count, tenant_id=lin.tenant_id) == 1


def test_uploads_of_the_day_are_read_in_one_index(lin: Person) -> None:
    plan = explain(
        store.USED_TODAY_SQL,
        tenant_id=lin.tenant_id,
        uploader=lin.principal.encode(),
        since=clock.to_instant(clock.today()),
    )
    assert [(row["key"], "Using index" in row["Extra"].split("; ")) for row in plan] == [("by_day", True)]


def test_endpoint_responds_429_with_retry_after(lin: Person, chen: Person, quotas: Any) -> None:
    quotas(forms=1)
    body = {"msg_session": create_session(lin, chen), **PICTURE}
    assert post("/msg_service/msg/file/pre_upload", lin.token, **body).status == 200
    for path in ("/msg_service/msg/file/pre_upload", "/msg_service/msg/doctor/file/pre_upload"):
        response = post(path, lin.token, **body)
        assert (response.status, response.code) == (429, 10012)
        assert 0 < int(response.headers["Retry-After"]) <= 86_401
    response = post("/pati_service/patient_service/myinfo/upload_picture", lin.token, **PICTURE)
    assert (response.status, response.code) == (429, 10012)


def test_photos_of_staff_are_counted(hospital: Hospital, quotas: Any) -> None:
    dept_id = post("/pati_service/manager_service/save_department", hospital.admin.token, name="内科").data["dept_id"]
    quotas(forms=0)
    requests: list[tuple[str, dict[str, Any]]] = [
        ("/pati_service/manager_service/doctor_photo", {"doctor_id": hospital.chen.user_id}),
        ("/pati_service/manager_service/department_photo", {"dept_id": dept_id}),
    ]
    for path, body in requests:
        response = post(path, hospital.admin.token, **PICTURE, **body)
        assert (response.status, response.code) == (429, 10012)


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Use a bucket with versions, as infra/storage.yaml creates it; return a function that lists those of a key."""
    bucket = f"versioned-{clock.now()}"
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    client: Any = boto3.client("s3", endpoint_url=settings.s3_endpoint_url, region_name=settings.region, config=config)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": settings.region})
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for module in (s3, confirmation):
        monkeypatch.setattr(module, "settings", replace(settings, s3_bucket=bucket))
    return lambda key: client.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])


def announce(ticket: UploadTicket) -> None:
    """Run the function that S3 invokes for a new object."""
    bucket = vars(s3)["settings"].s3_bucket
    detail = {"bucket": {"name": bucket}, "object": {"key": get_upload_key(ticket), "size": 100}}
    file_arrived({"detail": detail, "detail-type": "Object Created", "source": "aws.s3"} | EVENT_FIELDS, None)


EVENT_FIELDS = {
    **dict.fromkeys(("version", "id", "account", "time", "region"), ""),
    "resources": [],
}


def test_form_posted_five_times_changes_no_file_and_leaves_no_current_object(lin: Person, versions: Any) -> None:
    ticket = upload(lin)
    announce(ticket)
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    for number in range(4):
        post_file(ticket, build_file("jpg", 200 + number))
        announce(ticket)
        assert find_object_start(get_upload_key(ticket)) is None
    assert confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id) == file
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert len(versions(file.object_key)) == 1
    assert [one["IsLatest"] for one in versions(get_upload_key(ticket))] == [False] * 5, "they expire after a day"


def test_rejected_object_remains_until_its_uploader_learns_why(lin: Person) -> None:
    ticket = upload(lin, content=b"wrong")
    announce(ticket)
    with pytest.raises(ApiError) as raised:
        confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert raised.value.text.startswith("文件内容无法识别")


@pytest.mark.parametrize("step", ["find_preview", "copy"])
def test_object_deleted_by_the_event_during_a_request_is_no_conflict(
    lin: Person, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The event confirms the upload and deletes its object, just before the request looks for it or copies it."""
    ticket, original = upload(lin), getattr(s3, step)

    def be_overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(s3, step, original)
        announce(ticket)
        return original(*arguments)

    monkeypatch.setattr(s3, step, be_overtaken)
    file = confirmation.confirm_own_upload(lin.tenant_id, lin.principal, ticket.file_id)
    assert find_object_start(file.object_key) == build_file("jpg", 100)
    assert find_object_start(get_upload_key(ticket)) is None


def test_largest_file_fits_the_quota_of_a_day() -> None:
    largest = max(kind.max_bytes for kinds in file_types.ACCEPTED_KINDS.values() for kind in kinds)
    assert largest < settings.uploads.bytes_per_day
