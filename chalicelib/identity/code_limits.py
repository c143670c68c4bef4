"""Limits of sending codes by SMS, counted in MySQL so that a flushed cache does not reset them.

Whoever requests codes uses up the quota of their own network, or of their account. For a phone, strangers have a quota
together in a hospital and one in all hospitals. Where the owner of the phone is known (known_networks.py), or signed
in, neither applies, and a hospital pays for their codes from another budget (docs/decisions/0026).

A rejected request uses up nothing that another one needs: neither a quota nor a budget.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import addresses, code_store, known_networks, quotas
from chalicelib.identity.code_store import Budget, CodeKey, CodePurpose
from chalicelib.identity.quotas import Quota
from chalicelib.people import phones
from chalicelib.people.roles import PersonKind
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

ALL_TENANTS = 0
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
DAY_SECONDS = 24 * HOUR_SECONDS
# Seconds and codes: for a phone from one network, for a phone from the account's sessions, and for a member.
LIMITS = [(MINUTE_SECONDS, 1), (HOUR_SECONDS, 5), (DAY_SECONDS, 10)]
STRANGERS_LIMITS = [(DAY_SECONDS, 20)]  # for a phone from all networks in which its owner is not known
KNOWN_LIMITS = [(DAY_SECONDS, 30)]  # for a phone from all networks in which its owner is known
DAILY_CODES_OF_ACCOUNT = 20  # for phones that are not the account's, or not known to it
OWNERS_BUDGET_FACTOR = 5  # owners may cause so many times as many codes as strangers
# Requested by the account's own session, for its phone.
OWNERS_PURPOSES = (CodePurpose.CHANGE_PHONE_OLD, CodePurpose.CLOSE_ACCOUNT)
# Nothing is sent for a phone without an account, or a person without a verified file.
HIDDEN_PURPOSES = (CodePurpose.RESET_PASSWORD, CodePurpose.VERIFY_MEMBER)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who requests a code."""

    network: str
    is_known: bool  # as the owner of the phone
    principal: str = ""  # of the account that is signed in, "" for a visitor


def identify_requester(key: CodeKey, address: str, principal: str) -> Requester:
    """Return who requests a code from an address, for a phone whose blind index is the key's subject."""
    network = addresses.get_network(address)
    is_known = known_networks.is_known(mysql.autocommit, key.tenant_id, PersonKind.PATIENT, key.subject, network)
    return Requester(network, is_known or key.purpose in OWNERS_PURPOSES, principal)


def name_phone(phone: str) -> str:
    """Return the subject of a phone's quota in all hospitals, keyed and hashed. Not inside a transaction."""
    return f"codes:{phones.compute_blind_index(ALL_TENANTS, phone).hex()}"


def choose_budget(purpose: str, requester: Requester) -> Budget:
    """Return what pays for a code."""
    if requester.is_known:
        return Budget.OWNERS
    return Budget.HIDDEN if purpose in HIDDEN_PURPOSES else Budget.STRANGERS


def require_recipient(tx: Tx, key: CodeKey, requester: Requester) -> None:
    """Raise ApiError 429 if the phone or member may not get another code from this requester. This writes nothing."""
    if key.purpose == CodePurpose.VERIFY_MEMBER:
        since = clock.now() - DAY_SECONDS * clock.SECOND
        _require_below(LIMITS, code_store.list_requests_of_subject(tx, key, since))
    else:
        _require_phone(tx, key, key.subject, requester)


def require_requester(tx: Tx, tenant_id: int, requester: Requester) -> None:
    """Raise ApiError 429 if the requester's network or account may request no codes. This writes nothing."""
    if not requester.is_known:
        _require_no_wait(quotas.find_wait(tx, *_get_quota(tenant_id, requester)))


def use(tx: Tx, key: CodeKey, requester: Requester, phone_subject: str, *, is_human: bool = False) -> None:
    """Check the limits of a request for a code, and use up those that are not counted by its row in code_requests.

    The tenant must be locked (code_store.lock_tenant).

    Args:
        phone_subject: see `name_phone`; "" if the phone is still to be determined.
        is_human: a captcha has been solved: the quota of the network does not apply.

    Raises:
        ApiError: 429 above one of them; the transaction must be rolled back.
    """
    require_recipient(tx, key, requester)
    budget = choose_budget(key.purpose, requester)
    if budget is not Budget.HIDDEN:
        _require_budget(tx, key.tenant_id, budget)
    if phone_subject and not requester.is_known:
        _use_phone_quota(tx, phone_subject)
    if not (requester.is_known or is_human):
        _require_no_wait(quotas.use(tx, *_get_quota(key.tenant_id, requester)))


def charge(tx: Tx, key: CodeKey, request_id: int, phone_blind: bytes, phone_subject: str, network: str) -> None:
    """Charge an accepted request of Budget.HIDDEN whose code the job is about to send.

    The requester, who does not learn of it, must not send the code if this raises an error.

    Args:
        phone_subject: see `name_phone`; "" for a phone whose limits were checked when the code was requested.

    Raises:
        ApiError: 429 if the budget is used up, or above the limits of the phone; the transaction must be rolled back.
    """
    code_store.lock_tenant(tx, key.tenant_id)
    requester = Requester(network, is_known=False)
    if phone_subject:
        is_known = known_networks.is_known(tx, key.tenant_id, PersonKind.PATIENT, phone_blind, network)
        requester = Requester(network, is_known)
        _require_phone(tx, key, phone_blind, requester)
        if not is_known:
            _use_phone_quota(tx, phone_subject)
    budget = choose_budget(key.purpose, requester)
    _require_budget(tx, key.tenant_id, budget)
    code_store.charge(tx, key.tenant_id, request_id, phone_blind, budget)


