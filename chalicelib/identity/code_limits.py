"""Limits of sending codes by SMS, counted in MySQL so that a flushed cache does not reset them.

Whoever requests codes uses up the quota of their own network. For a phone, strangers have a quota together in a
hospital and one in all hospitals, and a hospital has a budget. Where the owner of the phone is known
(known_networks.py), only the network's limits for this phone apply (docs/decisions/0026).
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from chalicelib import clock, errors
from chalicelib.adapters import mysql
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.identity import addresses, code_store, known_networks, quotas
from chalicelib.identity.code_store import CodeKey, CodePurpose
from chalicelib.identity.quotas import Quota
from chalicelib.people import phones
from chalicelib.people.roles import PersonKind
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

ALL_TENANTS = 0
MINUTE_SECONDS, HOUR_SECONDS = 60, 3600
DAY_SECONDS = 24 * HOUR_SECONDS
# Seconds and codes: for a phone from one network, and for a member.
LIMITS = [(MINUTE_SECONDS, 1), (HOUR_SECONDS, 5), (DAY_SECONDS, 10)]
STRANGERS_LIMITS = [(DAY_SECONDS, 20)]  # for a phone from all networks in which its owner is not known
# Requested by the account's own session, for its phone.
OWNERS_PURPOSES = (CodePurpose.CHANGE_PHONE_OLD, CodePurpose.CLOSE_ACCOUNT)


@dataclass(frozen=True, slots=True)
class Requester:
    """Who requests a code."""

    network: str
    is_known: bool  # as the owner of the phone


def identify_requester(key: CodeKey, address: str) -> Requester:
    """Return who requests a code from an address, for a phone whose blind index is the key's subject."""
    network = addresses.get_network(address)
    is_known = known_networks.is_known(mysql.autocommit, key.tenant_id, PersonKind.PATIENT, key.subject, network)
    return Requester(network, is_known or key.purpose in OWNERS_PURPOSES)


def name_phone(phone: str) -> str:
    """Return the subject of a phone's quota in all hospitals, keyed and hashed. Not inside a transaction."""
    return f"codes:{phones.compute_blind_index(ALL_TENANTS, phone).hex()}"


def require_network(tx: Tx, requester: Requester) -> None:
    """Raise ApiError 429 if the network may request no codes. This writes nothing."""
    if not requester.is_known:
        _require_no_wait(quotas.find_wait(tx, ALL_TENANTS, *_get_network_quota(requester)))


def use(tx: Tx, key: CodeKey, requester: Requester, phone_subject: str) -> None:
    """Check the limits of a request for a code, and use up those that are not counted by its row in code_requests.

    The tenant must be locked (code_store.lock_tenant).

    Args:
        phone_subject: see `name_phone`; "" if the phone is still to be determined.

    Raises:
        ApiError: 429 above one of them; the transaction must be rolled back.
    """
    if key.purpose == CodePurpose.VERIFY_MEMBER:
        _require_below(LIMITS, code_store.list_requests_of_subject(tx, key, clock.now() - DAY_SECONDS * clock.SECOND))
    else:
        _require_phone(tx, key.tenant_id, key.subject, requester, phone_subject)
    if not requester.is_known:
        _require_budget(tx, key.tenant_id)
        _require_no_wait(quotas.use(tx, ALL_TENANTS, *_get_network_quota(requester)))


def count_rejection(requester: Requester) -> None:
    """Count a rejected request against its network, unless that is locked."""
    if requester.is_known:
        return

    def count(tx: Tx) -> None:
        require_network(tx, requester)
        _require_no_wait(quotas.use(tx, ALL_TENANTS, *_get_network_quota(requester)))

    with suppress(ApiError):
        mysql.run_transaction(count)


def assign_phone(tx: Tx, tenant_id: int, request_id: int, phone_blind: bytes, phone_subject: str, network: str) -> None:
    """Count an accepted request for a phone that the job has found. Raises ApiError 429 above the phone's limits."""
    code_store.lock_tenant(tx, tenant_id)
    is_known = known_networks.is_known(tx, tenant_id, PersonKind.PATIENT, phone_blind, network)
    _require_phone(tx, tenant_id, phone_blind, Requester(network, is_known), phone_subject)
    code_store.assign_phone(tx, tenant_id, request_id, phone_blind)


def _require_phone(tx: Tx, tenant_id: int, phone_blind: bytes, requester: Requester, phone_subject: str) -> None:
    since = clock.now() - DAY_SECONDS * clock.SECOND
    requests = code_store.list_requests_for_phone(tx, tenant_id, phone_blind, since)
    _require_below(LIMITS, [one.requested_at for one in requests if one.network == requester.network])
    if not requester.is_known:
        strangers = [one for one in requests if not one.is_known and one.purpose not in OWNERS_PURPOSES]
        _require_below(STRANGERS_LIMITS, [one.requested_at for one in strangers])
        limit = settings.daily_codes_per_phone
        quota = Quota(limit, DAY_SECONDS * clock.SECOND // limit)
        _require_no_wait(quotas.use(tx, ALL_TENANTS, phone_subject, quota))


def _require_budget(tx: Tx, tenant_id: int) -> None:
    """Raise ApiError 429 if the hospital has sent as many codes in the last hour as its budget permits."""
    oldest = code_store.find_request_time(tx, tenant_id, settings.hourly_codes_per_hospital)
    wait = oldest + HOUR_SECONDS * clock.SECOND - clock.now()
    if wait > 0:
        logger.warning("sms budget used up", extra={"ids": {"tenant_id": tenant_id}})  # raises an alarm
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


def _get_network_quota(requester: Requester) -> tuple[str, Quota]:
    limit = settings.hourly_codes_per_address
    return f"codes:{requester.network}", Quota(limit, HOUR_SECONDS * clock.SECOND // limit)
