"""Jobs that verify the members of an account by its phone."""

from chalicelib.adapters.mysql import Tx
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job
from chalicelib.people.patient_status import PatientStatus


def enqueue_verification(tx: Tx, tenant_id: int, user_id: int) -> None:
    """Let an account's self-declared members be verified by its phone, which it has only now or is confirmed only now.

    After the commit, call outbox.wake_worker.
    """
    rows = tx.fetch_all(
        """
        SELECT m.member_id FROM members m JOIN patients p ON p.pati_id = m.pati_id AND p.status = %(declared)s
        WHERE m.user_id = %(user_id)s AND m.tenant_id = %(tenant_id)s AND m.live = 1 ORDER BY m.member_id
        """,
        user_id=user_id,
        tenant_id=tenant_id,
        declared=PatientStatus.DECLARED,
    )
    for row in rows:
        outbox.enqueue(tx, tenant_id, Job.VERIFY_MEMBER, {"member_id": row["member_id"]})
