"""Membership changes of which Redis learns late or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.adapters import mysql, redis
from chalicelib.messaging import read_positions, reading, recent_cache
from tests.support.conversation_log import build_redis_keys
from tests.support.factories import Hospital
from tests.support.faults.final_state import age_cache
from tests.support.faults.interleaving import as_other_process, delay_read_positions
from tests.support.gateway_client import (
    ExternalUser,
    add_participants,
    archive,
    count_unread,
    create_conversation,
    get_last_30,
    join,
    leave,
    list_contents,
    remove_participants,
    send,
    send_all,
)

pytestmark = pytest.mark.store


def test_refill_read_before_removal_does_not_restore_access(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Han's request has read MySQL and reaches Redis after Han was removed."""
    redis.get_client().flushall()
    build_refill_call = recent_cache.build_refill_call

    def remove_first(*arguments: Any) -> Any:
        with monkeypatch.context() as now:
            now.setattr(recent_cache, "build_refill_call", build_refill_call)
            remove_participants(hospital, conversation, han)
        return build_refill_call(*arguments)

    with monkeypatch.context() as slow:
        slow.setattr(recent_cache, "build_refill_call", remove_first)
        assert list_contents(get_last_30(han, conversation)) == ["一", "二"]  # the request began before the removal
    assert get_last_30(han, conversation).status == 404
    assert list_contents(get_last_30(guo, conversation)) == ["一", "二"]


def test_state_confirmed_before_removal_does_not_restore_access(
    hospital: Hospital, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    age_cache(conversation)
    build_confirm_call = recent_cache.build_confirm_call

    def remove_first(*arguments: Any) -> Any:
        remove_participants(hospital, conversation, han)
        return build_confirm_call(*arguments)

    with monkeypatch.context() as slow:
        slow.setattr(recent_cache, "build_confirm_call", remove_first)
        get_last_30(han, conversation)
    assert get_last_30(han, conversation).status == 404


def test_read_position_moved_before_removal_does_not_restore_access(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_all(guo, conversation, "三")
    with delay_read_positions(monkeypatch) as late:
        get_last_30(han, conversation)
    remove_participants(hospital, conversation, han)
    redis.run_script(*late[0])
    assert get_last_30(han, conversation).status == 404


def test_removal_without_redis_holds_here_at_once_and_elsewhere_within_ten_seconds(
    hospital: Hospital, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_other_process(monkeypatch, cut=True):
        remove_participants(hospital, conversation, han)
        assert get_last_30(han, conversation).status == 404
    assert send(han, conversation, "我").status == 404
    age_cache(conversation)
    assert get_last_30(han, conversation).status == 404


def test_removal_without_redis_holds_when_redis_is_back(
    hospital: Hospital, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as cut:
        cut.setattr(redis, "_call_driver", lambda *_: raise_unavailable())
        remove_participants(hospital, conversation, han)
    assert get_last_30(han, conversation).status == 404


def raise_unavailable() -> None:
    raise redis.RedisUnavailableError("cut")


def test_removal_whose_cache_update_is_lost_is_protected_by_write_intent(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_other_process(monkeypatch):
        monkeypatch.setattr(redis, "try_script", skip_cache_removal(redis.try_script))
        remove_participants(hospital, conversation, han)
    assert get_last_30(han, conversation).status == 404
    assert list_contents(get_last_30(guo, conversation)) == ["一", "二"]


def skip_cache_removal(try_script: Callable[..., bool]) -> Callable[..., bool]:
    return lambda script, *rest, **more: (
        script is not recent_cache._REMOVE_PARTICIPANTS and try_script(script, *rest, **more)
    )


@pytest.mark.parametrize("flush", [False, True])
def test_messages_sent_during_absence_are_not_unread(
    hospital: Hospital, guo: ExternalUser, han: ExternalUser, conversation: str, flush: bool
) -> None:
    send_all(guo, conversation, "三")
    remove_participants(hospital, conversation, han)
    send_all(guo, conversation, "四", "五")
    add_participants(hospital, conversation, han)
    if flush:
        redis.get_client().flushall()
    assert count_unread(han, conversation) == 0
    send_all(guo, conversation, "六")
    send_all(han, conversation, "七")
    assert (count_unread(han, conversation), count_unread(guo, conversation)) == (1, 1)
    assert list_contents(get_last_30(han, conversation))[-3:] == ["五", "六", "七"]
    assert count_unread(han, conversation) == 0


def test_page_read_before_leaving_does_not_count_after_rejoining(
    guo: ExternalUser, han: ExternalUser, conversation: str
) -> None:
    send_all(guo, conversation, "三")
    page, _ = reading.fetch_newest_page(conversation, han.principal, 30)
    leave(han, conversation)
    send_all(guo, conversation, "四")
    read_positions.mark_read(conversation, page)
    join(han, conversation)
    assert count_unread(han, conversation) == 0


def test_uncached_participant_state_is_loaded_once(
    guo: ExternalUser, han: ExternalUser, conversation: str, mysql_reads: list[str]
) -> None:
    """The states of others stay cached: a large conversation is not refilled by each reader."""
    leave(han, conversation)
    join(han, conversation)
    get_last_30(guo, conversation)
    mysql_reads.clear()
    for _ in range(3):
        assert (
            list_contents(get_last_30(han, conversation))
            == list_contents(get_last_30(guo, conversation))
            == ["一", "二"]
        )
    assert mysql_reads == ["fetch_head"]


def test_read_by_other_user_keeps_cache_fresh(
    hospital: Hospital, guo: ExternalUser, conversation: str, mysql_reads: list[str]
) -> None:
    for _ in range(2):
        assert get_last_30(hospital.wang, conversation).status == 404
    mysql_reads.clear()
    assert list_contents(get_last_30(guo, conversation)) == ["一", "二"]
    assert mysql_reads == []


def test_rejected_change_leaves_no_write_intent_and_no_participant(
    hospital: Hospital, han: ExternalUser, guo: ExternalUser
) -> None:
    conversation = create_conversation(guo)
    archive(hospital, conversation)
    assert join(han, conversation).status == 403
    assert redis.get_client().zcard(build_redis_keys(conversation)[2]) == 0
    count = "SELECT COUNT(*) FROM participants WHERE tenant_id = %(tenant_id)s"
    assert mysql.autocommit.fetch_value(count, tenant_id=hospital.tenant_id) == 1