def needs_captcha(tx: Tx, key: CodeKey, requester: Requester) -> bool:
    """Return whether only people may request further codes, if the installation has captchas.

    That is when the network has used up its quota, or had too many requests rejected, or as many codes of the hospital
    were requested in the last hour as half of a budget.
    """
    half = -(-settings.hourly_codes_per_hospital // 2)
    requested = code_store.count_requests(tx, key.tenant_id, clock.now() - HOUR_SECONDS * clock.SECOND)
    quota = _get_network_quota()
    return (
        requested >= half
        or quotas.find_wait(tx, ALL_TENANTS, _name_quota(requester), quota) > 0
        or quotas.find_wait(tx, ALL_TENANTS, _name_rejections(requester), quota) > 0
    )


def count_rejection(requester: Requester, error: ApiError) -> None:
    """Count a rejected request against its network.

    If there were too many, only further rejections are affected: their Retry-After is longer, and they write nothing.
    """
    subject, quota = _name_rejections(requester), _get_network_quota()

    def count(tx: Tx) -> None:
        _require_no_wait(quotas.find_wait(tx, ALL_TENANTS, subject, quota))
        _require_no_wait(quotas.use(tx, ALL_TENANTS, subject, quota))

    try:
        mysql.run_transaction(count)
    except ApiError as used_up:
        if error.retry_after is not None:
            error.retry_after = max(error.retry_after, used_up.retry_after or 0)


def _require_phone(tx: Tx, key: CodeKey, phone_blind: bytes, requester: Requester) -> None:
    since = clock.now() - DAY_SECONDS * clock.SECOND
    requests = code_store.list_requests_for_phone(tx, key.tenant_id, phone_blind, since)
    if key.purpose in OWNERS_PURPOSES:
        _require_below(LIMITS, [one.requested_at for one in requests if one.purpose in OWNERS_PURPOSES])
        return
    requests = [one for one in requests if one.purpose not in OWNERS_PURPOSES]
    _require_below(LIMITS, [one.requested_at for one in requests if one.network == requester.network])
    limits = KNOWN_LIMITS if requester.is_known else STRANGERS_LIMITS
    _require_below(limits, [one.requested_at for one in requests if one.is_known == requester.is_known])


def _use_phone_quota(tx: Tx, phone_subject: str) -> None:
    limit = settings.daily_codes_per_phone
    _require_no_wait(quotas.use(tx, ALL_TENANTS, phone_subject, Quota(limit, DAY_SECONDS * clock.SECOND // limit)))


def _require_budget(tx: Tx, tenant_id: int, budget: Budget) -> None:
    """Raise ApiError 429 if as many codes were charged to a budget in the last hour as it permits."""
    charged = code_store.count_charged(tx, tenant_id, clock.now() - HOUR_SECONDS * clock.SECOND)
    limit = settings.hourly_codes_per_hospital
    if sum(charged.values()) >= limit:
        ids = {"tenant_id": tenant_id} | {str(one): count for one, count in charged.items()}
        logger.warning("sms budget used up", extra={"ids": ids})  # raises an alarm
    if budget is Budget.OWNERS:
        limit *= OWNERS_BUDGET_FACTOR
    if charged.get(budget, 0) >= limit:
        oldest = code_store.find_charged_time(tx, tenant_id, budget, limit)
        wait = max(oldest + HOUR_SECONDS * clock.SECOND - clock.now(), 1)
        _require_no_wait(wait, "医院的短信发送量已达上限，请稍后再试")


def _require_below(limits: Sequence[tuple[int, int]], times: Sequence[int]) -> None:
    """Raise ApiError 429 if there are as many requests as one of the limits permits.

    Args:
        times: instants of earlier requests, the first one first.
    """
    now = clock.now()
    for seconds, limit in limits:
        recent = [at for at in times if at > now - seconds * clock.SECOND]
        if len(recent) >= limit:
            _require_no_wait(recent[-limit] + seconds * clock.SECOND - now)


def _require_no_wait(wait: int, text: str = "验证码发送太频繁，请稍后再试") -> None:
    """Raise ApiError 429 if the requester has to wait for so many microseconds."""
    if wait:
        raise ApiError(errors.TOO_MANY_REQUESTS, text, retry_after=-(-wait // clock.SECOND))


def _get_quota(tenant_id: int, requester: Requester) -> tuple[int, str, Quota]:
    """Return the quota of a requester: tenant, subject, size. An account has its own, whatever its network does."""
    if requester.principal:
        quota = Quota(DAILY_CODES_OF_ACCOUNT, DAY_SECONDS * clock.SECOND // DAILY_CODES_OF_ACCOUNT)
        return tenant_id, f"codes:{requester.principal}", quota
    return ALL_TENANTS, _name_quota(requester), _get_network_quota()


def _name_quota(requester: Requester) -> str:
    return f"codes:{requester.network}"


def _name_rejections(requester: Requester) -> str:
    return f"rejected:{requester.network}"


def _get_network_quota() -> Quota:
    limit = settings.hourly_codes_per_address
    return Quota(limit, HOUR_SECONDS * clock.SECOND // limit)
