"""The job that store.append enqueues, in the packet that writes a message to a large conversation."""

from chalicelib.outbox.jobs import Job

MAX_INLINE_RECIPIENTS = 20  # more participants than these are notified by a job, after the response

# A consultation has two participants, so its packet omits this statement.
ENQUEUE_LARGE_CONVERSATION = f"""
    INSERT INTO outbox (tenant_id, job, payload, due_at, created_at)
    SELECT tenant_id, '{Job.NOTIFY_LARGE_CONVERSATION}',
           CONCAT('{{"kind":"message","conversation":"', public_id, '","seq":', last_seq, '}}'), %(now)s, %(now)s
    FROM conversations
    WHERE conversation_id = @conversation AND @seq IS NOT NULL AND (
        SELECT COUNT(*) FROM (
            SELECT 1 FROM participants
            WHERE conversation_id = @conversation AND left_at IS NULL LIMIT {MAX_INLINE_RECIPIENTS + 1}
        ) AS counted
    ) > {MAX_INLINE_RECIPIENTS};
"""
