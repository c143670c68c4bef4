import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import ApiError
from chalicelib.files import file_types
from chalicelib.files.file_types import CHAT_EXTENSIONS, KINDS_BY_EXTENSION, MB
from tests.support.file_samples import INVALID, VALID, VALID_VARIANTS


def test_every_type_has_a_sample() -> None:
    assert set(VALID) == set(CHAT_EXTENSIONS)


@pytest.mark.parametrize(("extension", "first"), [*VALID.items(), *VALID_VARIANTS])
def test_file_is_recognized_by_its_first_bytes(extension: str, first: bytes) -> None:
    assert KINDS_BY_EXTENSION[extension].matches(first)


@pytest.mark.parametrize(("extension", "first"), INVALID)
def test_other_content_is_not_recognized(extension: str, first: bytes) -> None:
    assert not KINDS_BY_EXTENSION[extension].matches(first)


@pytest.mark.parametrize("extension", CHAT_EXTENSIONS)
def test_no_sample_has_two_types(extension: str) -> None:
    """Except for the two extensions of JPEG, and MPEG-4 audio and video, which may share a brand."""
    same_type = [{"jpg", "jpeg"}, {"m4a", "mp4"}]
    others = [one for one in CHAT_EXTENSIONS if one != extension and {one, extension} not in same_type]
    assert [one for one in others if KINDS_BY_EXTENSION[one].matches(VALID[extension])] == []


@given(st.binary(max_size=64))
def test_any_bytes_can_be_checked(first: bytes) -> None:
    assert {kind.matches(first) for kind in file_types.FILE_KINDS} <= {True, False}


@given(st.text(min_size=4))
def test_text_has_no_type(text: str) -> None:
    signatures = ("ID3", "GIF8", "%PDF-", "#!AMR", "RIFF")
    if not text.startswith(signatures):
        assert [kind.extension for kind in file_types.FILE_KINDS if kind.matches(text.encode())] == []


@pytest.mark.parametrize(
    ("extension", "content_type", "size"),
    [
        *((kind.extension, name, kind.max_bytes) for kind in file_types.FILE_KINDS for name in kind.content_types),
        ("JPG", "Image/JPEG", 1),
        ("png", "image/png", None),
    ],
)
def test_content_types_of_browsers_are_accepted(extension: str, content_type: str, size: int | None) -> None:
    assert file_types.require_kind(CHAT_EXTENSIONS, extension, content_type, size).extension == extension.lower()


@pytest.mark.parametrize(
    ("extension", "content_type", "size", "field"),
    [
        ("exe", "image/jpeg", 1, "file_extension"),
        ("svg", "image/svg+xml", 1, "file_extension"),
        ("html", "text/html", 1, "file_extension"),
        (".jpg", "image/jpeg", 1, "file_extension"),
        ("", "image/jpeg", 1, "file_extension"),
        ("jpg", "image/png", 1, "file_type"),
        ("jpg", "image/jpeg; charset=utf-8", 1, "file_type"),
        ("jpg", "", 1, "file_type"),
        ("pdf", "text/html", 1, "file_type"),
        ("mp4", "audio/mp4", 1, "file_type"),
        ("jpg", "image/jpeg", 20 * MB + 1, "file_size"),
        ("mp4", "video/mp4", 100 * MB + 1, "file_size"),
    ],
)
def test_field_that_does_not_match_is_named(extension: str, content_type: str, size: int, field: str) -> None:
    with pytest.raises(ApiError, match=f"^{field}："):
        file_types.require_kind(CHAT_EXTENSIONS, extension, content_type, size)
