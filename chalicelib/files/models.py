"""Records of uploads and files."""

from dataclasses import dataclass

from chalicelib.adapters.aws.s3 import UploadForm
from chalicelib.files.file_types import KINDS_BY_EXTENSION, Purpose


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """Permission to upload one file: the form that a browser posts to S3."""

    file_id: int
    form: UploadForm


@dataclass(frozen=True, slots=True)
class UploadQuota:
    """How much a person may upload in a day."""

    since: int  # when the day begins
    max_forms: int
    max_bytes: int


@dataclass(frozen=True, slots=True)
class File:
    """A confirmed file. The object of object_key is never modified."""

    file_id: int
    object_key: str
    content_type: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class Upload:
    """A row of `files`: the conditions of an upload, and its result once it is confirmed."""

    file_id: int
    tenant_id: int
    place: str  # what it is uploaded for, such as a conversation
    purpose: Purpose
    extension: str  # of the expected kind until it is confirmed, then of the kind of its content
    min_size: int  # bytes, as max_size and size
    max_size: int
    upload_key: str  # S3 key of the uploaded object
    object_key: str  # S3 key of the confirmed copy, "" until then
    size: int  # 0 until confirmed
    withdrawn_at: int | None

    def to_file(self) -> File:
        """Return the file of a confirmed upload."""
        return File(self.file_id, self.object_key, KINDS_BY_EXTENSION[self.extension].content_types[0], self.size)
