"""Delete uploaded objects a day after their form was issued. Files are copies and are kept."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import store
from chalicelib.files.models import Upload

logger = logging.getLogger(__name__)

UPLOAD_RETENTION = clock.DAY
BATCH_SIZE = 500
TIME_BUDGET_SECONDS = 8.0  # after which no further batch is started; the next run continues


def delete_expired_uploads() -> int:
    """Delete the objects of old uploads, then the rows of those that were not confirmed; return their number.

    Safe to run repeatedly and concurrently. An object that S3 does not delete is skipped and tried again by the next
    run.

    Raises:
        ApiError: 503 if S3 cannot be reached.
    """
    started, objects, undeletable, unconfirmed = clock.monotonic(), 0, 0, 0
    while (batch := _list_batch(undeletable)) and clock.monotonic() - started < TIME_BUDGET_SECONDS:
        failed_keys = s3.delete([upload.upload_key for upload in batch])
        deleted = [upload.file_id for upload in batch if upload.upload_key not in failed_keys]
        unconfirmed += _record_deletion(deleted)
        objects += len(deleted)
        undeletable += len(batch) - len(deleted)
    level = logging.WARNING if undeletable else logging.INFO
    ids = {"objects": objects, "never_confirmed": unconfirmed, "kept_by_s3": undeletable}
    logger.log(level, "files cleaned up", extra={"ids": ids})
    return unconfirmed


def _list_batch(offset: int) -> list[Upload]:
    return store.list_undeleted(mysql.autocommit, clock.now() - UPLOAD_RETENTION, BATCH_SIZE, offset)


def _record_deletion(file_ids: list[int]) -> int:
    return mysql.run_transaction(lambda tx: store.record_deletion(tx, file_ids, clock.now())) if file_ids else 0
