"""Give a person many conversations, by statements that take a second for some thousands."""

from chalicelib import clock
from chalicelib.adapters import mysql
from chalicelib.messaging import ids
from chalicelib.messaging.models import ConversationKind
from tests.support.factories import Person

# A digit in each place: numbers from 0 to 9,999.
NUMBERS_SQL = """
    SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n AS number
    FROM {digits} a, {digits} b, {digits} c, {digits} d
""".format(digits=f"({' UNION ALL '.join(f'SELECT {n} AS n' for n in range(10))})")


def insert_chats(person: Person, number: int, kind: str = ConversationKind.DIRECT, unread: int = 0) -> int:
    """Insert closed chats of a member of staff with as many patients, each with a message, in the order of their ids.

    The patients have no other rows.

    Args:
        unread: so many of them, the oldest, have an unread message.

    Returns:
        The conversation_id of the first one.
    """
    largest = ("SELECT MAX(conversation_id) FROM conversations", "SELECT MAX(member_id) FROM members")
    first = 1 + max(int(mysql.autocommit.fetch_value(one) or 0) for one in largest)
    params = {
        "tenant": person.tenant_id,
        "principal": person.principal.encode(),
        "user_id": person.user_id,
        "first": first,
        "patient": 2**50 + first,
        "number": number,
        "kind": kind,
        "unread": unread,
        "now": clock.now(),
        "tick": ids.compute_first_tick(clock.now() - clock.DAY),
    }
    numbers = f"({NUMBERS_SQL}) AS numbers WHERE number < %(number)s"
    for statement in (
        "INSERT INTO conversations (conversation_id, tenant_id, public_id, kind, last_seq, last_tick, tag, "
        "archived_at, created_at) "
        "SELECT %(first)s + number, %(tenant)s, CONCAT('long-', %(first)s + number), %(kind)s, 1, "
        f"%(tick)s + number, MOD(%(first)s + number, 4000000), %(now)s, %(now)s FROM {numbers}",
        "INSERT INTO messages (conversation_id, seq, tenant_id, tick, tag, sender, endpoint, type, content, sent_at) "
        "SELECT %(first)s + number, 1, %(tenant)s, %(tick)s + number, MOD(%(first)s + number, 4000000), "
        f"CONCAT('user:', %(patient)s + number), 't', 0, '您好', %(now)s FROM {numbers}",
        "INSERT INTO participants (conversation_id, principal, tenant_id, read_seq, newest_seq, active_tick, archived, "
        "peer_id, joined_at) "
        "SELECT %(first)s + number, %(principal)s, %(tenant)s, number >= %(unread)s, 1, %(tick)s + number, 1, "
        f"%(patient)s + number, %(now)s FROM {numbers}",
        "INSERT INTO participants (conversation_id, principal, tenant_id, read_seq, own_after_read, newest_seq, "
        "active_tick, archived, peer_id, joined_at) "
        "SELECT %(first)s + number, CONCAT('user:', %(patient)s + number), %(tenant)s, 0, 1, 1, %(tick)s + number, 1, "
        f"%(user_id)s, %(now)s FROM {numbers}",
    ):
        mysql.autocommit.execute(statement, **params)
    return first


def insert_sessions(doctor: Person, member_id: int, number: int) -> None:
    """Insert chats as consultations of one member with a doctor, as if a member could have many with one doctor."""
    first = insert_chats(doctor, number, ConversationKind.CONSULT)
    mysql.autocommit.execute(
        """
        INSERT INTO consult_sessions (tenant_id, session_no, conversation_id, member_id, doctor_id, created_at)
        SELECT c.tenant_id, c.public_id, c.conversation_id, c.conversation_id, %(doctor_id)s, c.created_at
        FROM conversations c WHERE c.conversation_id >= %(first)s AND c.conversation_id < %(first)s + %(number)s
        """,
        doctor_id=doctor.user_id,
        first=first,
        number=number,
    )
    mysql.autocommit.execute(
        """
        INSERT INTO members (member_id, tenant_id, user_id, name, cont_relation, created_at)
        SELECT s.member_id, m.tenant_id, m.user_id, m.name, m.cont_relation, m.created_at
        FROM consult_sessions s JOIN members m ON m.member_id = %(member_id)s
        WHERE s.doctor_id = %(doctor_id)s
        """,
        member_id=member_id,
        doctor_id=doctor.user_id,
    )
