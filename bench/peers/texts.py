"""The text of a message: 100 bytes of UTF-8 that name the request's number, by which a receiver recognizes it."""

FILLER = "医生您好，昨天开始发烧，三十八度二，喉咙痛，咳嗽有痰，夜里又烧。"
TEXT_BYTES = 100


def build_text(number: int) -> bytes:
    """Return the text of a client's message with this number."""
    return build_mark(number) + _FILLER_BYTES


def build_mark(number: int) -> bytes:
    """Return the beginning of a text, which is in no other message of the client."""
    return b"[%07d]" % number


_FILLER_BYTES = FILLER.encode()[: (TEXT_BYTES - len(build_mark(0))) // 3 * 3]
_FILLER_BYTES += b"!" * (TEXT_BYTES - len(build_mark(0)) - len(_FILLER_BYTES))
