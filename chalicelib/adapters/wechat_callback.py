"""The protocol by which WeChat calls an official account's server: signatures, encryption and XML.

In plain mode WeChat signs only its token, a timestamp and a nonce, never the body. With an EncodingAESKey it encrypts
the body and signs what it encrypted.

Source: https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Technical_Plan.html
"""

import base64
import binascii
import hashlib
import hmac

from chalicelib.adapters import strict_xml
from chalicelib.adapters.strict_xml import MalformedXmlError

RANDOM_BYTES, LENGTH_BYTES, PADDING_BLOCK = 16, 4, 32
MAX_DEPTH, MAX_ELEMENTS, MAX_NAME_CHARS = 6, 500, 64

Leaf = tuple[str, str]  # path of an element, such as "SubscribeMsgPopupEvent/List/TemplateId", and its text


class InvalidCallbackError(Exception):
    """A body is not what WeChat sends: not decryptable, of another account, or malformed."""


def is_signed(signature: str, token: str, *parts: str) -> bool:
    """Return whether a signature is that of WeChat.

    Args:
        parts: timestamp and nonce, and the encrypted text where there is one.
    """
    text = "".join(sorted([token, *parts]))
    expected = hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def decode_key(encoding_aes_key: str) -> bytes:
    """Return the AES key from an EncodingAESKey.

    Raises:
        InvalidCallbackError: it does not stand for 32 bytes.
    """
    try:
        key = base64.b64decode(f"{encoding_aes_key}=", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidCallbackError("not base64") from error
    if len(key) != 32:
        raise InvalidCallbackError("not 32 bytes")
    return key


def decrypt(encoding_aes_key: str, encrypted: str, app_id: str) -> bytes:
    """Return the content of an encrypted text whose signature is valid.

    Raises:
        InvalidCallbackError: it cannot be decrypted, or is for another account.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher  # adds 0.1 s to a cold start
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    key = decode_key(encoding_aes_key)
    try:
        data = base64.b64decode(encrypted, validate=True)
        decryptor = Cipher(AES(key), CBC(key[:16])).decryptor()
        padded = decryptor.update(data) + decryptor.finalize()
    except ValueError as error:  # binascii.Error included
        raise InvalidCallbackError("not decryptable") from error
    plain = _remove_padding(padded)[RANDOM_BYTES:]
    length = int.from_bytes(plain[:LENGTH_BYTES], "big")
    content, owner = plain[LENGTH_BYTES : LENGTH_BYTES + length], plain[LENGTH_BYTES + length :]
    if len(content) != length or owner != app_id.encode():
        raise InvalidCallbackError("of another account")
    return content


def parse_leaves(content: bytes) -> list[Leaf]:
    """Return the elements of an XML document in UTF-8 that hold text, in their order, without the root's name.

    Raises:
        InvalidCallbackError: also for a DOCTYPE, which could define entities, and for what is larger than WeChat's.
    """
    reader = _Reader()
    try:
        strict_xml.parse(content, reader)
    except MalformedXmlError as error:
        raise InvalidCallbackError("malformed") from error
    return reader.leaves


def _remove_padding(padded: bytes) -> bytes:
    """Remove PKCS#7 padding to blocks of 32 bytes."""
    count = padded[-1] if padded else 0
    if not 1 <= count <= PADDING_BLOCK or padded[-count:] != bytes([count]) * count:
        raise InvalidCallbackError("wrong padding")
    return padded[:-count]


class _Reader:
    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self._path: list[str] = []
        self._text = ""
        self._elements = 0
        self._has_children = False

    def start_element(self, name: str, _: dict[str, str]) -> None:
        self._elements += 1
        if len(self._path) >= MAX_DEPTH or self._elements > MAX_ELEMENTS or len(name) > MAX_NAME_CHARS:
            raise MalformedXmlError("too large")
        self._path.append(name)
        self._text, self._has_children = "", False

    def end_element(self, _: str) -> None:
        if not self._has_children:
            self.leaves.append(("/".join(self._path[1:]), self._text))
        self._path.pop()
        self._has_children = True

    def append_text(self, text: str) -> None:
        self._text += text
