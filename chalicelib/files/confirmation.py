"""An upload becomes a file: its bytes are looked at, and what was seen is put where its form no longer reaches.

A form can be posted again until it expires, so the uploaded object is copied under a key of its own, and only if it is
still the one that was looked at. Everybody who confirms one upload gets the file that was confirmed first.
"""

import logging

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.aws.s3 import ObjectPreview
from chalicelib.errors import ApiError
from chalicelib.files import magic_numbers, store
from chalicelib.files.models import File, Upload
from chalicelib.people import accounts
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

NOT_FOUND_TEXT = "文件不存在"


def confirm_own_upload(tenant_id: int, principal: str, file_id: int) -> File:
    """Return somebody's own file. ApiError 404 where there is none, 409 where it was not uploaded, or is something else
    than was said."""
    return _confirm(store.find(mysql.autocommit, tenant_id, principal, file_id))


def confirm_upload_for_place(tenant_id: int, principal: str, public_id: str, file_id: int) -> File:
    """Return a file that its uploader may send into the conversation it was uploaded for; refused as `uploaded`."""
    return _confirm(store.find(mysql.autocommit, tenant_id, principal, file_id, public_id))


def handle_object_created(bucket: str, key: str) -> None:
    """S3 says that an object was created. What is no upload, or no good one, stays as it is until it is swept."""
    upload = store.find_by_key(mysql.autocommit, key) if bucket == settings.s3_bucket else None
    if upload is None:
        return
    try:
        _confirm(upload)
    except ApiError as refused:
        if refused.kind is errors.UNAVAILABLE:  # Lambda brings the event again
            raise
        logger.warning("upload refused", extra={"ids": {"file_id": upload.file_id, "code": refused.kind.code}})


def _confirm(upload: Upload | None) -> File:
    if upload is None:
        raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
    if upload.object_key:
        return upload.to_file()
    seen = s3.find_preview(upload.upload_key, magic_numbers.SNIFF_BYTES)
    if seen is None:
        raise ApiError(errors.CONFLICT, "文件尚未上传")
    if not (upload.min_size <= seen.size <= upload.max_size and upload.kind.matches(seen.first_bytes)):
        raise ApiError(errors.CONFLICT, f"文件内容与类型 {upload.extension} 不符，请重新上传")
    return _copy_and_record(upload, seen)


def _copy_and_record(upload: Upload, seen: ObjectPreview) -> File:
    # Named for its content: whoever repeats this after a crash makes the same copy and no second one.
    stem, etag = upload.upload_key.rpartition("/")[2].partition(".")[0], seen.etag.strip('"')
    object_key = f"{upload.tenant_id}/files/{stem}-{etag}.{upload.extension}"
    if not s3.copy(upload.upload_key, seen.etag, object_key, upload.kind.content_types[0]):
        raise ApiError(errors.CONFLICT, "文件正在被替换，请稍后再试")
    now = mysql.run_transaction(lambda tx: _record_copy(tx, upload, object_key, seen.size))
    if now is None or now.object_key != object_key:
        s3.delete([object_key])
    if now is None:  # a day old, and swept in this moment
        raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
    return now.to_file()


def _record_copy(tx: mysql.Tx, upload: Upload, object_key: str, size: int) -> Upload | None:
    store.confirm(tx, upload.file_id, object_key, size, clock.now())
    if upload.place == accounts.AVATAR:
        accounts.set_avatar(tx, upload.file_id)
    return store.find_by_key(tx, upload.upload_key)
