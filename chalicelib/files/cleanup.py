"""Clean-up: a day after its form was made, what was uploaded with it goes; the file it became, if any, is a copy."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import store
from chalicelib.files.models import Upload

logger = logging.getLogger(__name__)

UPLOAD_RETENTION = clock.DAY
BATCH_SIZE = 500
TIME_BUDGET_SECONDS = 8.0  # seconds after which no further batch is begun: the next run goes on


def delete_expired_uploads() -> int:
    """Delete old uploads, objects first; return how many never became a file. Safe to run twice, also at once.

    An object that S3 keeps is passed over, and tried again by the next run.
    """
    started, objects, kept, forgotten = clock.monotonic(), 0, 0, 0
    while (batch := _list_batch(kept)) and clock.monotonic() - started < TIME_BUDGET_SECONDS:
        refused = s3.delete([upload.upload_key for upload in batch])
        gone = [upload.file_id for upload in batch if upload.upload_key not in refused]
        forgotten += _mark_swept(gone)
        objects += len(gone)
        kept += len(batch) - len(gone)
    level = logging.WARNING if kept else logging.INFO
    ids = {"objects": objects, "never_confirmed": forgotten, "kept_by_s3": kept}
    logger.log(level, "files swept", extra={"ids": ids})
    return forgotten


def _list_batch(after: int) -> list[Upload]:
    return store.list_unswept(mysql.autocommit, clock.now() - UPLOAD_RETENTION, BATCH_SIZE, after)


def _mark_swept(file_ids: list[int]) -> int:
    return mysql.run_transaction(lambda tx: store.mark_swept(tx, file_ids, clock.now())) if file_ids else 0
