"""Delete the objects of exports when they have expired."""

import logging

from chalicelib import clock
from chalicelib.accounts import export_store
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3

logger = logging.getLogger(__name__)

BATCH_SIZE = 500


def delete_expired() -> int:
    """Delete expired objects and return their number.

    Safe to run repeatedly and concurrently. An object that S3 does not delete is tried again by the next run.

    Raises:
        ApiError: 503 if S3 cannot be reached.
    """
    now, number, undeletable = clock.now(), 0, 0
    while batch := export_store.list_expired(mysql.autocommit, now, BATCH_SIZE, undeletable):
        failed_keys = s3.delete([*batch.values()])
        deleted = [export_id for export_id, key in batch.items() if key not in failed_keys]
        if deleted:
            export_store.record_deletion(mysql.autocommit, deleted)
        number += len(deleted)
        undeletable += len(batch) - len(deleted)
    level = logging.WARNING if undeletable else logging.INFO
    logger.log(level, "exports cleaned up", extra={"ids": {"objects": number, "kept_by_s3": undeletable}})
    return number
