"""Captchas, which a network needs for more than a few codes by SMS in a day, if the installation has them.

If Tencent cannot verify them, codes are sent without: the other limits (code_limits.py) remain.
"""

import logging
from dataclasses import dataclass

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import quotas
from chalicelib.identity.code_limits import ALL_TENANTS, Requester
from chalicelib.identity.code_store import CodePurpose
from chalicelib.identity.quotas import Quota
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

VISITORS_PURPOSES = (CodePurpose.SIGN_UP, CodePurpose.RESET_PASSWORD)  # the others are requested by signed-in users
NOT_SOLVED_TEXT = "图形验证未通过或已过期，请重新验证"


@dataclass(frozen=True, slots=True)
class Captcha:
    """What Tencent's script gave to the page when the user had solved a captcha."""

    ticket: str
    randstr: str


def may_be_required(purpose: str, requester: Requester) -> bool:
    """Return whether a request for a code may need a captcha. None does where the owner of the phone is known."""
    return bool(settings.captcha.app_id) and purpose in VISITORS_PURPOSES and not requester.is_known


def require(requester: Requester, captcha: Captcha | None, address: str) -> bool:
    """Check the captcha of a request, if its network has used up the codes that it gets without one.

    Returns:
        False if it has not: the request uses one, see `use_free_code`.

    Raises:
        ApiError: 403 without a captcha, or if it is not solved.
    """
    if not quotas.find_wait(mysql.autocommit, ALL_TENANTS, *_get_quota(requester)):
        return False
    if captcha is None:
        raise ApiError(errors.CAPTCHA_REQUIRED)
    if not _is_solved(captcha, address):
        raise ApiError(errors.CAPTCHA_REQUIRED, NOT_SOLVED_TEXT)
    return True


def use_free_code(tx: Tx, requester: Requester) -> None:
    """Use up one of the codes that a network gets without a captcha.

    Raises:
        ApiError: 403 if concurrent requests have used them up; the transaction must be rolled back.
    """
    if quotas.use(tx, ALL_TENANTS, *_get_quota(requester)):
        raise ApiError(errors.CAPTCHA_REQUIRED)


def _is_solved(captcha: Captcha, address: str) -> bool:
    from chalicelib.adapters import tencent_captcha  # which few installations use

    try:
        return tencent_captcha.is_solved(captcha.ticket, captcha.randstr, address)
    except (tencent_captcha.CaptchaError, ApiError) as error:
        logger.warning("captcha not verified", extra={"ids": logs.describe_error(error)})  # raises an alarm
        return True


def _get_quota(requester: Requester) -> tuple[str, Quota]:
    burst = settings.captcha.daily_free_codes
    return f"captcha:{requester.network}", Quota(burst, clock.DAY // burst)
