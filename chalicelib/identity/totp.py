"""Time-based one-time passwords of authenticator apps: six digits, HMAC-SHA-1, a new one every 30 seconds.

Source: https://www.rfc-editor.org/rfc/rfc6238, https://www.rfc-editor.org/rfc/rfc4226#section-5.3, and for the URL
https://github.com/google/google-authenticator/wiki/Key-Uri-Format. Decided in docs/decisions/0022.
"""

import base64
import hmac
import secrets
from urllib.parse import quote, urlencode

from chalicelib import clock

STEP = 30 * clock.SECOND
DIGITS = 6
WINDOW = 1  # steps before and after the present one whose codes are accepted: clocks differ
SECRET_BYTES = 20  # as many as SHA-1 returns


def generate_secret() -> str:
    """Return a random secret in base32, without padding, as people type it."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def compute_code(secret: str, step: int) -> str:
    """Return the code of a time step, the number of half minutes since 1970."""
    digest = hmac.digest(base64.b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def find_step(secret: str, code: str) -> int | None:
    """Return the time step of a code, the present one or one beside it, or None for a wrong code."""
    present = clock.now() // STEP
    steps = range(present - WINDOW, present + WINDOW + 1)
    matching = [step for step in steps if hmac.compare_digest(compute_code(secret, step).encode(), code.encode())]
    return matching[-1] if matching else None


def build_url(secret: str, issuer: str, account: str) -> str:
    """Return the URL whose QR code an authenticator app scans."""
    return f"otpauth://totp/{quote(issuer)}:{quote(account)}?" + urlencode(
        {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP // clock.SECOND},
        quote_via=quote,
    )
