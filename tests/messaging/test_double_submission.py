"""A text that a client sends twice without an idempotency key, as a double tap does, is one message."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib import clock, errors
from chalicelib.errors import ApiError
from chalicelib.messaging import log, membership, store
from chalicelib.messaging.models import ConversationKind, Message, MessageType, NewMessage
from tests.support.conversation_log import count_unread, read_newest
from tests.support.factories import Hospital, Person
from tests.support.threads import run_in_threads

pytestmark = pytest.mark.store

Submit = Callable[..., Message]


@pytest.fixture
def submit(conversation: str) -> Submit:
    """Return a function that sends a text which is merged with an equal one."""

    def submit(sender: Person, text: str = "在吗", **more: Any) -> Message:
        new = NewMessage(text, "t", merge_double_submission=True, **more)
        return log.append(sender.tenant_id, ConversationKind.DIRECT, conversation, sender.principal, new)

    return submit


@pytest.fixture
def set_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Return a function that sets the clock to microseconds after now."""
    started_at = clock.now()
    return lambda later: monkeypatch.setattr(clock, "now", lambda: started_at + later)


def test_text_that_is_submitted_twice_is_one_message(
    conversation: str, lin: Person, chen: Person, submit: Submit
) -> None:
    first = submit(lin)
    assert submit(lin) == first
    assert submit(lin, "在吗？") != first
    assert read_newest(conversation, lin) == ["在吗？", "在吗"]
    assert count_unread(conversation, chen) == 2


@pytest.mark.parametrize(
    "texts", [("OK", "ok"), ("好", "好 "), ("?", "？"), ("a", "á"), ("😀", "😂"), ("好", "好\u200b")], ids=str
)
def test_texts_that_a_collation_takes_for_equal_are_different(
    conversation: str, lin: Person, submit: Submit, texts: tuple[str, str]
) -> None:
    for text in texts:
        submit(lin, text)
    assert read_newest(conversation, lin) == list(reversed(texts))
    for number, extra in enumerate(texts, 3):
        assert submit(lin, "在吗", extra=extra).seq == number


@pytest.mark.parametrize(
    ("later", "messages"),
    [(2 * clock.SECOND - 1, 1), (2 * clock.SECOND, 2), (1 - 2 * clock.SECOND, 1), (-2 * clock.SECOND, 2)],
)
def test_merging_ends_after_two_seconds(
    conversation: str, lin: Person, submit: Submit, set_time: Callable[[int], None], later: int, messages: int
) -> None:
    """Also if the clock of the second request's process is behind."""
    set_time(0)
    submit(lin)
    set_time(later)
    submit(lin)
    assert len(read_newest(conversation, lin)) == messages


def test_text_after_one_of_the_other_side_is_another_message(
    conversation: str, lin: Person, chen: Person, submit: Submit
) -> None:
    for sender in (lin, chen, lin, chen):
        submit(sender, "好")
    assert len(read_newest(conversation, lin)) == 4


DIFFERENT: list[dict[str, Any]] = [{"type": 7}, {"type": MessageType.IMAGE, "object_key": "a"}, {"status": 1}]


@pytest.mark.parametrize("more", [{"idempotency_key": "k1"}, *DIFFERENT], ids=str)
def test_only_equal_messages_without_key_are_merged(
    conversation: str, lin: Person, submit: Submit, more: dict[str, Any]
) -> None:
    submit(lin)
    submit(lin, **more)
    assert len(read_newest(conversation, lin)) == 2


@pytest.mark.parametrize("more", DIFFERENT, ids=str)
def test_equal_messages_of_every_type_are_merged(
    conversation: str, lin: Person, submit: Submit, more: dict[str, Any]
) -> None:
    assert submit(lin, "", **more) == submit(lin, "", **more)
    assert len(read_newest(conversation, lin)) == 1


def test_withdrawn_text_is_sent_again(conversation: str, lin: Person, submit: Submit) -> None:
    log.withdraw(lin.tenant_id, conversation, submit(lin).id, lin.principal)
    submit(lin)
    assert read_newest(conversation, lin) == ["在吗", ""]


def test_equal_texts_at_the_same_moment_are_one_message(conversation: str, lin: Person, submit: Submit) -> None:
    for number in range(10):
        sent = run_in_threads([partial(submit, lin, f"在吗{number}")] * 4)
        assert len({message.id for message in sent}) == 1
    assert read_newest(conversation, lin) == [f"在吗{number}" for number in reversed(range(10))]


def test_first_message_is_found_after_a_newer_one(
    conversation: str, lin: Person, submit: Submit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender's next text is written after the packet of the repetition and before the query of the first one."""
    first, find = submit(lin), store.find_double_submission

    def send_and_find(*arguments: Any) -> Any:
        submit(lin, "您好")
        return find(*arguments)

    monkeypatch.setattr(store, "find_double_submission", send_and_find)
    assert submit(lin) == first
    assert read_newest(conversation, lin) == ["您好", "在吗"]


def test_condition_holds_for_a_repetition_too(conversation: str, lin: Person, submit: Submit) -> None:
    submit(lin)
    new = NewMessage("在吗", "t", merge_double_submission=True)
    other_kind = partial(log.append, lin.tenant_id, ConversationKind.CONSULT, conversation, lin.principal, new)
    for repeat in (partial(submit, lin, condition_sql="AND c.tenant_id = 0"), other_kind):
        with pytest.raises(ApiError) as rejected:
            repeat()
        assert rejected.value.kind is errors.NOT_FOUND


def test_repetition_after_removal_is_rejected(hospital: Hospital, chen: Person) -> None:
    conversation = membership.create(
        hospital.tenant_id, ConversationKind.SERVICE, 0, "", [chen.principal, "session:han"], None
    )
    send = partial(
        log.append,
        hospital.tenant_id,
        None,
        conversation,
        "session:han",
        NewMessage("在吗", "t", merge_double_submission=True),
    )
    assert send().seq == 1
    membership.remove_participants(hospital.tenant_id, conversation, ["session:han"])
    with pytest.raises(ApiError) as rejected:
        send()
    assert rejected.value.kind is errors.NOT_FOUND
