"""Content of a message: the text that all protocols show, and the fields that only document 002 has."""

import hashlib
import json
from collections.abc import Sequence

from chalicelib import errors
from chalicelib.errors import ApiError
from chalicelib.helpdesk.models import AddMessageRequest
from chalicelib.identity.callers import Caller
from chalicelib.messaging.models import MessageType

MAX_EXTRA_CHARS = 4000  # of the JSON text, in which quotation marks and the like count more than once
MAX_CAPTION_CHARS = 512  # beside a picture, which the other protocols show as its link alone


def require_valid(request: AddMessageRequest) -> None:
    """Raise ApiError(BAD_PARAMETER) for an empty text or a picture with too long a caption."""
    if _is_picture(request) and len(request.content) > MAX_CAPTION_CHARS:
        raise ApiError(errors.BAD_PARAMETER, f"content：图片的说明不能超过 {MAX_CAPTION_CHARS} 个字符")
    if not _is_picture(request) and not request.content.strip():
        raise ApiError(errors.BAD_PARAMETER, "content：不能为空")


def build(caller: Caller, request: AddMessageRequest, recipients: list[str]) -> tuple[str, str]:
    """Return content and extra of a message.

    Args:
        recipients: of a request with an idempotency key. Their hash becomes part of extra, so that a request with the
            same key and other recipients is another message.

    Raises:
        ApiError: 400 if title, link and content together are too long.
    """
    is_picture = _is_picture(request)
    extra = {
        "title": request.title,
        "link": request.link,
        "item": request.item,
        "type": request.type,
        "by": caller.user_id,
        "post": caller.post_id,
        "app": caller.app_id,
    }
    extra |= {"to": hash_texts(recipients)} if recipients else {}
    extra |= {"caption": request.content} if is_picture else {}
    text = json.dumps(extra, ensure_ascii=False, separators=(",", ":"))
    if len(text) > MAX_EXTRA_CHARS:
        raise ApiError(errors.BAD_PARAMETER, "title、link、content：过长")
    return (request.link if is_picture else request.content), text


def hash_texts(texts: Sequence[str | None]) -> str:
    """Return a hash of a list of texts: 40 hexadecimal digits."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:40]


def _is_picture(request: AddMessageRequest) -> bool:
    return request.itemType == MessageType.IMAGE and bool(request.link)
