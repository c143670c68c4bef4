"""Limits of sending codes by SMS, counted in MySQL so that a flushed cache does not reset them.

Whoever requests codes uses up the quota of their own network. For a phone, strangers have a quota together; where its
owner is known (known_networks.py), neither that one nor the network's limit applies (docs/decisions/0026).
"""

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
from chalicelib.people.roles import PersonKind
from chalicelib.settings import settings

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


def require_network(tx: Tx, requester: Requester) -> None:
    """Raise ApiError 429 if the network may request no codes. This writes nothing."""
    if not requester.is_known:
        _require_no_wait(quotas.find_wait(tx, ALL_TENANTS, *_get_network_quota(requester)))


def use(tx: Tx, key: CodeKey, requester: Requester) -> None:
    """Check the limits of a request for a code, and use up those that are not counted by its row in code_requests.

    The tenant must be locked (code_store.lock_tenant).

    Raises:
        ApiError: 429 above one of them; the transaction must be rolled back.
    """
    if key.purpose == CodePurpose.VERIFY_MEMBER:
        _require_below(LIMITS, code_store.list_requests_of_subject(tx, key, clock.now() - DAY_SECONDS * clock.SECOND))
    else:
        _require_phone(tx, key.tenant_id, key.subject, requester)
    if not requester.is_known:
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


def assign_phone(tx: Tx, tenant_id: int, request_id: int, phone_blind: bytes, network: str) -> bool:
    """Count an accepted request for a phone that the job has found; return False if the phone's limits are reached."""
    code_store.lock_tenant(tx, tenant_id)
    is_known = known_networks.is_known(tx, tenant_id, PersonKind.PATIENT, phone_blind, network)
    try:
        _require_phone(tx, tenant_id, phone_blind, Requester(network, is_known))
    except ApiError:
        return False
    code_store.assign_phone(tx, tenant_id, request_id, phone_blind)
    return True


def _require_phone(tx: Tx, tenant_id: int, phone_blind: bytes, requester: Requester) -> None:
    since = clock.now() - DAY_SECONDS * clock.SECOND
    requests = code_store.list_requests_for_phone(tx, tenant_id, phone_blind, since)
    _require_below(LIMITS, [one.requested_at for one in requests if one.network == requester.network])
    if not requester.is_known:
        strangers = [one for one in requests if not one.is_known and one.purpose not in OWNERS_PURPOSES]
        _require_below(STRANGERS_LIMITS, [one.requested_at for one in strangers])


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


def _require_no_wait(wait: int) -> None:
    """Raise ApiError 429 if the requester has to wait for so many microseconds."""
    if wait:
        retry_after = -(-wait // clock.SECOND)
        raise ApiError(errors.TOO_MANY_REQUESTS, "验证码发送太频繁，请稍后再试", retry_after=retry_after)


def _get_network_quota(requester: Requester) -> tuple[str, Quota]:
    limit = settings.hourly_codes_per_address
    return f"codes:{requester.network}", Quota(limit, HOUR_SECONDS * clock.SECOND // limit)
