"""The cryptography of WeChat Pay v3: RSA signatures both ways, and AES-256-GCM for what a notice tells.

https://pay.weixin.qq.com/doc/v3/merchant/4012365342. Keys are those that the merchant has set up; none is ever fetched.
"""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from chalicelib import clock
from chalicelib.adapters.wechat_pay.types import InvalidNotificationError, Merchant

if TYPE_CHECKING:  # 0.1 s of cold start, for who pays alone
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

MAX_CLOCK_SKEW = 300 * clock.SECOND


def sign(private_key: str, message: bytes) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    return base64.b64encode(_load_private_key(private_key).sign(message, PKCS1v15(), SHA256())).decode()


def verify(merchant: Merchant, headers: Mapping[str, str], body: bytes, now: int) -> None:
    """Raises BadNotice unless WeChat has signed these very bytes, within five minutes of `now`."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    theirs = {name.lower(): value for name, value in headers.items()}
    said = [theirs.get(f"wechatpay-{name}", "") for name in ("serial", "timestamp", "nonce", "signature")]
    serial, time_stamp, nonce, signature = said
    if serial not in merchant.public_keys:
        raise InvalidNotificationError("a serial that is not set up")
    try:
        key = _load_public_key(merchant.public_keys[serial])
        signed = f"{time_stamp}\n{nonce}\n".encode() + body + b"\n"
        key.verify(base64.b64decode(signature, validate=True), signed, PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError) as error:
        raise InvalidNotificationError("not WeChat's signature") from error
    if not re.fullmatch(r"[0-9]{1,12}", time_stamp) or abs(int(time_stamp) * clock.SECOND - now) > MAX_CLOCK_SKEW:
        raise InvalidNotificationError("not of these five minutes")


def decrypt_resource(merchant: Merchant, sealed: Mapping[str, str]) -> bytes:
    """Return what stands in a notice's `resource`. Raises BadNotice."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if sealed["algorithm"] != "AEAD_AES_256_GCM" or len(merchant.key.encode()) != 32:
        raise InvalidNotificationError("sealed in another way")
    try:
        nonce, bound = sealed["nonce"].encode(), sealed["associated_data"].encode()
        return AESGCM(merchant.key.encode()).decrypt(nonce, base64.b64decode(sealed["ciphertext"]), bound)
    except (InvalidTag, ValueError) as error:
        raise InvalidNotificationError("sealed with another key") from error


@lru_cache(maxsize=32)  # reading a key costs more than using it
def _load_private_key(pem: str) -> "RSAPrivateKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("no RSA key")
    return key


@lru_cache(maxsize=64)
def _load_public_key(pem: str) -> "RSAPublicKey":
    """Of a public key, or of a certificate."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from cryptography.x509 import load_pem_x509_certificate

    certified = "BEGIN CERTIFICATE" in pem
    key = load_pem_x509_certificate(pem.encode()).public_key() if certified else load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("no RSA key")
    return key
