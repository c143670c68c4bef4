import pytest

from chalicelib import clock
from chalicelib.adapters import mysql, redis
from chalicelib.errors import ApiError
from chalicelib.messaging import log, reading
from tests.support.conversation_log import SendMessage, build_redis_keys, count_unread, read_newest
from tests.support.factories import Person


def test_withdrawn_message_keeps_place_and_loses_text(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    send_message("嗯？", chen)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert read_newest(conversation, chen) == ["嗯？", ""]
    redis.get_client().flushall()
    assert read_newest(conversation, chen) == ["嗯？", ""]
    later = send_message("好", chen)
    assert [m.content for m in reading.list_older(conversation, later.id, 10)] == ["嗯？", ""]
    assert [m.withdrawn for m in reading.list_older(conversation, later.id, 10)] == [False, True]


def test_withdrawn_text_is_retained_for_audit(conversation: str, lin: Person, send_message: SendMessage) -> None:
    wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    query = "SELECT m.content FROM messages m WHERE m.sender = %(lin)s"
    assert mysql.autocommit.fetch_value(query, lin=lin.principal.encode()) == "说错了"


def test_withdrawing_twice_changes_nothing(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin)
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal).withdrawn
    assert count_unread(conversation, chen) == 1


def test_only_administrator_withdraws_after_two_minutes(
    conversation: str, lin: Person, send_message: SendMessage, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, now = send_message("说错了", lin), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + log.WITHDRAWAL_WINDOW)
    with pytest.raises(ApiError, match="2分钟"):
        log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert read_newest(conversation, lin) == ["说错了"]
    log.withdraw(lin.tenant_id, conversation, wrong.id, "")
    assert read_newest(conversation, lin) == [""]


def test_message_of_another_cannot_be_withdrawn(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    message = send_message("一", lin)
    with pytest.raises(ApiError):
        log.withdraw(lin.tenant_id, conversation, message.id, chen.principal)
    assert read_newest(conversation, lin) == ["一"]


def test_resend_does_not_restore_withdrawn_text(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    wrong = send_message("说错了", lin, "k1")
    log.withdraw(lin.tenant_id, conversation, wrong.id, lin.principal)
    assert send_message("说错了", lin, "k1").withdrawn
    assert read_newest(conversation, chen) == [""]


def test_rejected_withdrawal_leaves_no_write_intent(
    conversation: str, lin: Person, chen: Person, send_message: SendMessage
) -> None:
    message = send_message("一", lin)
    with pytest.raises(ApiError):
        log.withdraw(lin.tenant_id, conversation, message.id, chen.principal)
    assert redis.get_client().zcard(build_redis_keys(conversation)[2]) == 0
