"""The types of file that may be uploaded: extension, content types, size limit and signature."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.errors import BAD_PARAMETER, ApiError
from chalicelib.files import magic_numbers
from chalicelib.files.magic_numbers import SignatureTest, build_prefix_test

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileKind:
    """A type of file."""

    extension: str
    content_types: tuple[str, ...]  # as sent by browsers; files are served with the first
    matches: SignatureTest  # whether a file begins as this type does
    max_bytes: int = 20 * MB


_JPEG_SPEC = (("image/jpeg", "image/jpg"), build_prefix_test(b"\xff\xd8\xff"))
FILE_KINDS = (
    FileKind("jpg", *_JPEG_SPEC),
    FileKind("jpeg", *_JPEG_SPEC),
    FileKind("png", ("image/png",), build_prefix_test(b"\x89PNG\r\n\x1a\n")),
    FileKind("gif", ("image/gif",), build_prefix_test(b"GIF87a", b"GIF89a")),
    FileKind("webp", ("image/webp",), magic_numbers.is_webp),
    FileKind("bmp", ("image/bmp", "image/x-ms-bmp"), magic_numbers.is_bmp),
    FileKind("heic", ("image/heic", "image/heif"), magic_numbers.is_heic),
    FileKind("pdf", ("application/pdf",), build_prefix_test(b"%PDF-")),
    FileKind("amr", ("audio/amr", "audio/amr-wb"), build_prefix_test(b"#!AMR\n", b"#!AMR-WB\n")),
    FileKind("mp3", ("audio/mpeg", "audio/mp3"), magic_numbers.is_mp3),
    FileKind("m4a", ("audio/mp4", "audio/x-m4a", "audio/m4a"), magic_numbers.is_m4a),
    FileKind("mp4", ("video/mp4",), magic_numbers.is_mp4, 100 * MB),
)
KINDS_BY_EXTENSION = {kind.extension: kind for kind in FILE_KINDS}
PICTURE_EXTENSIONS = ("jpg", "jpeg", "png", "gif", "webp")  # for photos: shown by every browser
MAX_PICTURE_BYTES = 5 * MB
CHAT_EXTENSIONS = tuple(KINDS_BY_EXTENSION)  # may be sent in a conversation


def require_picture_kind(extension: str, content_type: str, size: int | None) -> FileKind:
    """Return the type of a photo of a person or department. Raises like `require_kind`."""
    return require_kind(PICTURE_EXTENSIONS, extension, content_type, size, MAX_PICTURE_BYTES)


def require_kind(
    allowed: Sequence[str], extension: str, content_type: str, size: int | None, max_bytes: int = 0
) -> FileKind:
    """Return the type that extension and content type agree on.

    Args:
        size: as stated by the client, None if unknown.
        max_bytes: replaces the limit of the type.

    Raises:
        ApiError: 400 naming the field that is not allowed or does not match.
    """
    kind = KINDS_BY_EXTENSION[extension.lower()] if extension.lower() in allowed else None
    if kind is None:
        raise ApiError(BAD_PARAMETER, f"file_extension：只支持 {'、'.join(allowed)}")
    kind = replace(kind, max_bytes=max_bytes or kind.max_bytes)
    if content_type.lower() not in kind.content_types:
        raise ApiError(BAD_PARAMETER, f"file_type：与扩展名 {kind.extension} 不符")
    if size is not None and size > kind.max_bytes:
        raise ApiError(BAD_PARAMETER, f"file_size：不能超过 {kind.max_bytes // MB} MB")
    return kind
