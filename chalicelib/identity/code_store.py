"""SQL of codes and code_requests."""

from dataclasses import dataclass
from typing import Any

from chalicelib.adapters.mysql import Row, Tx

_WHERE_CODE_SQL = "WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND purpose = %(purpose)s"


@dataclass(frozen=True, slots=True)
class CodeKey:
    """What codes are issued for."""

    tenant_id: int
    subject: bytes
    purpose: str  # a CodePurpose

    def build_parameters(self) -> dict[str, Any]:
        """Return the parameters of the statements of this module."""
        return {"tenant_id": self.tenant_id, "subject": self.subject, "purpose": self.purpose}


@dataclass(frozen=True, slots=True)
class StoredCode:
    """The hash of a code."""

    request_id: int
    code_hash: bytes
    is_used: bool


def lock_tenant(tx: Tx, tenant_id: int) -> None:
    """Serialize the requests of a tenant, so that counts stay valid until the commit a millisecond later."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def count_requests(tx: Tx, tenant_id: int, column: str, value: bytes, since: int) -> tuple[int, int]:
    """Return how many codes were requested after an instant, and the instant of the first of them, 0 if there is none.

    Args:
        column: subject or address.
    """
    row: Row | None = tx.fetch_one(
        f"""
        SELECT COUNT(*) AS requests, COALESCE(MIN(requested_at), 0) AS oldest FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND {column} = %(value)s AND requested_at > %(since)s
        """,
        tenant_id=tenant_id,
        value=value,
        since=since,
    )
    return (row["requests"], row["oldest"]) if row else (0, 0)


def insert_request(tx: Tx, key: CodeKey, address: str, now: int) -> int:
    """Insert an accepted request and return its request_id."""
    return tx.insert(
        """
        INSERT INTO code_requests (tenant_id, subject, purpose, address, requested_at)
        VALUES (%(tenant_id)s, %(subject)s, %(purpose)s, %(address)s, %(now)s)
        """,
        **key.build_parameters(),
        address=address.encode()[:64],
        now=now,
    )


def was_requested_since(tx: Tx, key: CodeKey, address: str, since: int) -> bool:
    """Return whether an equal request was counted after an instant."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND purpose = %(purpose)s AND address = %(address)s
          AND requested_at > %(since)s LIMIT 1
        """,
        **key.build_parameters(),
        address=address.encode()[:64],
        since=since,
    )
    return found is not None


def list_codes_since(tx: Tx, key: CodeKey, request_id: int) -> list[StoredCode]:
    """Return the stored codes of a request and of later ones."""
    rows = tx.fetch_all(
        f"SELECT request_id, code_hash, is_used FROM codes {_WHERE_CODE_SQL} AND request_id >= %(request_id)s",
        **key.build_parameters(),
        request_id=request_id,
    )
    return [StoredCode(**{**row, "is_used": bool(row["is_used"])}) for row in rows]


def upsert_code(tx: Tx, key: CodeKey, request_id: int, code_hash: bytes, expires_at: int) -> None:
    """Insert a code, or extend its lifetime at a retry."""
    tx.execute(
        """
        INSERT INTO codes (tenant_id, subject, purpose, request_id, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(subject)s, %(purpose)s, %(request_id)s, %(code_hash)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE expires_at = %(expires_at)s
        """,
        **key.build_parameters(),
        request_id=request_id,
        code_hash=code_hash,
        expires_at=expires_at,
    )


def delete_earlier_codes(tx: Tx, key: CodeKey, request_id: int) -> None:
    """Delete the codes of earlier requests."""
    tx.execute(
        f"DELETE FROM codes {_WHERE_CODE_SQL} AND request_id < %(request_id)s",
        **key.build_parameters(),
        request_id=request_id,
    )


def consume_tries(tx: Tx, key: CodeKey, max_tries: int, now: int) -> dict[int, bytes]:
    """Count a try of each valid code that has tries left; return their hashes by request_id."""
    rows = tx.fetch_all(
        f"""
        SELECT request_id, code_hash FROM codes
        {_WHERE_CODE_SQL} AND is_used = 0 AND attempts < %(max_tries)s AND expires_at > %(now)s
        FOR UPDATE
        """,
        **key.build_parameters(),
        max_tries=max_tries,
        now=now,
    )
    stored = {row["request_id"]: row["code_hash"] for row in rows}
    if stored:
        tx.execute(
            f"UPDATE codes SET attempts = attempts + 1 {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s",
            **key.build_parameters(),
            request_ids=list(stored),
        )
    return stored


def restore_tries(tx: Tx, key: CodeKey, request_ids: list[int]) -> None:
    """Give back the tries of a right code."""
    tx.execute(
        f"""
        UPDATE codes SET attempts = attempts - 1
        {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s AND attempts > 0
        """,
        **key.build_parameters(),
        request_ids=request_ids,
    )


def is_used(tx: Tx, key: CodeKey, code_hash: bytes) -> bool:
    """Return whether a code has been used."""
    found = tx.fetch_value(
        f"SELECT 1 FROM codes {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND is_used = 1",
        **key.build_parameters(),
        code_hash=code_hash,
    )
    return found is not None


def mark_used(tx: Tx, key: CodeKey, code_hash: bytes) -> bool:
    """Mark a code and all others of the subject as used; return False, changing nothing, if it was used before.

    The rows stay, so that a retry of the job that sends the code does not make it valid again.
    """
    used = tx.execute(
        f"UPDATE codes SET is_used = 1 {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND is_used = 0",
        **key.build_parameters(),
        code_hash=code_hash,
    )
    if used:
        tx.execute(f"UPDATE codes SET is_used = 1 {_WHERE_CODE_SQL}", **key.build_parameters())
    return used > 0
