"""Confirm uploads: recognize the kind of the uploaded object by its first bytes, and copy it to its final key.

An upload form can be used again until it expires. The object is therefore copied to a key that no form can write, and
only if its ETag is still that of the checked object. Concurrent confirmations of one upload all return the file that
was recorded first.

Each object that a form creates causes an event, whose handler deletes it once the upload is confirmed. So it may be
deleted while a request confirms it: a request that finds no object looks for the file.
"""

import logging

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.aws.s3 import ObjectPreview
from chalicelib.errors import ApiError
from chalicelib.files import file_types, magic_numbers, store
from chalicelib.files.file_types import FileKind
from chalicelib.files.models import File, Upload
from chalicelib.files.withdrawals import WITHDRAWN_TEXT
from chalicelib.people import accounts
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

NOT_FOUND_TEXT = "文件不存在"
NOT_UPLOADED_TEXT = (
    "文件尚未上传：把 fields 的每一项和最后的 file 用 multipart/form-data POST 到 url，S3 返回 204 后再确认"
)


def confirm_own_upload(tenant_id: int, principal: str, file_id: int) -> File:
    """Return the file of the caller's own upload, confirming it if necessary.

    Raises:
        ApiError: 404 if there is no such upload or it was withdrawn with its message, 409 if nothing was uploaded or
            its content is of a kind that is not accepted, 503 if S3 cannot be reached.
    """
    upload = store.find(mysql.autocommit, tenant_id, principal, file_id)
    if upload and upload.withdrawn_at is not None:
        raise ApiError(errors.NOT_FOUND, WITHDRAWN_TEXT)
    return _confirm(upload)


def confirm_upload_for_place(tenant_id: int, principal: str, place: str, file_id: int) -> File:
    """Return the file of the caller's own upload for a place, such as a conversation. It may be a withdrawn file.

    Raises:
        ApiError: as `confirm_own_upload` otherwise.
    """
    return _confirm(store.find(mysql.autocommit, tenant_id, principal, file_id, place))


def handle_object_created(bucket: str, key: str) -> None:
    """Confirm the upload of an S3 event and delete its object, which a repeated use of the form may have replaced.

    Other objects and invalid uploads are ignored until clean-up.

    Raises:
        ApiError: 503 if S3 cannot be reached; Lambda then delivers the event again.
    """
    upload = store.find_by_key(mysql.autocommit, key) if bucket == settings.s3_bucket else None
    if upload is None:
        return
    try:
        _confirm(upload)
    except ApiError as error:
        if error.kind is errors.UNAVAILABLE:
            raise
        logger.warning("upload rejected", extra={"ids": {"file_id": upload.file_id, "code": error.kind.code}})
    else:
        s3.delete([upload.upload_key])


def _confirm(upload: Upload | None) -> File:
    if upload is None:
        raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
    if upload.object_key:
        return upload.to_file()
    preview = s3.find_preview(upload.upload_key, magic_numbers.SNIFF_BYTES)
    if preview is None:
        return _get_recorded(upload, NOT_UPLOADED_TEXT)
    if not upload.min_size <= preview.size <= upload.max_size:
        raise ApiError(errors.CONFLICT, "文件大小与申请时的 file_size 不符，请重新申请上传")
    kind = file_types.require_accepted_kind(upload.purpose, preview.first_bytes, preview.size, upload.extension)
    return _copy_and_record(upload, preview, kind)


def _copy_and_record(upload: Upload, preview: ObjectPreview, kind: FileKind) -> File:
    # The key contains the ETag: repeating this after a crash overwrites the same copy.
    stem, etag = upload.upload_key.rpartition("/")[2].partition(".")[0], preview.etag.strip('"')
    object_key = f"{upload.tenant_id}/files/{stem}-{etag}.{kind.extension}"
    if not s3.copy(upload.upload_key, preview.etag, object_key, kind.content_types[0]):
        return _get_recorded(upload, "文件正在被替换，请稍后再试")
    recorded = mysql.run_transaction(lambda tx: _record_copy(tx, upload, kind.extension, object_key, preview.size))
    if recorded is None or recorded.object_key != object_key:
        s3.delete([object_key])
    if recorded is None:  # clean-up has deleted the upload, a day old, meanwhile
        raise ApiError(errors.NOT_FOUND, NOT_FOUND_TEXT)
    return recorded.to_file()


def _get_recorded(upload: Upload, text: str) -> File:
    """Return the file that another request has recorded, after which the uploaded object was deleted.

    Raises:
        ApiError: 409 with this text if there is none.
    """
    current = store.find_by_key(mysql.autocommit, upload.upload_key)
    if current is None or not current.object_key:
        raise ApiError(errors.CONFLICT, text)
    return current.to_file()


def _record_copy(tx: mysql.Tx, upload: Upload, extension: str, object_key: str, size: int) -> Upload | None:
    """Record the copy unless another one is recorded; return the upload, or None if clean-up has deleted it."""
    store.confirm(tx, upload.file_id, extension, object_key, size, clock.now())
    if upload.place == accounts.AVATAR:
        accounts.set_avatar(tx, upload.file_id)
    return store.find_by_key(tx, upload.upload_key)
