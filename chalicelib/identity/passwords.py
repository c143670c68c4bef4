"""Passwords as scrypt hashes; the parameters stand beside the hash, so that they can grow."""

import base64
import hashlib
import hmac
import secrets

# 16 MB and a quarter of a second: of OWASP's equal choices the one (N=2^14, r=8, p=5) that fits the smallest Lambda.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**14, 8, 5


def hash_password(password: str) -> bytes:
    """Return scrypt$N$r$p$salt$hash."""
    salt = secrets.token_bytes(16)
    return b"$".join(
        [
            b"scrypt",
            *(str(n).encode() for n in (SCRYPT_N, SCRYPT_R, SCRYPT_P)),
            _encode_base64(salt),
            _encode_base64(_derive_key(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P)),
        ]
    )


def matches(password: str, stored: bytes | None) -> bool:
    """Compare in constant time. An unknown person (None) costs as much as a wrong password."""
    _, n, r, p, salt, expected = (stored or _PLACEHOLDER_HASH).split(b"$")
    derived = _derive_key(password, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(derived, base64.b64decode(expected)) and stored is not None


def _derive_key(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=32)


def _encode_base64(raw: bytes) -> bytes:
    return base64.b64encode(raw)


_PLACEHOLDER_HASH = b"$".join(
    [
        b"scrypt",
        *(str(n).encode() for n in (SCRYPT_N, SCRYPT_R, SCRYPT_P)),
        _encode_base64(b"\0" * 16),
        _encode_base64(b"\0" * 32),
    ]
)
