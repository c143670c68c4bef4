"""What the conversation log holds, whatever protocol it came by."""

import json
from dataclasses import dataclass

TEXT, IMAGE = 0, 1


@dataclass(frozen=True, slots=True)
class Draft:
    """A message about to be sent. retry_key is unique for one sender and endpoint."""

    content: str
    endpoint: str
    retry_key: str | None = None
    type: int = TEXT


@dataclass(frozen=True, slots=True)
class Message:
    seq: int  # 1, 2, 3 … without gaps, inside one conversation
    id: str
    sender: str
    type: int
    content: str
    sent_at: int  # microseconds

    def record(self) -> str:
        """The form kept in Redis: neutral of protocols and readers."""
        fields = (self.seq, self.id, self.sender, self.type, self.content, self.sent_at)
        return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of_record(cls, record: str) -> "Message":
        return cls(*json.loads(record))
