"""The file of a withdrawn message."""

from chalicelib.adapters.mysql import Tx
from chalicelib.files import withdrawals


def withdraw_file(tx: Tx, tenant_id: int, conversation_id: int, object_key: str, now: int) -> bool:
    """Withdraw the file of a message that this transaction has withdrawn, unless another message still shows it.

    The transaction holds the lock of the conversation, under which messages are written too.

    Returns:
        Whether a job was enqueued that makes the links to the file invalid.
    """
    if not object_key:
        return False
    still_shown = tx.fetch_value(
        """
        SELECT 1 FROM messages
        WHERE conversation_id = %(conversation_id)s AND object_key = %(object_key)s AND withdrawn_at IS NULL LIMIT 1
        """,
        conversation_id=conversation_id,
        object_key=object_key.encode(),
    )
    return not still_shown and withdrawals.withdraw(tx, tenant_id, object_key, now)
