"""Notification of many principals at once, and the outbox job that notifies those of a conversation.

The job notifies large conversations, and smaller ones for which Redis could not be reached when the message was sent.
"""

import logging
from typing import Any

from chalicelib import logs
from chalicelib.adapters import mysql, redis
from chalicelib.adapters.mysql import Tx
from chalicelib.errors import ApiError
from chalicelib.messaging import feed, listings, membership_store, reading_store, socket_push
from chalicelib.messaging.feed import Event, EventKind
from chalicelib.messaging.models import ConversationKind, Message
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.settings import settings

logger = logging.getLogger(__name__)

BATCH_SIZE = 100  # feeds per round trip
MAX_WRITE_SECONDS = 3.0  # for which a job in Lambda waits for the sockets: it is suspended afterwards


def notify_later(tenant_id: int, event: Event) -> None:
    """Enqueue the job for a message or its withdrawal; the scheduled run takes it within a minute.

    The worker is not woken, because Redis is unavailable. Without MySQL the event is only logged as lost.
    """
    payload = {"kind": event["kind"], "conversation": event["conversation"], "seq": event["seq"]}
    try:
        outbox.enqueue(mysql.autocommit, tenant_id, Job.NOTIFY_CONVERSATION, payload)
    except ApiError as error:  # the message is committed and must not fail because of this
        ids = {"seq": event["seq"], **logs.describe_error(error.__cause__ or error)}
        logger.warning("notification not enqueued", extra={"ids": ids})


def notify_conversation(tenant_id: int, payload: dict[str, Any]) -> None:
    """Notify the participants of a message or its withdrawal. The job is repeated if Redis is unavailable.

    Args:
        payload: kind (of EventKind), conversation (public id), seq.
    """
    public_id = payload["conversation"]
    stored = reading_store.find_message(mysql.autocommit, tenant_id, public_id, payload["seq"])
    if stored is None:
        return
    mysql.run_transaction(lambda tx: _copy_to_participants(tx, tenant_id, public_id))
    is_withdrawal = payload["kind"] == EventKind.WITHDRAWN
    build_event = feed.build_withdrawn_event if is_withdrawal else feed.build_message_event
    notify(tenant_id, stored.recipients, build_event(public_id, stored), stored.message)


def _copy_to_participants(tx: Tx, tenant_id: int, public_id: str) -> None:
    conversation_id = membership_store.find_conversation_id(tx, tenant_id, public_id, tuple(ConversationKind))
    if conversation_id is not None:
        membership_store.lock_conversation(tx, conversation_id)
        listings.copy_to_participants(tx, tenant_id, [conversation_id])


def notify(tenant_id: int, principals: list[str], event: Event, message: Message | None = None) -> None:
    """Append an event to the feed of each principal, and write it to their open WebSockets.

    Args:
        message: the message that the event names.

    Raises:
        redis.RedisUnavailableError: some of them may have been notified, and are notified again with the others.
    """
    for start in range(0, len(principals), BATCH_SIZE):
        batch = principals[start : start + BATCH_SIZE]
        replies = redis.run_scripts(feed.build_publish_calls(tenant_id, batch, event))
        socket_push.push_events(tenant_id, feed.parse_published_events(batch, event, replies), message)
    if settings.in_lambda:
        socket_push.wait_until_written(MAX_WRITE_SECONDS)
