"""Hash passwords with scrypt. The parameters are stored with each hash, so that they can be raised later."""

import base64
import hashlib
import hmac
import secrets

# 16 MB and 0.25 s: among the equivalent parameters that OWASP recommends, those that fit the smallest Lambda function.
# Source: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#scrypt
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
    """Return whether a password has the stored hash. Takes as long for an unknown user (None)."""
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
