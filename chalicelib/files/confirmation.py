"""An upload becomes a file: its bytes are looked at, and what was seen is put where its form no longer reaches.

A form can be posted again until it expires, so the uploaded object is copied under a key of its own, and only if it is
still the one that was looked at. Everybody who confirms one upload gets the file that was confirmed first.
"""

import logging

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.adapters.aws.s3 import Seen
from chalicelib.errors import Refused
from chalicelib.files import magic_numbers, store
from chalicelib.files.models import File, Upload
from chalicelib.people import accounts
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

MISSING = "文件不存在"


def uploaded(tenant_id: int, principal: str, file_id: int) -> File:
    """Return somebody's own file. Refused 404 where there is none, 409 where it was not uploaded, or is something else
    than was said."""
    return _confirmed(mysql.autocommit(lambda tx: store.find(tx, tenant_id, principal, file_id)))


def ready_for_message(tenant_id: int, principal: str, public_id: str, file_id: int) -> File:
    """Return a file that its uploader may send into the conversation it was uploaded for; refused as `uploaded`."""
    return _confirmed(mysql.autocommit(lambda tx: store.find(tx, tenant_id, principal, file_id, public_id)))


def arrived(bucket: str, key: str) -> None:
    """S3 says that an object was created. What is no upload, or no good one, stays as it is until it is swept."""
    upload = mysql.autocommit(lambda tx: store.find_by_key(tx, key)) if bucket == settings.s3_bucket else None
    if upload is None:
        return
    try:
        _confirmed(upload)
    except Refused as refused:
        if refused.kind is errors.UNAVAILABLE:  # Lambda brings the event again
            raise
        logger.warning("upload refused", extra={"ids": {"file_id": upload.file_id, "code": refused.kind.code}})


def _confirmed(upload: Upload | None) -> File:
    if upload is None:
        raise Refused(errors.NOT_FOUND, MISSING)
    if upload.object_key:
        return upload.file()
    seen = s3.look(upload.upload_key, magic_numbers.ENOUGH)
    if seen is None:
        raise Refused(errors.CONFLICT, "文件尚未上传")
    if not (upload.smallest <= seen.size <= upload.largest and upload.kind.is_one(seen.first)):
        raise Refused(errors.CONFLICT, f"文件内容与类型 {upload.extension} 不符，请重新上传")
    return _kept(upload, seen)


def _kept(upload: Upload, seen: Seen) -> File:
    # Named for its content: whoever repeats this after a crash makes the same copy and no second one.
    stem, etag = upload.upload_key.rpartition("/")[2].partition(".")[0], seen.etag.strip('"')
    object_key = f"{upload.tenant_id}/files/{stem}-{etag}.{upload.extension}"
    if not s3.copy(upload.upload_key, seen.etag, object_key, upload.kind.content_types[0]):
        raise Refused(errors.CONFLICT, "文件正在被替换，请稍后再试")
    now = mysql.transact(lambda tx: _recorded(tx, upload, object_key, seen.size))
    if now is None or now.object_key != object_key:
        s3.delete([object_key])
    if now is None:  # a day old, and swept in this moment
        raise Refused(errors.NOT_FOUND, MISSING)
    return now.file()


def _recorded(tx: mysql.Tx, upload: Upload, object_key: str, size: int) -> Upload | None:
    store.confirm(tx, upload.file_id, object_key, size, clock.now())
    if upload.place == accounts.AVATAR:
        accounts.wear(tx, upload.file_id)
    return store.find_by_key(tx, upload.upload_key)
