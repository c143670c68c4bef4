"""Issue upload forms: a row to be confirmed, and a form that S3 accepts for one object."""

import secrets

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import store
from chalicelib.files.file_types import UploadTerms
from chalicelib.files.models import UploadTicket

TICKET_LIFETIME_SECONDS = 15 * 60


def issue(tenant_id: int, uploader: str, place: str, terms: UploadTerms) -> UploadTicket:
    """Insert an upload and return its form. Sends no request to S3.

    Args:
        uploader: principal.
        place: what the file is for, such as a conversation; the file can be used there only.
    """
    upload_key = f"{tenant_id}/uploads/{secrets.token_urlsafe(18)}.{terms.extension}"
    file_id = store.insert(mysql.autocommit, tenant_id, uploader, place, terms, upload_key, clock.now())
    form = s3.build_upload_form(upload_key, terms.content_type, terms.min_size, terms.max_size, TICKET_LIFETIME_SECONDS)
    return UploadTicket(file_id, form)
