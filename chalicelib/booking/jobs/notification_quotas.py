"""How many messages a person and a hospital get in a day, by channel; the quotas come back continuously.

Messages that must arrive have quotas of their own: what patients cause by booking and cancelling, however often, takes
nothing from them. A person is an account, whose notifications only the account itself and the hospital can cause.
"""

import logging
from enum import StrEnum

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.identity import quotas
from chalicelib.identity.quotas import Quota
from chalicelib.settings import settings

logger = logging.getLogger(__name__)


class Channel(StrEnum):
    """A channel with quotas."""

    WECHAT = "wechat"
    SMS = "sms"


class QuotaUsedUpError(Exception):
    """A person or a hospital has used up its quota: the transaction is to be rolled back."""


def use(tx: Tx, tenant_id: int, channel: Channel, user_id: int, must_arrive: bool) -> None:
    """Use the quotas of a person and of the hospital once.

    Raises:
        QuotaUsedUpError: one of them is used up.
    """
    for subject, quota in _list_quotas(channel, user_id, must_arrive):
        if quotas.use(tx, tenant_id, subject, quota):
            if subject.endswith((":must", ":other")):  # of the hospital
                ids = {"tenant_id": tenant_id, "channel": channel, "must_arrive": must_arrive}
                logger.warning("notification quota used up", extra={"ids": ids})  # raises an alarm
            raise QuotaUsedUpError(channel)


def give_back(tx: Tx, tenant_id: int, channel: Channel, user_id: int, must_arrive: bool) -> None:
    """Undo `use`: nothing was sent."""
    for subject, quota in _list_quotas(channel, user_id, must_arrive):
        quotas.give_back(tx, tenant_id, quota, subject)


def _list_quotas(channel: Channel, user_id: int, must_arrive: bool) -> list[tuple[str, Quota]]:
    limits = settings.notifications
    of_person, of_hospital = {
        Channel.WECHAT: (limits.wechat_of_person, limits.wechat_of_hospital),
        Channel.SMS: (limits.sms_of_person, limits.sms_of_hospital),
    }[channel]
    subject = f"notify:{channel}:{'must' if must_arrive else 'other'}"
    return [(f"{subject}:{user_id}", _build_daily(of_person)), (subject, _build_daily(of_hospital))]


def _build_daily(count: int) -> Quota:
    return Quota(count, clock.DAY // count)
