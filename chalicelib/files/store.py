"""Uploads and files in MySQL. Nothing is decided here."""

from chalicelib.adapters.mysql import Row, Tx
from chalicelib.files.file_types import FileKind
from chalicelib.files.models import Upload


def insert(
    tx: Tx, tenant_id: int, uploader: str, place: str, kind: FileKind, sizes: tuple[int, int], upload_key: str, now: int
) -> int:
    """Return the new file_id."""
    return tx.insert(
        """
        INSERT INTO files (tenant_id, uploader, place, extension, min_size, max_size, upload_key, created_at)
        VALUES (%(tenant_id)s, %(uploader)s, %(place)s, %(extension)s, %(min_size)s, %(max_size)s, %(upload_key)s,
                %(now)s)
        """,
        tenant_id=tenant_id,
        uploader=uploader.encode(),
        place=place.encode(),
        extension=kind.extension,
        min_size=sizes[0],
        max_size=sizes[1],
        upload_key=upload_key.encode(),
        now=now,
    )


def find(tx: Tx, tenant_id: int, uploader: str, file_id: int, place: str | None = None) -> Upload | None:
    """Return somebody's own upload; None also where it was for another place than the one given."""
    row = tx.fetch_one(
        """
        SELECT file_id, tenant_id, place, extension, min_size, max_size, upload_key, object_key, size FROM files
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
    """Return the upload that an object belongs to, whoever's it is."""
    row = tx.fetch_one(
        """
        SELECT file_id, tenant_id, place, extension, min_size, max_size, upload_key, object_key, size FROM files
        WHERE upload_key = %(upload_key)s
        """,
        upload_key=upload_key.encode(),
    )
    return _build_upload(row) if row else None


def find_waiting(tx: Tx, tenant_id: int, uploader: str, place: str, since: int) -> int | None:
    """Return the file_id of somebody's newest upload for a place, where it waits since no longer than an instant."""
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


def confirm(tx: Tx, file_id: int, object_key: str, size: int, now: int) -> None:
    """Make a waiting upload a file. One that is a file already stays the file it is."""
    tx.execute(
        """
        UPDATE files SET object_key = %(object_key)s, size = %(size)s, confirmed_at = %(now)s
        WHERE file_id = %(file_id)s AND object_key IS NULL
        """,
        file_id=file_id,
        object_key=object_key.encode(),
        size=size,
        now=now,
    )


def list_unswept(tx: Tx, before: int, limit: int, after: int) -> list[Upload]:
    """Return the oldest uploads made before an instant whose uploaded object may still be there, after so many."""
    rows = tx.fetch_all(
        """
        SELECT file_id, tenant_id, place, extension, min_size, max_size, upload_key, object_key, size FROM files
        WHERE upload_deleted_at IS NULL AND created_at < %(before)s
        ORDER BY created_at, file_id LIMIT %(limit)s OFFSET %(after)s
        """,
        before=before,
        limit=limit,
        after=after,
    )
    return [_build_upload(row) for row in rows]


def mark_swept(tx: Tx, file_ids: list[int], now: int) -> int:
    """The uploaded objects are gone: forget the uploads that became no file; return how many did not."""
    forgotten = tx.execute("DELETE FROM files WHERE file_id IN %(file_ids)s AND object_key IS NULL", file_ids=file_ids)
    tx.execute("UPDATE files SET upload_deleted_at = %(now)s WHERE file_id IN %(file_ids)s", now=now, file_ids=file_ids)
    return forgotten


def _build_upload(row: Row) -> Upload:
    keys = {name: (row[name] or b"").decode() for name in ("place", "upload_key", "object_key")}
    return Upload(**{**row, **keys, "size": row["size"] or 0})
