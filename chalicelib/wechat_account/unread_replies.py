"""The statement that enqueues a WeChat notification for a reply that its reader has not read after a while."""

from chalicelib import clock
from chalicelib.messaging.models import ConversationKind
from chalicelib.messaging.store import JOIN_WRITTEN_MESSAGE
from chalicelib.outbox.jobs import Job
from chalicelib.wechat_account.templates import TemplateKind

UNREAD_NOTIFICATION_DELAY = 60 * clock.SECOND

# For NewMessage.enqueue_sql. It enqueues a job only in consultations of hospitals that have a template for it. The
# dedup_key consists of what the reader has read and written: until that changes, further replies enqueue no second job.
ENQUEUE_UNREAD_REPLY = f"""
    INSERT INTO outbox (tenant_id, job, dedup_key, payload, due_at, created_at)
    SELECT c.tenant_id, '{Job.WECHAT_UNREAD_REPLY}',
           CONCAT('unread:', c.public_id, ':', p.read_seq, ':', p.own_after_read),
           CONCAT('{{"session_no":"', c.public_id, '","reader":"', p.principal, '","sender":"', %(sender)s,
                  '","read_seq":', p.read_seq, ',"own_after_read":', p.own_after_read, '}}'),
           %(now)s + {UNREAD_NOTIFICATION_DELAY}, %(now)s
    FROM conversations c {JOIN_WRITTEN_MESSAGE}
    JOIN bas_tenant_wechat_template t ON t.tenant_id = c.tenant_id AND t.wech_temp_type = {TemplateKind.DOCTOR_REPLY}
    JOIN participants p ON p.conversation_id = c.conversation_id AND p.principal <> %(sender)s
    WHERE c.public_id = %(public_id)s AND c.kind = '{ConversationKind.CONSULT}'
    ON DUPLICATE KEY UPDATE outbox_id = outbox.outbox_id;
"""
