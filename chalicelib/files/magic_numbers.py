"""What a file is, by its first bytes: an extension and a Content-Type are only what somebody says it is."""

from collections.abc import Callable

SNIFF_BYTES = 512  # bytes that these functions want to see
SignatureTest = Callable[[bytes], bool]

HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
# Names of the container that phones, browsers and recorders write for sound and film alike.
# https://mp4ra.org/registered-types/brands
GENERIC_BRANDS = {b"isom", b"mp41", b"mp42", b"avc1", b"dash", b"MSNV", *(b"iso%d" % n for n in range(2, 10))}
GENERIC_BRANDS |= {b"3gp%d" % n for n in range(4, 8)}
M4A_BRANDS, M4V_BRANDS = {b"M4A ", b"M4B "}, {b"M4V ", b"M4VH", b"M4VP"}


def build_prefix_test(*marks: bytes) -> SignatureTest:
    return lambda first: first.startswith(marks)


def is_webp(first: bytes) -> bool:
    return first[:4] == b"RIFF" and first[8:12] == b"WEBP"


def is_bmp(first: bytes) -> bool:
    """Two letters begin many a text: the size of the header behind them has one of few values."""
    return first[:2] == b"BM" and int.from_bytes(first[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)


def is_mp3(first: bytes) -> bool:
    """An ID3 tag, or a frame's header: 11 ones, MPEG version, layer III, a bit rate and a sample rate that exist."""
    if first[:3] == b"ID3":
        return True
    header = int.from_bytes(first[:4], "big")
    sync, version, layer = header >> 21, header >> 19 & 3, header >> 17 & 3
    return (sync, layer) == (0x7FF, 1) and version != 1 and header >> 12 & 15 != 15 and header >> 10 & 3 != 3


def is_heic(first: bytes) -> bool:
    """The general brand may come first, and the codec's among the compatible ones."""
    return bool(HEIC_BRANDS & set(_parse_brands(first)))


def is_m4a(first: bytes) -> bool:
    return _get_major_brand(first) in M4A_BRANDS | GENERIC_BRANDS


def is_mp4(first: bytes) -> bool:
    return _get_major_brand(first) in M4V_BRANDS | GENERIC_BRANDS


def _get_major_brand(first: bytes) -> bytes:
    return next(iter(_parse_brands(first)), b"")


def _parse_brands(first: bytes) -> list[bytes]:
    """The brands of an ISO base media file, the major one first; none where it is no such file."""
    length = int.from_bytes(first[:4], "big")
    if first[4:8] != b"ftyp" or length < 16:
        return []
    compatible = first[16 : min(length, SNIFF_BYTES)]
    return [first[8:12], *(compatible[n : n + 4] for n in range(0, len(compatible) - 3, 4))]
