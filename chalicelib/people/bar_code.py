"""Render a patient's number as a Code 128 bar code (PNG), for scanners at the front desk."""

import base64
import struct
import zlib

# Widths of bar, space, bar … of each symbol (ISO/IEC 15417); the last three start code sets A, B and C. Code set B
# contains printable ASCII in its order.
_SYMBOL_TABLE = """
    212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222
    123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321
    232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121
    313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224
    111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111
    111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113
    114311 411113 411311 113141 114131 311141 411131 211412 211214 211232
"""
_SYMBOLS = _SYMBOL_TABLE.split()
_START_B, _STOP = 104, "2331112"
MODULE_PIXELS = 2  # width of the narrowest bar
HEIGHT_PIXELS = 80
QUIET_ZONE_MODULES = 10  # white margin on each side


def render_png(text: str) -> bytes:
    """Return the bar code of a text of printable ASCII as a PNG file."""
    values = [_START_B, *(ord(letter) - 32 for letter in text)]
    check = (_START_B + sum(place * value for place, value in enumerate(values))) % 103
    widths = "".join([*(_SYMBOLS[value] for value in [*values, check]), _STOP])
    bars = "".join("01"[place % 2] * int(width) for place, width in enumerate(widths))
    return _encode_png("1" * QUIET_ZONE_MODULES + bars + "1" * QUIET_ZONE_MODULES)


def render_base64(text: str) -> str:
    """Return the PNG file as base64, as the protocol documents include it in responses."""
    return base64.b64encode(render_png(text)).decode()


def _encode_png(modules: str) -> bytes:
    """Return a one-bit grayscale PNG that repeats one row of modules (0 black, 1 white) over its height."""
    bits = "".join(module * MODULE_PIXELS for module in modules)
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8), "big")
    header = struct.pack(">IIBBBBB", len(bits), HEIGHT_PIXELS, 1, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(HEIGHT_PIXELS * (b"\x00" + row))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
