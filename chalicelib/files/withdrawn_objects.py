"""The job that makes the links of a withdrawn file invalid."""

from typing import Any

from chalicelib.adapters.aws import s3
from chalicelib.files import file_types
from chalicelib.files.withdrawals import build_withdrawn_key


def move_object(_tenant_id: int, payload: dict[str, Any]) -> None:
    """Move the object of a withdrawn file to its withdrawn key. Idempotent: an object that has moved is left there.

    Raises:
        ApiError: 503 if S3 cannot be reached.
        s3.S3Error: S3 has not deleted the object, whose links still work.
    """
    object_key = payload["object_key"]
    preview = s3.find_preview(object_key, 1)
    if preview is None:
        return
    content_type = file_types.get_kind_of_object(object_key).content_types[0]
    if s3.copy(object_key, preview.etag, build_withdrawn_key(object_key), content_type) and s3.delete([object_key]):
        raise s3.S3Error("a withdrawn object was not deleted")
