"""Cryptography of WeChat Pay v3: RSA signatures in both directions, AES-256-GCM for the content of notifications.

Only keys that the merchant has set up are used; none is fetched.

Source: https://pay.weixin.qq.com/doc/v3/merchant/4012365342
"""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import InvalidNotificationError, Merchant

if TYPE_CHECKING:  # importing it adds 0.1 s to the cold start of every function
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAX_CLOCK_SKEW = 300 * clock.SECOND  # exclusive, as in WeChat Pay's own SDKs


def sign(private_key: str, message: bytes) -> str:
    """Return the SHA-256 with RSA signature of a message in base64."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return base64.b64encode(_load_private_key(private_key).sign(message, PKCS1v15(), SHA256())).decode()


def verify(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> None:
    """Verify WeChat Pay's signature over the exact bytes of a response or notification.

    Raises:
        InvalidNotificationError: 401 if the signature is not valid or its time is five minutes or more from `now`.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    lower_case = {name.lower(): value for name, value in headers.items()}
    serial, timestamp, nonce, signature = (
        lower_case.get(f"wechatpay-{name}", "") for name in ("serial", "timestamp", "nonce", "signature")
    )
    if serial not in merchant.public_keys:
        raise InvalidNotificationError("unknown serial")
    try:
        key = _load_public_key(merchant.public_keys[serial])
        message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        key.verify(base64.b64decode(signature, validate=True), message, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as error:
        raise InvalidNotificationError("invalid signature") from error
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(int(timestamp) * clock.SECOND - now) >= MAX_CLOCK_SKEW:
        raise InvalidNotificationError("timestamp out of range")


def decrypt_resource(merchant: Merchant, resource: Mapping[str, str]) -> bytes:
    """Return the plaintext of a notification's `resource`.

    Args:
        resource: its fields algorithm, ciphertext, nonce and associated_data.

    Raises:
        InvalidNotificationError: 401 if it was not encrypted with the merchant's APIv3 key.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if resource["algorithm"] != "AEAD_AES_256_GCM" or len(merchant.key.encode()) != 32:
        raise InvalidNotificationError("unsupported encryption")
    try:
        nonce, associated_data = resource["nonce"].encode(), resource["associated_data"].encode()
        ciphertext = base64.b64decode(resource["ciphertext"])
        return AESGCM(merchant.key.encode()).decrypt(nonce, ciphertext, associated_data)
    except (InvalidTag, ValueError) as error:
        raise InvalidNotificationError("encrypted with another key") from error


@lru_cache(maxsize=32)  # parsing a key takes longer than signing with it
def _load_private_key(pem: str) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


@lru_cache(maxsize=64)
def _load_public_key(pem: str) -> "RSAPublicKey":
    """Return the key of a public key or certificate."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    is_certificate = "BEGIN CERTIFICATE" in pem
    key = load_pem_x509_certificate(pem.encode()).public_key() if is_certificate else load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA key")
    return key
