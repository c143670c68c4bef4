"""Withdraw files with their messages: no link to a withdrawn file works, and its original is kept for audit.

S3 cannot revoke a presigned link, so the object moves to a key of which no link is issued: see `move_object`, a job.
"""

import json

from chalicelib.adapters.mysql import Tx
from chalicelib.outbox import store as outbox_store
from chalicelib.outbox.jobs import Job

# For NewMessage.condition_sql, with the parameter %(file_id)s: a message with a withdrawn file is not written. It is
# checked under the lock of the conversation, as withdrawals are.
FILE_IS_AVAILABLE = "AND EXISTS (SELECT 1 FROM files f WHERE f.file_id = %(file_id)s AND f.withdrawn_at IS NULL)"
WITHDRAWN_TEXT = "文件已随消息撤回，请重新上传"


def withdraw(tx: Tx, tenant_id: int, object_key: str, now: int) -> bool:
    """Withdraw a file in the transaction that withdraws its message, and enqueue the job that moves its object.

    After the commit, call `outbox.wake_worker`.

    Returns:
        False if the file is withdrawn already, or there is none.
    """
    withdrawn = tx.execute(
        """
        UPDATE files SET withdrawn_at = %(now)s
        WHERE object_key = %(object_key)s AND tenant_id = %(tenant_id)s AND withdrawn_at IS NULL
        """,
        tenant_id=tenant_id,
        object_key=object_key.encode(),
        now=now,
    )
    if withdrawn:
        payload = json.dumps({"object_key": object_key})
        outbox_store.insert(tx, tenant_id, Job.MOVE_WITHDRAWN_FILE, None, payload, now)
    return bool(withdrawn)


def build_withdrawn_key(object_key: str) -> str:
    """Return the key to which the object of a withdrawn file moves, where an audit finds it."""
    tenant_id, _, name = object_key.split("/")
    return f"{tenant_id}/withdrawn/{name}"
