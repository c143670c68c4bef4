"""Recognize the type of a file by its first bytes; extension and Content-Type are only claims of the client."""

import re
from collections.abc import Callable

SNIFF_BYTES = 1024  # that the functions of this module examine
SignatureTest = Callable[[bytes], bool]

# HEVC pictures and sequences, and the general brands of HEIF. AVIF files have the latter too.
HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
AVIF_BRANDS = {b"avif", b"avis"}
# Brands that phones, browsers and recorders write for both audio and video.
# Source: https://mp4ra.org/registered-types/brands
GENERIC_BRANDS = {b"isom", b"mp41", b"mp42", b"avc1", b"dash", b"MSNV", *(b"iso%d" % n for n in range(2, 10))}
GENERIC_BRANDS |= {b"3gp%d" % n for n in range(4, 8)}
M4A_BRANDS, M4V_BRANDS = {b"M4A ", b"M4B "}, {b"M4V ", b"M4VH", b"M4VP"}
QUICKTIME_BRAND = b"qt  "


def build_prefix_test(*signatures: bytes) -> SignatureTest:
    """Return a function that tests whether a file starts with one of the signatures."""
    return lambda first: first.startswith(signatures)


def is_webp(first: bytes) -> bool:
    """Return whether a file is a WebP picture."""
    return first[:4] == b"RIFF" and first[8:12] == b"WEBP"


def is_bmp(first: bytes) -> bool:
    """Return whether a file is a BMP picture. Also checks the header size: many texts start with BM."""
    return first[:2] == b"BM" and int.from_bytes(first[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)


def is_mp3(first: bytes) -> bool:
    """Return whether a file starts with an ID3 tag or a valid MPEG layer III frame header.

    The header consists of 11 ones, MPEG version, layer, bit rate and sample rate.
    """
    if first[:3] == b"ID3":
        return True
    header = int.from_bytes(first[:4], "big")
    sync, version, layer = header >> 21, header >> 19 & 3, header >> 17 & 3
    return (sync, layer) == (0x7FF, 1) and version != 1 and header >> 12 & 15 != 15 and header >> 10 & 3 != 3


def is_heic(first: bytes) -> bool:
    """Return whether a file has a HEIF brand as its major or a compatible brand, and is no AVIF picture."""
    brands = set(_parse_brands(first))
    return bool(HEIC_BRANDS & brands) and not AVIF_BRANDS & brands


def is_avif(first: bytes) -> bool:
    """Return whether a file has an AVIF brand as its major or a compatible brand."""
    return bool(AVIF_BRANDS & set(_parse_brands(first)))


def is_m4a(first: bytes) -> bool:
    """Return whether a file is MPEG-4 audio, or of a brand that is used for audio and video."""
    return _get_major_brand(first) in M4A_BRANDS | GENERIC_BRANDS


def is_mp4(first: bytes) -> bool:
    """Return whether a file is MPEG-4 video, or of a brand that is used for audio and video."""
    return _get_major_brand(first) in M4V_BRANDS | GENERIC_BRANDS


def is_mov(first: bytes) -> bool:
    """Return whether a file is a QuickTime video, as iPhones record."""
    return _get_major_brand(first) == QUICKTIME_BRAND


def is_pdf(first: bytes) -> bool:
    """Return whether a PDF header is among the first 1,024 bytes, as readers accept it.

    Source: Adobe, PDF Reference 1.7, appendix H, note 13
    """
    return re.search(rb"%PDF-[0-9]\.[0-9]", first[:1024]) is not None


def _get_major_brand(first: bytes) -> bytes:
    return next(iter(_parse_brands(first)), b"")


def _parse_brands(first: bytes) -> list[bytes]:
    """Return the brands of an ISO base media file, the major one first; none for any other file."""
    length = int.from_bytes(first[:4], "big")
    if first[4:8] != b"ftyp" or length < 16:
        return []
    compatible = first[16 : min(length, SNIFF_BYTES)]
    return [first[8:12], *(compatible[n : n + 4] for n in range(0, len(compatible) - 3, 4))]
