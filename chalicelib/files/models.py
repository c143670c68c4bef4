"""An upload, and the file it becomes."""

from dataclasses import dataclass

from chalicelib.adapters.aws.s3 import UploadForm
from chalicelib.files.file_types import KINDS_BY_EXTENSION, FileKind


@dataclass(frozen=True, slots=True)
class UploadTicket:
    """Leave to upload one file: its number, and the form that a browser posts to S3."""

    file_id: int
    form: UploadForm


@dataclass(frozen=True, slots=True)
class File:
    """A file whose bytes were seen: what object_key holds does not change any more."""

    file_id: int
    object_key: str
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A row: what may be uploaded, and what became of it (object_key "" while it waits)."""

    file_id: int
    tenant_id: int
    place: str
    extension: str
    min_size: int
    max_size: int
    upload_key: str
    object_key: str
    size: int

    @property
    def kind(self) -> FileKind:
        return KINDS_BY_EXTENSION[self.extension]

    def to_file(self) -> File:
        return File(self.file_id, self.object_key, self.kind.content_types[0], self.size)
