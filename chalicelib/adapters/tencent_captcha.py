"""Ask Tencent Cloud whether a person has solved a captcha.

Source: https://cloud.tencent.com/document/product/1110/36926
"""

import json
import logging
from typing import Any

from chalicelib import clock
from chalicelib.adapters import cloud_signing, https
from chalicelib.adapters.cloud_signing import AccessKey
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2.0  # for connecting, and for each read: a request waits for it
SOLVED, EVIL = 1, 100  # CaptchaCode; EvilLevel, of captchas without interaction
CAPTCHA_TYPE = 9  # the only one; what the user sees is set in Tencent's console
RANDSTR_MISMATCH, EXPIRED, REUSED, INVALID, RECOVERY = 7, 8, 9, 15, 21
# What users and attackers cause every day. Other codes (16, 100) are also those of a wrong app id or AppSecretKey.
UNSOLVED = (SOLVED, RANDSTR_MISMATCH, EXPIRED, REUSED, INVALID, RECOVERY)
# Error codes that what the client has sent can cause: whoever sends nonsense has solved nothing.
CLIENT_ERRORS = ("InvalidParameter", "MissingParameter", "UnknownParameter", "RequestSizeLimitExceeded")


class CaptchaError(Exception):
    """Tencent did not verify a captcha.

    Attributes:
        provider_code: Tencent's error code, such as AuthFailure.SecretIdNotFound, or "unknown".
    """

    def __init__(self, code: object) -> None:
        known = isinstance(code, str) and code.replace(".", "").isascii() and code.replace(".", "").isalpha()
        self.provider_code = code if known else "unknown"
        super().__init__(self.provider_code)


def is_solved(ticket: str, randstr: str, address: str) -> bool:
    """Return whether the ticket is valid. Each is valid once, for five minutes.

    A rejection that wrong settings of ours can cause as well as nonsense raises an alarm.

    Args:
        ticket, randstr: what Tencent's script gave to the page.
        address: the client's IP address.

    Raises:
        CaptchaError: Tencent rejected our request, or failed.
        ApiError: 503 if Tencent cannot be reached.
    """
    captcha = settings.captcha
    body = {
        "CaptchaType": CAPTCHA_TYPE,
        "Ticket": ticket,
        "Randstr": randstr,
        "UserIp": address,
        "CaptchaAppId": int(captcha.app_id),
        "AppSecretKey": captcha.app_secret,
    }
    url, content = captcha.endpoint_url or "https://captcha.tencentcloudapi.com", json.dumps(body).encode()
    key = AccessKey(captcha.key_id, captcha.key_secret)
    headers = cloud_signing.sign_tencent_request(
        key, url, "DescribeCaptchaResult", "2019-07-22", "captcha", content, clock.now()
    )
    _, _, response = https.send_request("POST", url, headers, content, timeout=TIMEOUT_SECONDS)
    result = _parse_result(response)
    if not isinstance(result.get("CaptchaCode"), int):
        code = result["Error"].get("Code") if isinstance(result.get("Error"), dict) else None
        if isinstance(code, str) and code.startswith(CLIENT_ERRORS):
            _report_rejection(code)
            return False
        raise CaptchaError(code)
    if result["CaptchaCode"] not in UNSOLVED:
        _report_rejection(result["CaptchaCode"])
    return result["CaptchaCode"] == SOLVED and result.get("EvilLevel") != EVIL


def _report_rejection(code: str | int) -> None:
    logger.warning("captcha rejected", extra={"ids": {"captcha_code": code}})  # raises an alarm


def _parse_result(response: bytes) -> dict[str, Any]:
    try:
        result = json.loads(response)["Response"]
    except (ValueError, KeyError, TypeError):
        result = None
    return result if isinstance(result, dict) else {}
