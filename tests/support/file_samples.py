"""First bytes of files of each type as written by real programs, and of other content."""

VALID = {
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01",
    "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "gif": b"GIF89a\x01\x00\x01\x00\x80\x00\x00",
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "bmp": b"BM\x46\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\x01\x00\x00\x00",
    "heic": b"\x00\x00\x00\x24ftypheic\x00\x00\x00\x00mif1MiHEmiafMiHBheic",
    "avif": b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1avifmiaf",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "amr": b"#!AMR\n\x3c\x48",
    "mp3": b"ID3\x04\x00\x00\x00\x00\x00\x23TSSE",
    "m4a": b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00M4A isomiso2",
    "mp4": b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41",
    "mov": b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00qt  ",
}
# Other valid forms, written by other programs.
VALID_VARIANTS = [
    ("jpg", b"\xff\xd8\xff\xe1\x00\x18Exif\x00\x00"),
    ("gif", b"GIF87a\x01\x00\x01\x00"),
    ("bmp", b"BM" + bytes(8) + b"\x8a\x00\x00\x00\x7c\x00\x00\x00"),
    ("heic", b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heicmiaf"),
    ("heic", b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1miaf"),  # HEIF in general
    ("heic", b"\x00\x00\x00\x18ftyphevc\x00\x00\x00\x00msf1hevc"),  # a sequence
    ("pdf", b"\xef\xbb\xbf%PDF-1.4\n"),  # a byte order mark
    ("pdf", b"\r\n\r\n%PDF-2.0\n"),
    ("pdf", b"\x1b%-12345X@PJL JOB\r\n%PDF-1.5\n"),  # of a printer
    ("pdf", b"Warning: a server's text\n" * 40 + b"%PDF-1.3"),
    ("amr", b"#!AMR-WB\n\x04"),
    ("mp3", b"\xff\xfb\x90\x64\x00"),  # no tag: a frame of MPEG 1
    ("mp3", b"\xff\xf3\x40\xc4\x00"),  # of MPEG 2
    ("m4a", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"),  # Android's recorder
    ("mp4", b"\x00\x00\x00\x18ftyp3gp4\x00\x00\x00\x00isom3gp4"),
    ("mp4", b"\x00\x00\x00\x1cftypM4V \x00\x00\x00\x01M4V mp42isom"),
]
INVALID = [
    ("jpg", b""),
    ("jpg", b"\xff\xd8"),
    ("jpg", b"<html><script>"),
    ("jpg", VALID["png"]),
    ("png", b"\x89PNG\n\x1a\n"),  # a transfer in text mode has removed a byte
    ("gif", b"GIF88a"),
    ("webp", b"RIFF\x24\x00\x00\x00WAVEfmt "),
    ("bmp", b"BMW is a car, and this is a text"),
    ("bmp", b"BM"),
    ("heic", VALID["avif"]),
    ("heic", b"\x00\x00\x00\x14ftypmp42\x00\x00\x00\x00mp42heic"),  # the brand follows the box and is not in it
    ("heic", VALID["mp4"]),
    ("pdf", b"%PDF-"),
    ("pdf", b"%PDF is a format"),
    ("pdf", b" " * 1020 + b"%PDF-1.7"),  # the header must be within 1,024 bytes
    ("amr", b"#!AMR"),
    ("amr", b"#!/bin/sh\n"),
    ("mp3", b"\xff\xd8\xff\xe0"),  # a JPEG starts with the same byte as a frame
    ("mp3", b"\xff\xf1\x50\x80"),  # AAC
    ("mp3", b"\xff\xfe\x31\x00"),  # UTF-16
    ("mp3", b"\xff\xfb\xf0\x00"),  # a bit rate that does not exist
    ("mp3", b"\xff\xfb\x9c\x00"),  # a sample rate that does not exist
    ("mp3", b"\xff\xeb\x90\x00"),  # an MPEG version that does not exist
    ("m4a", VALID["mp4"].replace(b"ftypisom", b"ftypM4V ")),
    ("m4a", VALID["heic"]),
    ("mp4", VALID["m4a"]),
    ("mp4", VALID["mov"]),
    ("mov", VALID["mp4"]),
    ("mp4", b"\x00\x00\x00\x08ftypisom"),
    ("mp4", b"\x00\x00\x00\x18moovisom"),
]


def build_file(extension: str, size: int) -> bytes:
    """Return a file of a type with exactly this size in bytes."""
    return VALID[extension][:size].ljust(size, b"\0")
