"""Where a file is read: objects are private, and every link that leaves is signed for half an hour."""

from chalicelib.adapters.aws import s3

LINK_LIFETIME_SECONDS = 30 * 60  # seconds


def sign(object_key: str) -> str:
    """Return a link that anybody who holds it can read for 30 minutes. It asks nobody, so a page may have a hundred."""
    return s3.presign_download(object_key, LINK_LIFETIME_SECONDS)
