"""What a message promises, in the packet that writes it (store.append): jobs of the outbox."""

from chalicelib import clock
from chalicelib.wechat_account.templates import DOCTOR_REPLY

MAX_INLINE_RECIPIENTS = 20  # participants; more than these are told after the answer
UNREAD_NOTIFICATION_DELAY = 60 * clock.SECOND  # who has not read an answer so long is told of it elsewhere

# A consultation is two people, and its packet is spared the question.
ENQUEUE_FAN_OUT = f"""
    INSERT INTO outbox (tenant_id, job, payload, due_at, created_at)
    SELECT tenant_id, 'fan_out',
           CONCAT('{{"kind":"message","conversation":"', public_id, '","seq":', last_seq, '}}'), %(now)s, %(now)s
    FROM conversations
    WHERE conversation_id = @conversation AND @seq IS NOT NULL AND (
        SELECT COUNT(*) FROM (
            SELECT 1 FROM participants
            WHERE conversation_id = @conversation AND left_at IS NULL LIMIT {MAX_INLINE_RECIPIENTS + 1}
        ) AS some
    ) > {MAX_INLINE_RECIPIENTS};
"""

# Once for what a patient leaves unread: until they read or write, one answer more names the same row.
ENQUEUE_UNREAD_NOTIFICATION = f"""
    INSERT INTO outbox (tenant_id, job, once, payload, due_at, created_at)
    SELECT c.tenant_id, 'wechat_answer', CONCAT('unread:', c.public_id, ':', p.read_seq, ':', p.own_since),
           CONCAT('{{"session_no":"', c.public_id, '","reader":"', p.principal, '","sender":"', %(sender)s,
                  '","read_seq":', p.read_seq, ',"own_since":', p.own_since, '}}'), %(now)s +
                  {UNREAD_NOTIFICATION_DELAY}, %(now)s
    FROM conversations c
    JOIN bas_tenant_wechat_template t ON t.tenant_id = c.tenant_id AND t.wech_temp_type = {DOCTOR_REPLY}
    JOIN participants p ON p.conversation_id = c.conversation_id AND p.principal <> %(sender)s
    WHERE c.conversation_id = @conversation AND c.kind = 'consult' AND @seq IS NOT NULL
    ON DUPLICATE KEY UPDATE outbox_id = outbox.outbox_id;
"""
