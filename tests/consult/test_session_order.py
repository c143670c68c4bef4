"""The order of a doctor's sessions whose newest messages have the same tick."""

from chalicelib.adapters import mysql
from chalicelib.consult import store
from tests.support.consult_client import send_as_patient
from tests.support.factories import Person


def test_sessions_with_equal_ticks_are_ordered_by_tag_across_pages(lin: Person, wang: Person, chen: Person) -> None:
    numbers = {send_as_patient(patient, chen, "您好").data["session_no"] for patient in (lin, wang)}
    mysql.autocommit.execute(
        """
        UPDATE conversations c JOIN participants p ON p.conversation_id = c.conversation_id
        SET c.last_tick = 7, p.active_tick = 7 WHERE c.tenant_id = %(tenant_id)s
        """,
        tenant_id=chen.tenant_id,
    )
    rows = mysql.autocommit.fetch_all(
        """
        SELECT c.tag, s.session_no FROM conversations c JOIN consult_sessions s USING (conversation_id)
        WHERE c.tenant_id = %(tenant_id)s ORDER BY c.tag DESC
        """,
        tenant_id=chen.tenant_id,
    )
    expected = [row["session_no"].decode() for row in rows]
    before, found = (8, 0), []
    for row in rows:
        [session] = store.list_recent_by_doctor(mysql.autocommit, chen.tenant_id, chen.user_id, before, 1)
        found.append(session.session_no)
        before = (7, row["tag"])
    assert found == expected
    assert set(found) == numbers
