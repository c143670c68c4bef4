"""SQL of codes and code_requests."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from chalicelib import clock
from chalicelib.adapters.mysql import Tx
from chalicelib.people.roles import PersonKind

_WHERE_CODE_SQL = "WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND purpose = %(purpose)s"


class CodePurpose(StrEnum):
    """What a code may be used for (codes.purpose)."""

    SIGN_UP = "sign_up"
    RESET_PASSWORD = "reset"
    CHANGE_PHONE_OLD = "change_phone_old"
    CHANGE_PHONE_NEW = "change_phone_new"
    CLOSE_ACCOUNT = "close_account"
    VERIFY_MEMBER = "verify_member"


class Budget(StrEnum):
    """What pays for a code (code_requests.budget). A hospital has one of each for an hour."""

    STRANGERS = "strangers"
    OWNERS = "owners"  # of phones: where they are known, or signed in
    HIDDEN = "hidden"  # of strangers, who must not learn whether a code is sent: charged by the job that sends it


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
class CodeRequest:
    """An accepted request for a code to a phone."""

    network: str
    purpose: str
    requested_at: int
    is_known: bool  # whether the owner of the phone is known in the network


@dataclass(frozen=True, slots=True)
class StoredCode:
    """The hash of a code."""

    request_id: int
    code_hash: bytes
    is_used: bool


def lock_tenant(tx: Tx, tenant_id: int) -> None:
    """Serialize the requests of a tenant, so that counts stay valid until the commit a millisecond later."""
    tx.fetch_value("SELECT 1 FROM tenants WHERE tenant_id = %(tenant_id)s FOR UPDATE", tenant_id=tenant_id)


def list_requests_for_phone(tx: Tx, tenant_id: int, phone_blind: bytes, since: int) -> list[CodeRequest]:
    """Return the requests for codes to a patient's phone after an instant, the first one first."""
    rows = tx.fetch_all(
        """
        SELECT r.network, r.purpose, r.requested_at, k.network IS NOT NULL AS is_known
        FROM code_requests r
        LEFT JOIN known_networks k ON k.tenant_id = r.tenant_id AND k.kind = %(kind)s
          AND k.phone_blind = r.phone_blind AND k.network = r.network AND k.known_until > %(now)s
        WHERE r.tenant_id = %(tenant_id)s AND r.phone_blind = %(phone_blind)s AND r.requested_at > %(since)s
        ORDER BY r.requested_at
        """,
        tenant_id=tenant_id,
        phone_blind=phone_blind,
        since=since,
        kind=PersonKind.PATIENT,
        now=clock.now(),
    )
    return [
        CodeRequest(**{**row, "network": row["network"].decode(), "is_known": bool(row["is_known"])}) for row in rows
    ]


def list_requests_of_subject(tx: Tx, key: CodeKey, since: int) -> list[int]:
    """Return the instants of the requests for codes of a key after an instant, the first one first."""
    rows = tx.fetch_all(
        """
        SELECT requested_at FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND purpose = %(purpose)s AND requested_at > %(since)s
        ORDER BY requested_at
        """,
        **key.build_parameters(),
        since=since,
    )
    return [row["requested_at"] for row in rows]


def count_charged(tx: Tx, tenant_id: int, since: int) -> dict[Budget, int]:
    """Return how many requests were charged to each of a tenant's budgets after an instant."""
    rows = tx.fetch_all(
        """
        SELECT budget, COUNT(*) AS charged FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND is_charged = 1 AND requested_at > %(since)s
        GROUP BY budget
        """,
        tenant_id=tenant_id,
        since=since,
    )
    return {Budget(row["budget"]): row["charged"] for row in rows}


def find_charged_time(tx: Tx, tenant_id: int, budget: Budget, number: int) -> int:
    """Return the instant of the latest charged request but number - 1, 0 if there are not so many."""
    requested_at: int | None = tx.fetch_value(
        """
        SELECT requested_at FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND is_charged = 1 AND budget = %(budget)s
        ORDER BY requested_at DESC LIMIT 1 OFFSET %(offset)s
        """,
        tenant_id=tenant_id,
        budget=budget,
        offset=number - 1,
    )
    return requested_at or 0


def count_requests(tx: Tx, tenant_id: int, since: int) -> int:
    """Return the number of a tenant's requests after an instant, charged or not."""
    counted: int = tx.fetch_value(
        """
        SELECT COUNT(*) FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND is_charged IN (0, 1) AND requested_at > %(since)s
        """,
        tenant_id=tenant_id,
        since=since,
    )
    return counted


def insert_request(tx: Tx, key: CodeKey, network: str, phone_blind: bytes | None, budget: Budget, now: int) -> int:
    """Insert an accepted request and return its request_id.

    Args:
        phone_blind: None if the phone is still to be determined, see `charge`.
        budget: is charged at once, unless it is Budget.HIDDEN.
    """
    return tx.insert(
        """
        INSERT INTO code_requests
            (tenant_id, subject, purpose, network, phone_blind, budget, is_charged, requested_at)
        VALUES
            (%(tenant_id)s, %(subject)s, %(purpose)s, %(network)s, %(phone_blind)s, %(budget)s, %(is_charged)s, %(now)s)
        """,
        **key.build_parameters(),
        network=network.encode(),
        phone_blind=phone_blind,
        budget=budget,
        is_charged=budget is not Budget.HIDDEN,
        now=now,
    )


