"""Several processes write to one conversation."""

import pytest

from chalicelib.adapters import mysql
from tests.support.consult_client import create_session, list_as_patient, list_texts, send_as_patient
from tests.support.factories import Person
from tests.support.processes import PROCESS_COUNT, run_in_processes

pytestmark = pytest.mark.store

SENDS, KEYS = 200, 20


def send_many(lin: Person, chen: Person, writer: int) -> list[str]:
    return [send_as_patient(lin, chen, f"{writer}/{n}").data["msg_id"] for n in range(SENDS)]


def send_with_keys(lin: Person, chen: Person) -> list[str]:
    return [send_as_patient(lin, chen, f"text {n}", f"key-{n}").data["msg_id"] for n in range(KEYS)]


def list_stored(session_no: str) -> list[tuple[int, str]]:
    rows = mysql.autocommit.fetch_all(
        """
            SELECT m.seq, m.content
            FROM messages m JOIN conversations c ON c.conversation_id = m.conversation_id
            WHERE c.public_id = %(session_no)s ORDER BY m.seq
            """,
        session_no=session_no.encode(),
    )
    return [(row["seq"], row["content"]) for row in rows]


def test_eight_processes_number_messages_without_gap_or_duplicate(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    ids = run_in_processes(send_many, [(lin, chen, writer) for writer in range(PROCESS_COUNT)])
    rows = list_stored(session_no)
    assert [seq for seq, _ in rows] == list(range(1, PROCESS_COUNT * SENDS + 1))
    assert len({message_id for sent in ids for message_id in sent}) == PROCESS_COUNT * SENDS
    for writer in range(PROCESS_COUNT):  # each sender's own messages keep the order they were sent in
        own = [text for _, text in rows if text.startswith(f"{writer}/")]
        assert own == [f"{writer}/{n}" for n in range(SENDS)]
    newest_first = [text for _, text in reversed(rows)][:100]
    assert list_texts(list_as_patient(lin, session_no)) == newest_first


def test_eight_processes_racing_the_same_keys_write_each_message_once(lin: Person, chen: Person) -> None:
    session_no = create_session(lin, chen)
    ids = run_in_processes(send_with_keys, [(lin, chen)] * PROCESS_COUNT)
    assert all(sent == ids[0] for sent in ids)
    assert [seq for seq, _ in list_stored(session_no)] == list(range(1, KEYS + 1))
