"""The kinds of file that may be uploaded, and what each kind of upload accepts.

The content determines the kind of a file. Extension and Content-Type are hints: phones and pickers mislabel files, and
leave either empty. They limit the size of an upload, and decide where a content is of two kinds.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from chalicelib.errors import BAD_PARAMETER, CONFLICT, ApiError
from chalicelib.files import magic_numbers
from chalicelib.files.magic_numbers import SignatureTest, build_prefix_test

MB = 1024 * 1024
UNKNOWN_EXTENSION, UNKNOWN_TYPE = "bin", "application/octet-stream"
UNINFORMATIVE_TYPES = ("", UNKNOWN_TYPE, "binary/octet-stream")  # of files whose kind the client does not know


@dataclass(frozen=True, slots=True)
class FileKind:
    """A kind of file."""

    extension: str  # of stored files
    content_types: tuple[str, ...]  # as announced by browsers; files are served with the first
    matches: SignatureTest  # whether a file begins as this kind does
    other_extensions: tuple[str, ...] = field(default=(), kw_only=True)
    max_bytes: int = field(default=20 * MB, kw_only=True)
    is_displayable: bool = field(default=True, kw_only=True)  # by <img>, <audio> or <video> of every common browser

    def is_named_by(self, extension: str, content_type: str) -> bool:
        """Return whether extension or content type, both in lower case, name this kind."""
        return extension in (self.extension, *self.other_extensions) or content_type in self.content_types


FILE_KINDS = (
    FileKind(
        "jpg",
        ("image/jpeg", "image/jpg", "image/pjpeg"),
        build_prefix_test(b"\xff\xd8\xff"),
        other_extensions=("jpeg", "jpe", "jfif", "pjpeg", "pjp"),
    ),
    FileKind("png", ("image/png", "image/x-png"), build_prefix_test(b"\x89PNG\r\n\x1a\n")),
    FileKind("gif", ("image/gif",), build_prefix_test(b"GIF87a", b"GIF89a")),
    FileKind("webp", ("image/webp",), magic_numbers.is_webp),
    FileKind("bmp", ("image/bmp", "image/x-ms-bmp"), magic_numbers.is_bmp, other_extensions=("dib",)),
    FileKind(
        "heic",
        ("image/heic", "image/heif", "image/heic-sequence", "image/heif-sequence"),
        magic_numbers.is_heic,
        other_extensions=("heif", "hif"),
        is_displayable=False,
    ),
    FileKind("avif", ("image/avif",), magic_numbers.is_avif, is_displayable=False),
    FileKind(
        "amr",
        ("audio/amr", "audio/amr-wb", "audio/x-amr"),
        build_prefix_test(b"#!AMR\n", b"#!AMR-WB\n"),
        is_displayable=False,
    ),
    FileKind("mp3", ("audio/mpeg", "audio/mp3", "audio/x-mpeg", "audio/x-mp3"), magic_numbers.is_mp3),
    FileKind(
        "mp4",
        ("video/mp4", "video/x-m4v", "video/3gpp"),
        magic_numbers.is_mp4,
        other_extensions=("m4v", "3gp"),
        max_bytes=100 * MB,
    ),
    FileKind("m4a", ("audio/mp4", "audio/x-m4a", "audio/m4a", "audio/3gpp"), magic_numbers.is_m4a),
    FileKind(
        "mov",
        ("video/quicktime",),
        magic_numbers.is_mov,
        other_extensions=("qt",),
        max_bytes=100 * MB,
        is_displayable=False,
    ),
    FileKind("pdf", ("application/pdf", "application/x-pdf"), magic_numbers.is_pdf, is_displayable=False),
)
KINDS_BY_EXTENSION = {kind.extension: kind for kind in FILE_KINDS}


class Purpose(StrEnum):
    """What a file is uploaded for, which decides which kinds are accepted."""

    CHAT = "chat"  # sent in a conversation
    PHOTO = "photo"  # of a person or department: small, and shown by every browser


PHOTO_EXTENSIONS, MAX_PHOTO_BYTES = ("jpg", "png", "gif", "webp"), 5 * MB
ACCEPTED_KINDS = {
    Purpose.CHAT: FILE_KINDS,
    Purpose.PHOTO: tuple(replace(KINDS_BY_EXTENSION[one], max_bytes=MAX_PHOTO_BYTES) for one in PHOTO_EXTENSIONS),
}
# What a person can do about a file that is not accepted.
ADVICE = {
    Purpose.CHAT: "请选择图片、录音、视频或 PDF，其他文档请先导出为 PDF",
    Purpose.PHOTO: "请选择 JPG 或 PNG 图片；iPhone 的 HEIC 照片请先转成 JPG（设置 > 相机 > 格式 > 兼容性最佳）",
}


@dataclass(frozen=True, slots=True)
class UploadTerms:
    """What an upload form accepts."""

    purpose: Purpose
    extension: str  # of the expected kind, or UNKNOWN_EXTENSION
    content_type: str  # that S3 requires of the form
    min_size: int  # bytes, as max_size
    max_size: int


def build_upload_terms(
    purpose: Purpose, extension: str | None, content_type: str | None, size: int | None
) -> UploadTerms:
    """Return what the form for a file accepts.

    Args:
        extension: a hint, as content_type; "" or None if the client does not know it.
        size: in bytes, as stated by the client; None for any up to the limit of the expected kind.

    Raises:
        ApiError: 400 naming file_extension if the hints name another kind or none is given, file_size if it is too big.
    """
    extension = (extension or "").strip().lower().removeprefix(".")
    content_type = (content_type or "").partition(";")[0].strip().lower()
    if not (extension or content_type):
        raise ApiError(BAD_PARAMETER, "file_extension：必填（或填写 file_type）")
    accepted = ACCEPTED_KINDS[purpose]
    expected = [kind for kind in accepted if kind.is_named_by(extension, content_type)]
    is_known = content_type not in UNINFORMATIVE_TYPES or any(kind.is_named_by(extension, "") for kind in FILE_KINDS)
    if is_known and not expected:
        raise ApiError(
            BAD_PARAMETER, f"file_extension：不支持这类文件，只支持 {format_accepted(purpose)}。{ADVICE[purpose]}"
        )
    limit = max(kind.max_bytes for kind in expected or accepted)
    if size is not None and size > limit:
        raise ApiError(BAD_PARAMETER, f"file_size：不能超过 {limit // MB} MB，请压缩后再上传")
    signed_type = expected[0].content_types[0] if expected else UNKNOWN_TYPE
    if any(content_type in kind.content_types for kind in expected):
        signed_type = content_type
    return UploadTerms(
        purpose, expected[0].extension if expected else UNKNOWN_EXTENSION, signed_type, size or 1, size or limit
    )


def detect_kind(first_bytes: bytes, expected_extension: str = "") -> FileKind | None:
    """Return the kind of a file by its first SNIFF_BYTES, None if it is of no known kind.

    Args:
        expected_extension: decides if the content is of two kinds, such as MPEG-4 audio and video.
    """
    found = [kind for kind in FILE_KINDS if kind.matches(first_bytes)]
    return next((kind for kind in found if kind.extension == expected_extension), next(iter(found), None))


def require_accepted_kind(purpose: Purpose, first_bytes: bytes, size: int, expected_extension: str) -> FileKind:
    """Return the kind of an uploaded file.

    Raises:
        ApiError: 409 saying what to do if its content is of a kind that is not accepted, or it is too big.
    """
    detected = detect_kind(first_bytes, expected_extension)
    kind = next((one for one in ACCEPTED_KINDS[purpose] if detected and one.extension == detected.extension), None)
    if kind is None:
        found = f"是 {detected.extension}" if detected else "无法识别"
        text = f"文件内容{found}，这里只支持 {format_accepted(purpose)}。{ADVICE[purpose]}，再重新申请上传"
        raise ApiError(CONFLICT, text)
    if size > kind.max_bytes:
        raise ApiError(CONFLICT, f"{kind.extension} 文件不能超过 {kind.max_bytes // MB} MB，请压缩后重新申请上传")
    return kind


def get_kind_of_object(object_key: str) -> FileKind:
    """Return the kind of a confirmed file by its key, whose extension is that of its content."""
    return KINDS_BY_EXTENSION[object_key.rpartition(".")[2]]


def format_accepted(purpose: Purpose) -> str:
    """Return the extensions of the accepted kinds for an error message."""
    return "、".join(kind.extension for kind in ACCEPTED_KINDS[purpose])