def charge(tx: Tx, tenant_id: int, request_id: int, phone_blind: bytes, budget: Budget) -> None:
    """Record to which phone the code of a request is sent, and what pays for it."""
    tx.execute(
        """
        UPDATE code_requests SET phone_blind = %(phone_blind)s, budget = %(budget)s, is_charged = 1
        WHERE tenant_id = %(tenant_id)s AND request_id = %(request_id)s
        """,
        tenant_id=tenant_id,
        request_id=request_id,
        phone_blind=phone_blind,
        budget=budget,
    )


def was_requested_since(tx: Tx, key: CodeKey, network: str, since: int) -> bool:
    """Return whether an equal request was accepted after an instant."""
    found = tx.fetch_value(
        """
        SELECT 1 FROM code_requests
        WHERE tenant_id = %(tenant_id)s AND subject = %(subject)s AND purpose = %(purpose)s AND network = %(network)s
          AND requested_at > %(since)s LIMIT 1
        """,
        **key.build_parameters(),
        network=network.encode(),
        since=since,
    )
    return found is not None


def list_codes_since(tx: Tx, key: CodeKey, network: str, request_id: int) -> list[StoredCode]:
    """Return the stored codes of a request and of later ones of the same network."""
    rows = tx.fetch_all(
        f"""
        SELECT request_id, code_hash, is_used FROM codes
        {_WHERE_CODE_SQL} AND network = %(network)s AND request_id >= %(request_id)s
        """,
        **key.build_parameters(),
        network=network.encode(),
        request_id=request_id,
    )
    return [StoredCode(**{**row, "is_used": bool(row["is_used"])}) for row in rows]


def upsert_code(tx: Tx, key: CodeKey, network: str, request_id: int, code_hash: bytes, expires_at: int) -> None:
    """Insert a code, or extend its lifetime at a retry."""
    tx.execute(
        """
        INSERT INTO codes (tenant_id, subject, purpose, request_id, network, code_hash, expires_at)
        VALUES (%(tenant_id)s, %(subject)s, %(purpose)s, %(request_id)s, %(network)s, %(code_hash)s, %(expires_at)s)
        ON DUPLICATE KEY UPDATE expires_at = %(expires_at)s
        """,
        **key.build_parameters(),
        request_id=request_id,
        network=network.encode(),
        code_hash=code_hash,
        expires_at=expires_at,
    )


def delete_earlier_codes(tx: Tx, key: CodeKey, network: str, request_id: int) -> None:
    """Delete the codes of earlier requests of a network. A stranger's request must not end the owner's code."""
    tx.execute(
        f"DELETE FROM codes {_WHERE_CODE_SQL} AND network = %(network)s AND request_id < %(request_id)s",
        **key.build_parameters(),
        network=network.encode(),
        request_id=request_id,
    )


def consume_tries(
    tx: Tx, key: CodeKey, network: str, max_tries: int, max_tries_of_others: int, now: int
) -> dict[int, bytes]:
    """Count a try of each valid code that has tries left; return their hashes by request_id.

    Args:
        network: which sends the guess.
        max_tries: for the codes that it has requested.
        max_tries_of_others: for other codes, from all networks that have not requested them.
    """
    rows = tx.fetch_all(
        f"""
        SELECT request_id, code_hash FROM codes
        {_WHERE_CODE_SQL} AND is_used = 0 AND expires_at > %(now)s
          AND IF(network = %(network)s, attempts < %(max_tries)s, other_attempts < %(max_tries_of_others)s)
        FOR UPDATE
        """,
        **key.build_parameters(),
        network=network.encode(),
        max_tries=max_tries,
        max_tries_of_others=max_tries_of_others,
        now=now,
    )
    stored = {row["request_id"]: row["code_hash"] for row in rows}
    if stored:
        tx.execute(
            f"""
            UPDATE codes SET attempts = attempts + (network = %(network)s),
                other_attempts = other_attempts + (network <> %(network)s)
            {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s
            """,
            **key.build_parameters(),
            network=network.encode(),
            request_ids=list(stored),
        )
    return stored


def restore_tries(tx: Tx, key: CodeKey, network: str, request_ids: list[int]) -> None:
    """Give back the tries of a right code."""
    tx.execute(
        f"""
        UPDATE codes SET attempts = attempts - (network = %(network)s AND attempts > 0),
            other_attempts = other_attempts - (network <> %(network)s AND other_attempts > 0)
        {_WHERE_CODE_SQL} AND request_id IN %(request_ids)s
        """,
        **key.build_parameters(),
        network=network.encode(),
        request_ids=request_ids,
    )


def was_sent_to(tx: Tx, key: CodeKey, code_hash: bytes, phone_blind: bytes | None) -> bool:
    """Return whether the phone of the request for a code is a certain one."""
    found = tx.fetch_value(
        f"""
        SELECT 1 FROM codes {_WHERE_CODE_SQL} AND code_hash = %(code_hash)s AND request_id IN (
            SELECT request_id FROM code_requests WHERE tenant_id = %(tenant_id)s AND phone_blind = %(phone_blind)s
        )
        """,
        **key.build_parameters(),
        code_hash=code_hash,
        phone_blind=phone_blind,
    )
    return found is not None


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
