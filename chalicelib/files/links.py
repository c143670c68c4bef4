"""Sign download links. Objects are private; a link is valid for half an hour."""

from chalicelib.adapters.aws import s3

LINK_LIFETIME_SECONDS = 30 * 60


def sign(object_key: str) -> str:
    """Return a link to an object that works without credentials. Sends no request, so a page may have many links."""
    return s3.presign_download(object_key, LINK_LIFETIME_SECONDS)
