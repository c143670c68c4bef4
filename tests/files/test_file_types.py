import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import BAD_PARAMETER, CONFLICT, ApiError
from chalicelib.files import file_types
from chalicelib.files.file_types import FILE_KINDS, KINDS_BY_EXTENSION, MB, UNKNOWN_TYPE, Purpose
from tests.support.file_samples import INVALID, VALID, VALID_VARIANTS


def test_every_type_has_a_sample() -> None:
    assert set(VALID) == set(KINDS_BY_EXTENSION)


@pytest.mark.parametrize(("extension", "first"), [*VALID.items(), *VALID_VARIANTS])
def test_file_is_recognized_by_its_first_bytes(extension: str, first: bytes) -> None:
    assert KINDS_BY_EXTENSION[extension].matches(first)


@pytest.mark.parametrize(("extension", "first"), INVALID)
def test_other_content_is_not_recognized(extension: str, first: bytes) -> None:
    assert not KINDS_BY_EXTENSION[extension].matches(first)


@pytest.mark.parametrize("extension", KINDS_BY_EXTENSION)
def test_no_sample_has_two_types(extension: str) -> None:
    """Except for MPEG-4 audio and video, which may share a brand."""
    same_type = [{"m4a", "mp4"}]
    others = [one for one in KINDS_BY_EXTENSION if one != extension and {one, extension} not in same_type]
    assert [one for one in others if KINDS_BY_EXTENSION[one].matches(VALID[extension])] == []


@given(st.binary(max_size=64))
def test_any_bytes_can_be_checked(first: bytes) -> None:
    assert {kind.matches(first) for kind in file_types.FILE_KINDS} <= {True, False}


@given(st.text(min_size=4))
def test_text_has_no_type(text: str) -> None:
    if not text.startswith(("ID3", "GIF8", "#!AMR", "RIFF")) and "%PDF-" not in text:
        assert [kind.extension for kind in file_types.FILE_KINDS if kind.matches(text.encode())] == []


ANNOUNCED = [
    *((kind.extension, name, kind.extension, name) for kind in FILE_KINDS for name in kind.content_types),
    *((other, "", kind.extension, kind.content_types[0]) for kind in FILE_KINDS for other in kind.other_extensions),
    ("JPG", "Image/JPEG", "jpg", "image/jpeg"),
    (".MOV", "", "mov", "video/quicktime"),
    ("HEIC", "application/octet-stream", "heic", "image/heic"),
    ("jfif", None, "jpg", "image/jpeg"),
    ("", "image/png", "png", "image/png"),
    (None, "image/heif", "heic", "image/heif"),
    ("image:1000012345", "image/jpeg", "jpg", "image/jpeg"),  # a document of Android has no extension
    ("mp4", "video/mp4; codecs=avc1", "mp4", "video/mp4"),
    ("jpg", "image/png", "jpg", "image/png"),
    ("jpg", "text/html", "jpg", "image/jpeg"),
    ("tmp", "application/octet-stream", "bin", UNKNOWN_TYPE),
    ("tmp", "", "bin", UNKNOWN_TYPE),
]


@pytest.mark.parametrize(("extension", "content_type", "expected", "signed"), ANNOUNCED)
def test_extension_or_content_type_is_enough_for_a_form(
    extension: str | None, content_type: str | None, expected: str, signed: str
) -> None:
    terms = file_types.build_upload_terms(Purpose.CHAT, extension, content_type, None)
    if expected not in ("mp4", "m4a"):  # the announced types of 3gp are of both
        assert terms.extension == expected
    assert terms.content_type == signed
    limit = max(kind.max_bytes for kind in FILE_KINDS if expected in (kind.extension, "bin"))
    assert (terms.min_size, terms.max_size) == (1, limit)
    assert file_types.build_upload_terms(Purpose.CHAT, extension, content_type, 7).max_size == 7


REJECTED_HINTS = [
    (Purpose.CHAT, "svg", "image/svg+xml", 1, "file_extension"),
    (Purpose.CHAT, "html", "text/html", 1, "file_extension"),
    (
        Purpose.CHAT,
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        1,
        "file_extension",
    ),
    (Purpose.CHAT, "", "", 1, "file_extension"),
    (Purpose.CHAT, None, None, 1, "file_extension"),
    (Purpose.CHAT, "jpg", "image/jpeg", 20 * MB + 1, "file_size"),
    (Purpose.CHAT, "mp4", "video/mp4", 100 * MB + 1, "file_size"),
    (Purpose.CHAT, "tmp", "", 100 * MB + 1, "file_size"),
    (Purpose.PHOTO, "jpg", "image/jpeg", 5 * MB + 1, "file_size"),
    (Purpose.PHOTO, "tmp", "", 5 * MB + 1, "file_size"),
    (Purpose.PHOTO, "heic", "", 1, "file_extension"),
    (Purpose.PHOTO, "heif", "image/heif", 1, "file_extension"),
    (Purpose.PHOTO, "pdf", "application/octet-stream", 1, "file_extension"),
    (Purpose.PHOTO, "", "video/mp4", 1, "file_extension"),
]


@pytest.mark.parametrize(("purpose", "extension", "content_type", "size", "field"), REJECTED_HINTS)
def test_rejection_names_the_field_and_what_to_do(
    purpose: Purpose, extension: str | None, content_type: str | None, size: int, field: str
) -> None:
    with pytest.raises(ApiError, match=f"^{field}：.*(必填|请)") as error:
        file_types.build_upload_terms(purpose, extension, content_type, size)
    assert error.value.kind is BAD_PARAMETER


@pytest.mark.parametrize(
    ("expected", "content", "kind"),
    [
        *(
            (other, content, kind)
            for other in ("bin", "pdf", "mp4")
            for kind, content in VALID.items()
            if kind != "m4a"
        ),
        ("m4a", VALID["mp4"], "m4a"),  # an Android recorder's file: the content may be either
        ("mp4", VALID["m4a"], "m4a"),
        ("jpg", VALID["mp4"], "mp4"),
    ],
)
def test_content_determines_the_kind(expected: str, content: bytes, kind: str) -> None:
    assert file_types.require_accepted_kind(Purpose.CHAT, content, len(content), expected).extension == kind


@pytest.mark.parametrize(
    ("purpose", "content", "size", "text"),
    [
        (Purpose.CHAT, b"<html>", 6, "无法识别.*PDF.*重新申请上传"),
        (Purpose.CHAT, b"", 1, "无法识别"),
        (Purpose.CHAT, VALID["jpg"], 20 * MB + 1, "20 MB.*压缩"),
        (Purpose.PHOTO, VALID["heic"], 1, "heic.*HEIC 照片请先转成 JPG"),
        (Purpose.PHOTO, VALID["pdf"], 1, "pdf.*请选择 JPG"),
        (Purpose.PHOTO, VALID["png"], 5 * MB + 1, "5 MB"),
    ],
)
def test_content_that_is_not_accepted_is_named(purpose: Purpose, content: bytes, size: int, text: str) -> None:
    with pytest.raises(ApiError, match=text) as error:
        file_types.require_accepted_kind(purpose, content, size, "jpg")
    assert error.value.kind is CONFLICT


def test_pictures_that_not_every_browser_shows_are_marked() -> None:
    assert [kind.extension for kind in FILE_KINDS if not kind.is_displayable] == ["heic", "avif", "amr", "mov", "pdf"]
