"""Leave to upload: a row that waits, and a form that S3 takes for this one object and no other."""

import secrets

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import store
from chalicelib.files.file_types import FileKind
from chalicelib.files.models import UploadTicket

TICKET_LIFETIME_SECONDS = 15 * 60  # seconds


def issue(
    tenant_id: int, uploader: str, place: str, kind: FileKind, content_type: str, size: int | None
) -> UploadTicket:
    """Return a form for one file of a kind, of exactly that size (bytes) where it is given. No request goes to S3."""
    min_size, max_size = (size, size) if size else (1, kind.max_bytes)
    upload_key = f"{tenant_id}/uploads/{secrets.token_urlsafe(18)}.{kind.extension}"
    now, sizes = clock.now(), (min_size, max_size)
    file_id = store.insert(mysql.autocommit, tenant_id, uploader, place, kind, sizes, upload_key, now)
    return UploadTicket(
        file_id, s3.build_upload_form(upload_key, content_type.lower(), min_size, max_size, TICKET_LIFETIME_SECONDS)
    )
