"""Reads a bar code back from its PNG, as a scanner does: by the widths of bars and spaces."""

import struct
import zlib
from itertools import groupby

from chalicelib.people.bar_code import _SYMBOLS

_STOP_PATTERN = "2331112"


def decode_png(png: bytes) -> str:
    """Return the text of a Code 128 bar code in code set B. Raises AssertionError if it is invalid."""
    runs = [(pixel, len(list(group))) for pixel, group in groupby(_read_middle_row(png))]
    (left, quiet), *bars, (right, also_quiet) = runs
    module = min(width for _, width in bars)
    assert left == right == "1"
    assert min(quiet, also_quiet) >= 10 * module
    widths = "".join(str(width // module) for _, width in bars)
    assert widths.endswith(_STOP_PATTERN)
    values = [_SYMBOLS.index(widths[at : at + 6]) for at in range(0, len(widths) - len(_STOP_PATTERN), 6)]
    start, *letters, check = values
    assert start == 104
    assert check == (start + sum(place * value for place, value in enumerate(letters, 1))) % 103
    return "".join(chr(value + 32) for value in letters)


def _read_middle_row(png: bytes) -> str:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at : at + 8])
        chunks[kind] = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size]) == (zlib.crc32(kind + chunks[kind]),)
        at += 12 + size
    width, height, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour) == (1, 0)
    pixels, line = zlib.decompress(chunks[b"IDAT"]), 1 + -(-width // 8)
    assert len(pixels) == height * line
    row = pixels[height // 2 * line : (height // 2 + 1) * line]
    assert row[0] == 0
    return "".join(f"{byte:08b}" for byte in row[1:])[:width]
