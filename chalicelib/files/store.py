"""SQL of uploads and files."""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.files.file_types import Purpose, UploadTerms
from chalicelib.files.models import Upload, UploadQuota
from chalicelib.people import double_submission

COLUMNS_SQL = (
    "file_id, tenant_id, place, purpose, extension, min_size, max_size, upload_key, object_key, size, withdrawn_at"
)

# MySQL otherwise prefers `by_uploader`, and reads all that a person has ever uploaded.
USED_TODAY_SQL = """
    SELECT COUNT(*) AS forms, COALESCE(SUM(COALESCE(size, max_size)), 0) AS bytes FROM files FORCE INDEX (by_day)
    WHERE tenant_id = %(tenant_id)s AND uploader = %(uploader)s AND created_at >= %(since)s
"""


def insert(
    tx: Tx, tenant_id: int, uploader: str, place: str, terms: UploadTerms, upload_key: str, now: int, quota: UploadQuota
) -> int | None:
    """Insert an upload that is to be confirmed, in one round trip, unless it exceeds the uploader's quota.

    Concurrent requests of one uploader are counted one after another, under the lock of their row in `people`; others
    share that of the tenant.

    Args:
        uploader: principal.

    Returns:
        Its file_id, None if there is no room for it.
    """
    *_, rows, _ = tx.execute_packet(
        f"""
        START TRANSACTION;
        {double_submission.build_lock_sql(uploader)};
        INSERT INTO files (tenant_id, uploader, place, purpose, extension, min_size, max_size, upload_key, created_at)
        SELECT %(tenant_id)s, %(uploader)s, %(place)s, %(purpose)s, %(extension)s, %(min_size)s, %(max_size)s,
               %(upload_key)s, %(now)s
        FROM ({USED_TODAY_SQL}) AS used
        WHERE used.forms < %(max_forms)s AND used.bytes + %(max_size)s <= %(max_bytes)s;
        SELECT file_id FROM files WHERE upload_key = %(upload_key)s;
        COMMIT
        """,
        **double_submission.build_lock_params(tenant_id, uploader),
        uploader=uploader.encode(),
        place=place.encode(),
        purpose=terms.purpose,
        extension=terms.extension,
        min_size=terms.min_size,
        max_size=terms.max_size,
        upload_key=upload_key.encode(),
        now=now,
        since=quota.since,
        max_forms=quota.max_forms,
        max_bytes=quota.max_bytes,
    )
    return rows[0]["file_id"] if rows else None


def find(tx: Tx, tenant_id: int, uploader: str, file_id: int, place: str | None = None) -> Upload | None:
    """Return an upload of this uploader, or None. `place` restricts the search to uploads for that place."""
    row = tx.fetch_one(
        f"""
        SELECT {COLUMNS_SQL} FROM files
        WHERE file_id = %(file_id)s AND tenant_id = %(tenant_id)s AND uploader = %(uploader)s
          AND (%(place)s IS NULL OR place = %(place)s)
        """,
        file_id=file_id,
        tenant_id=tenant_id,
        uploader=uploader.encode(),
        place=place.encode() if place is not None else None,
    )
    return _build_upload(row) if row else None


def find_by_key(tx: Tx, upload_key: str) -> Upload | None:
    """Return the upload with this S3 key, of any tenant and uploader, or None."""
    row = tx.fetch_one(
        f"""
        SELECT {COLUMNS_SQL} FROM files
        WHERE upload_key = %(upload_key)s
        """,
        upload_key=upload_key.encode(),
    )
    return _build_upload(row) if row else None


def find_unconfirmed(tx: Tx, tenant_id: int, uploader: str, place: str, since: int) -> int | None:
    """Return the file_id of the newest upload for a place if it is unconfirmed and was made after `since`, or None."""
    row = tx.fetch_one(
        """
        SELECT file_id, object_key FROM files
        WHERE uploader = %(uploader)s AND tenant_id = %(tenant_id)s AND place = %(place)s AND created_at > %(since)s
        ORDER BY file_id DESC LIMIT 1
        """,
        tenant_id=tenant_id,
        uploader=uploader.encode(),
        place=place.encode(),
        since=since,
    )
    return row["file_id"] if row and row["object_key"] is None else None


def confirm(tx: Tx, file_id: int, extension: str, object_key: str, size: int, now: int) -> None:
    """Record the copy of an upload, and the extension of its content. A confirmed upload is left unchanged."""
    tx.execute(
        """
        UPDATE files
        SET extension = %(extension)s, object_key = %(object_key)s, size = %(size)s, confirmed_at = %(now)s
        WHERE file_id = %(file_id)s AND object_key IS NULL
        """,
        file_id=file_id,
        extension=extension,
        object_key=object_key.encode(),
        size=size,
        now=now,
    )


def list_undeleted(tx: Tx, before: int, limit: int, offset: int) -> list[Upload]:
    """Return uploads made before an instant whose uploaded object has not been deleted, oldest first."""
    rows = tx.fetch_all(
        f"""
        SELECT {COLUMNS_SQL} FROM files
        WHERE upload_deleted_at IS NULL AND created_at < %(before)s
        ORDER BY created_at, file_id LIMIT %(limit)s OFFSET %(offset)s
        """,
        before=before,
        limit=limit,
        offset=offset,
    )
    return [_build_upload(row) for row in rows]


def record_deletion(tx: Tx, file_ids: list[int], now: int) -> int:
    """Record that uploaded objects were deleted. Deletes the rows that were not confirmed and returns their number."""
    deleted = tx.execute("DELETE FROM files WHERE file_id IN %(file_ids)s AND object_key IS NULL", file_ids=file_ids)
    tx.execute("UPDATE files SET upload_deleted_at = %(now)s WHERE file_id IN %(file_ids)s", now=now, file_ids=file_ids)
    return deleted


def _build_upload(row: Row) -> Upload:
    keys = {name: (row[name] or b"").decode() for name in ("place", "upload_key", "object_key")}
    return Upload(**{**row, **keys, "purpose": Purpose(row["purpose"]), "size": row["size"] or 0})
