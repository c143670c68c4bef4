"""The kinds of file that may be uploaded, by extension: what else they are called, how large, how they begin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chalicelib.errors import BAD_PARAMETER, Refused
from chalicelib.files import magic_numbers
from chalicelib.files.magic_numbers import Test, begins

MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Kind:
    extension: str
    content_types: tuple[str, ...]  # what browsers say; the first is what we say
    is_one: Test
    limit: int = 20 * MB


_JPEG = (("image/jpeg", "image/jpg"), begins(b"\xff\xd8\xff"))
KINDS = (
    Kind("jpg", *_JPEG),
    Kind("jpeg", *_JPEG),
    Kind("png", ("image/png",), begins(b"\x89PNG\r\n\x1a\n")),
    Kind("gif", ("image/gif",), begins(b"GIF87a", b"GIF89a")),
    Kind("webp", ("image/webp",), magic_numbers.is_webp),
    Kind("bmp", ("image/bmp", "image/x-ms-bmp"), magic_numbers.is_bmp),
    Kind("heic", ("image/heic", "image/heif"), magic_numbers.is_heic),
    Kind("pdf", ("application/pdf",), begins(b"%PDF-")),
    Kind("amr", ("audio/amr", "audio/amr-wb"), begins(b"#!AMR\n", b"#!AMR-WB\n")),
    Kind("mp3", ("audio/mpeg", "audio/mp3"), magic_numbers.is_mp3),
    Kind("m4a", ("audio/mp4", "audio/x-m4a", "audio/m4a"), magic_numbers.is_m4a),
    Kind("mp4", ("video/mp4",), magic_numbers.is_mp4, 100 * MB),
)
BY_EXTENSION = {kind.extension: kind for kind in KINDS}
PICTURES = ("jpg", "jpeg", "png", "gif", "webp")  # of people: what every browser shows
PICTURE_LIMIT = 5 * MB
CHAT = tuple(BY_EXTENSION)  # what may be sent in a conversation


def picture(extension: str, content_type: str, size: int | None) -> Kind:
    """Return the kind of a person's picture; refused as `agreed`."""
    return agreed(PICTURES, extension, content_type, size, PICTURE_LIMIT)


def agreed(allowed: Sequence[str], extension: str, content_type: str, size: int | None, limit: int = 0) -> Kind:
    """Return the kind that all three speak of, with a limit (bytes) below its own where one is given.

    Refused 400, by the name of the field that does not fit.
    """
    kind = BY_EXTENSION[extension.lower()] if extension.lower() in allowed else None
    if kind is None:
        raise Refused(BAD_PARAMETER, f"file_extension：只支持 {'、'.join(allowed)}")
    kind = replace(kind, limit=limit or kind.limit)
    if content_type.lower() not in kind.content_types:
        raise Refused(BAD_PARAMETER, f"file_type：与扩展名 {kind.extension} 不符")
    if size is not None and size > kind.limit:
        raise Refused(BAD_PARAMETER, f"file_size：不能超过 {kind.limit // MB} MB")
    return kind
