"""Captchas, which a network needs for more than a few codes by SMS in a day, if the installation has them.

A solved one also passes a network's used-up quota: others in it then do not keep its user from a code. If Tencent can
not verify them, codes are sent without: the other limits (code_limits.py) remain.
"""

import logging
from dataclasses import dataclass
from enum import Enum, auto

from chalicelib import clock, errors, logs
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import code_limits, quotas
from chalicelib.identity.code_limits import ALL_TENANTS, Requester
from chalicelib.identity.code_store import CodeKey, CodePurpose
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


class Proof(Enum):
    """Why a request for a code is accepted, as far as captchas are concerned."""

    NOT_NEEDED = auto()  # no captchas, or a signed-in user
    FREE = auto()  # the network has codes left that it gets without a captcha: `use_free_code`
    SOLVED = auto()
    NOT_VERIFIED = auto()  # Tencent has failed


def require(key: CodeKey, requester: Requester, captcha: Captcha | None, address: str) -> Proof:
    """Check the captcha of a request, if it needs one.

    Whether it does depends on the network and the hospital, not on the phone: the response would reveal to others in a
    network whether the owner of a phone is known there.

    Raises:
        ApiError: 403 without a captcha, or if it is not solved.
    """
    if not settings.captcha.app_id or key.purpose not in VISITORS_PURPOSES:
        return Proof.NOT_NEEDED
    free_codes_wait = quotas.find_wait(mysql.autocommit, ALL_TENANTS, *_get_quota(requester))
    if not code_limits.needs_captcha(mysql.autocommit, key, requester) and not free_codes_wait:
        return Proof.FREE
    if captcha is None:
        raise ApiError(errors.CAPTCHA_REQUIRED)
    return _check(captcha, address)


def use_free_code(tx: Tx, requester: Requester) -> None:
    """Use up one of the codes that a network gets without a captcha.

    Raises:
        ApiError: 403 if concurrent requests have used them up; the transaction must be rolled back.
    """
    if quotas.use(tx, ALL_TENANTS, *_get_quota(requester)):
        raise ApiError(errors.CAPTCHA_REQUIRED)


def _check(captcha: Captcha, address: str) -> Proof:
    from chalicelib.adapters import tencent_captcha  # which few installations use

    try:
        is_solved = tencent_captcha.is_solved(captcha.ticket, captcha.randstr, address)
    except (tencent_captcha.CaptchaError, ApiError) as error:
        logger.warning("captcha not verified", extra={"ids": logs.describe_error(error)})  # raises an alarm
        return Proof.NOT_VERIFIED
    if not is_solved:
        raise ApiError(errors.CAPTCHA_REQUIRED, NOT_SOLVED_TEXT)
    return Proof.SOLVED


def _get_quota(requester: Requester) -> tuple[str, Quota]:
    burst = settings.captcha.daily_free_codes
    return f"captcha:{requester.network}", Quota(burst, clock.DAY // burst)
