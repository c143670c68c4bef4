"""Upload files as a client does, and look into the bucket."""

from typing import Any

from chalicelib.adapters import mysql
from chalicelib.adapters.aws import s3
from chalicelib.files import file_types, magic_numbers, upload_forms
from chalicelib.files.file_types import Purpose
from chalicelib.files.models import UploadTicket
from chalicelib.identity.callers import Caller
from tests.support.factories import Person
from tests.support.file_samples import build_file
from tests.support.multipart_forms import post_form

PLACE = "1f0c8e9e-6f3b-4c0e-9f57-0d6c2f3f7a11"


def request_form(
    person: Person,
    extension: str = "jpg",
    size: int | None = None,
    place: str = PLACE,
    content_type: str = "",
    purpose: Purpose = Purpose.CHAT,
) -> UploadTicket:
    """Return a form without uploading anything."""
    terms = file_types.build_upload_terms(purpose, extension, content_type, size)
    return upload_forms.issue(Caller(person.tenant_id, person.role, person.principal), place, terms)


def upload(
    person: Person, extension: str = "jpg", content: bytes | None = None, place: str = PLACE, **hints: Any
) -> UploadTicket:
    """Return a form with which a file was uploaded, by default a valid one."""
    ticket = request_form(person, extension, place=place, **hints)
    post_file(ticket, build_file(extension, 100) if content is None else content)
    return ticket


def post_file(ticket: UploadTicket, content: bytes) -> None:
    assert post_form(ticket.form.url, list(ticket.form.fields.items()), content).status == 204


def find_object_start(key: str) -> bytes | None:
    """Return the first bytes of an object, or None if there is no object."""
    preview = s3.find_preview(key, magic_numbers.SNIFF_BYTES)
    return preview.first_bytes if preview else None


def get_upload_key(ticket: UploadTicket) -> str:
    return ticket.form.fields["key"]


def find_object_key(file_id: int) -> str | None:
    """Return the key of a confirmed file, or None if it is unconfirmed. Fails if the row was deleted."""
    row = mysql.autocommit.fetch_one("SELECT object_key FROM files WHERE file_id = %(id)s", id=file_id)
    assert row is not None
    return row["object_key"].decode() if row["object_key"] else None


def file_exists(file_id: int) -> bool:
    return bool(mysql.autocommit.fetch_value("SELECT 1 FROM files WHERE file_id = %(id)s", id=file_id))
