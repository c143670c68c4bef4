"""KMS, which keeps the key that wraps our data keys: one call of the few that it knows.

boto3 would cost a cold start a quarter of a second for it; it is the oracle of the tests instead.
https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
"""

import base64
import json

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.settings import settings

TIMEOUT_SECONDS = 3.0  # seconds


class KmsError(Exception):
    """KMS would not decrypt: rights or settings are wrong, or this was wrapped by another key."""


def decrypt(wrapped: str, context: dict[str, str]) -> bytes:
    """Return what a ciphertext (base64) holds that was made with the same encryption context.

    ApiError(UNAVAILABLE) where KMS cannot be reached.
    """
    body = json.dumps({"CiphertextBlob": wrapped, "EncryptionContext": context}).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Decrypt"}
    keys = sigv4.SigningCredentials(
        settings.access_key, settings.secret_key, settings.session_token, settings.region, "kms"
    )
    origin = _get_origin()
    signed = sigv4.sign_headers(keys, sigv4.format_timestamp(clock.now()), origin.partition("://")[2], headers, body)
    status, _, answer = https.send_request("POST", f"{origin}/", signed, body, timeout=TIMEOUT_SECONDS)
    if status != 200:
        raise KmsError(f"decrypting answered {status}")
    return base64.b64decode(json.loads(answer)["Plaintext"])


def _get_origin() -> str:
    return settings.kms_endpoint_url.rstrip("/") or f"https://kms.{settings.region}.{sigv4.get_domain(settings.region)}"
