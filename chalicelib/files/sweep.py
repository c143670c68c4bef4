"""Clean-up: a day after its form was made, what was uploaded with it goes; the file it became, if any, is a copy."""

import logging

from chalicelib import clock
from chalicelib.adapters import mysql, s3
from chalicelib.files import store
from chalicelib.files.models import Upload

logger = logging.getLogger(__name__)

KEPT = clock.DAY
BATCH = 500
BUDGET = 8.0  # seconds after which no further batch is begun: the next run goes on


def sweep() -> int:
    """Delete old uploads, objects first; return how many never became a file. Safe to run twice, also at once."""
    started, objects, forgotten = clock.monotonic(), 0, 0
    batch = _batch()
    while batch and clock.monotonic() - started < BUDGET:
        forgotten += _swept(batch)
        objects += len(batch)
        batch = _batch()
    logger.info("files swept", extra={"ids": {"objects": objects, "never_confirmed": forgotten}})
    return forgotten


def _batch() -> list[Upload]:
    return mysql.autocommit(lambda tx: store.unswept(tx, clock.now() - KEPT, BATCH))


def _swept(batch: list[Upload]) -> int:
    s3.delete([upload.upload_key for upload in batch])
    return mysql.transact(lambda tx: store.mark_swept(tx, [upload.file_id for upload in batch], clock.now()))
