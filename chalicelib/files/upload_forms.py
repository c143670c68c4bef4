"""Issue upload forms: a row to be confirmed, and a form that S3 accepts for one object."""

import secrets

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import store
from chalicelib.files.file_types import FileKind
from chalicelib.files.models import UploadTicket

TICKET_LIFETIME_SECONDS = 15 * 60


def issue(
    tenant_id: int, uploader: str, place: str, kind: FileKind, content_type: str, size: int | None
) -> UploadTicket:
    """Insert an upload and return its form. Sends no request to S3.

    Args:
        uploader: principal.
        place: what the file is for, such as a conversation; the file can be used there only.
        size: the exact size in bytes, None for any up to the limit of the type.
    """
    min_size, max_size = (size, size) if size else (1, kind.max_bytes)
    upload_key = f"{tenant_id}/uploads/{secrets.token_urlsafe(18)}.{kind.extension}"
    sizes, now = (min_size, max_size), clock.now()
    file_id = store.insert(mysql.autocommit, tenant_id, uploader, place, kind, sizes, upload_key, now)
    form = s3.build_upload_form(upload_key, content_type.lower(), *sizes, TICKET_LIFETIME_SECONDS)
    return UploadTicket(file_id, form)
