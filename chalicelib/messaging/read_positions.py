"""Read positions: a participant has read a conversation up to a message, which the others are notified of."""

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.messaging import feed, reading_store, recent_cache, socket_push
from chalicelib.messaging.recent_cache import MessagePage


def mark_read(public_id: str, page: MessagePage) -> None:
    """Move the participant's read position to the end of a page, and notify the participants if it moves."""
    state = page.participant
    if state is None or state.read_seq >= page.last_seq:
        return
    moved = reading_store.advance_read_position(mysql.autocommit, public_id, state.principal, page.last_seq)
    if moved is None:
        return
    new_state, recipients = moved
    event = feed.build_read_event(public_id, page.messages[0].id, state.principal, clock.now())
    replies = redis.try_scripts(
        [
            recent_cache.build_set_participant_call(public_id, page.version, new_state),
            *feed.build_publish_calls(page.tenant_id, recipients, event),
        ]
    )
    if replies is None:
        recent_cache.distrust(public_id)
    else:
        socket_push.push_events(page.tenant_id, feed.parse_published_events(recipients, event, replies[1:]))
