"""Cryptography of WeChat Pay v2: the API key signs in both directions and encrypts refund notifications."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from chalicelib.adapters.strict_xml import MalformedXmlError
from chalicelib.adapters.wechat_pay.types import InvalidNotificationError, Merchant, SignType
from chalicelib.adapters.wechat_pay.xml import parse_fields

Fields = Mapping[str, str]


def sign(merchant: Merchant, fields: Fields) -> str:
    """Return the signature over all non-empty fields except `sign`, sorted by name.

    Returns:
        32 (MD5) or 64 (HMAC-SHA256) upper-case hexadecimal digits.

    Source: https://pay.weixin.qq.com/doc/v2/merchant
    """
    query = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name != "sign")
    message, key = f"{query}&key={merchant.key}".encode(), merchant.key.encode()
    if merchant.sign_type == SignType.HMAC_SHA256:
        return hmac.new(key, message, "sha256").hexdigest().upper()
    return hashlib.md5(message, usedforsecurity=False).hexdigest().upper()


def has_valid_signature(merchant: Merchant, fields: Fields) -> bool:
    """Return whether the field `sign` is the signature of the other fields under the merchant's sign_type."""
    return hmac.compare_digest(fields.get("sign", "").encode(), sign(merchant, fields).encode())


def decrypt_refund_info(merchant: Merchant, req_info: str) -> Fields:
    """Return the fields of a refund notification's `req_info`.

    AES-256-ECB does not authenticate: blocks of known notifications can be recombined into another one.

    Raises:
        InvalidNotificationError: 401 if it was not encrypted with the merchant's key.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import ECB
    from cryptography.hazmat.primitives.padding import PKCS7

    key = hashlib.md5(merchant.key.encode(), usedforsecurity=False).hexdigest().encode()
    decryptor, unpadder = Cipher(AES(key), ECB()).decryptor(), PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(req_info)) + decryptor.finalize()
        return parse_fields(unpadder.update(padded) + unpadder.finalize(), "root")
    except (ValueError, MalformedXmlError) as error:
        raise InvalidNotificationError("encrypted with another key") from error
