"""KMS client: decrypt the data keys of crypto/field_encryption.py.

boto3, which would add 0.25 s to a cold start, is only used in tests, which compare the requests.
"""

import base64
import json

from chalicelib import clock
from chalicelib.adapters import https
from chalicelib.adapters.aws import sigv4
from chalicelib.settings import settings

TIMEOUT_SECONDS = 3.0  # for connecting, and for each read


class KmsError(Exception):
    """KMS rejected a request: missing permissions, wrong settings or a ciphertext of another key."""


def decrypt(ciphertext: str, context: dict[str, str]) -> bytes:
    """Return the plaintext of a ciphertext.

    Args:
        ciphertext: base64, as returned by Encrypt or GenerateDataKey.
        context: the encryption context with which it was created.

    Raises:
        KmsError: KMS rejected the request.
        ApiError: 503 if KMS cannot be reached.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
    """
    body = json.dumps({"CiphertextBlob": ciphertext, "EncryptionContext": context}).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "TrentService.Decrypt"}
    credentials = sigv4.load_credentials(settings, "kms")
    timestamp, origin = sigv4.format_timestamp(clock.now()), _get_origin()
    signed = sigv4.sign_headers(credentials, timestamp, origin.partition("://")[2], headers, body)
    status, _, content = https.send_request("POST", f"{origin}/", signed, body, timeout=TIMEOUT_SECONDS)
    if status != 200:
        raise KmsError(f"Decrypt returned {status}")
    return base64.b64decode(json.loads(content)["Plaintext"])


def _get_origin() -> str:
    return settings.kms_endpoint_url.rstrip("/") or f"https://kms.{settings.region}.{sigv4.get_domain(settings.region)}"
