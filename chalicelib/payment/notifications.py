"""What account holders are told about money: each once, promised in the transaction that causes it.

announcing.py does it.
"""

from chalicelib import clock
from chalicelib.adapters.mysql import Row, Tx
from chalicelib.outbox import outbox
from chalicelib.outbox.jobs import Job


def enqueue(tx: Tx, payment: Row, kind: int) -> None:
    """After the commit: outbox.nudge()."""
    told = {name: payment[name] for name in ("user_id", "book_id", "fee", "payment_id")}
    told |= {"type": kind, "at": clock.now()}
    outbox.enqueue(
        tx, payment["tenant_id"], Job.NOTIFY_PAYMENT, told, dedup_key=f"payment:{payment['payment_id']}:{kind}"
    )
