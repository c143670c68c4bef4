from tests.support.conversation_log import conversation, cut_redis, mysql_reads, send_message

__all__ = ["conversation", "cut_redis", "mysql_reads", "send_message"]
