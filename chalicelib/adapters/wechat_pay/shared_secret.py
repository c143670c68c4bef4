"""The cryptography of WeChat Pay v2: one secret signs both ways, and opens what a notice of a refund tells."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from chalicelib.adapters.wechat_pay.types import InvalidNotificationError, Merchant, SignType
from chalicelib.adapters.wechat_pay.xml import MalformedXmlError, parse_fields

Fields = Mapping[str, str]


def sign(merchant: Merchant, fields: Fields) -> str:
    """Sign all fields that are not empty, but `sign`, by name; 32 or 64 hex digits in upper case."""
    said = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if fields[name] and name != "sign")
    signed, key = f"{said}&key={merchant.key}".encode(), merchant.key.encode()
    if merchant.sign_type == SignType.HMAC_SHA256:
        return hmac.new(key, signed, "sha256").hexdigest().upper()
    return hashlib.md5(signed, usedforsecurity=False).hexdigest().upper()


def has_valid_signature(merchant: Merchant, fields: Fields) -> bool:
    """Whether the fields bear their signature, by the merchant's own sign_type."""
    return hmac.compare_digest(fields.get("sign", "").encode(), sign(merchant, fields).encode())


def decrypt_refund_info(merchant: Merchant, sealed: str) -> Fields:
    """AES-256-ECB, which proves nothing: whoever has seen notices can put their blocks together anew."""
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import ECB
    from cryptography.hazmat.primitives.padding import PKCS7

    key = hashlib.md5(merchant.key.encode(), usedforsecurity=False).hexdigest().encode()
    decryptor, unpadder = Cipher(AES(key), ECB()).decryptor(), PKCS7(128).unpadder()
    try:
        padded = decryptor.update(base64.b64decode(sealed)) + decryptor.finalize()
        return parse_fields(unpadder.update(padded) + unpadder.finalize(), "root")
    except (ValueError, MalformedXmlError) as error:
        raise InvalidNotificationError("sealed with another key") from error
