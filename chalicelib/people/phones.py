"""Encryption of phone numbers, with a blind index for searches by the whole number; see phone_numbers.py."""

from chalicelib.crypto import field_encryption


def compute_blind_index(tenant_id: int, number: str) -> bytes:
    """Return the blind index by which a normalized number is found. Not inside a transaction: see crypto."""
    return field_encryption.compute_blind_index(tenant_id, "phone", number)


def seal(tenant_id: int, table: str, row_id: int, number: str) -> bytes | None:
    """Return a number encrypted for a row of a table, None for "". Not inside a transaction, unless keys are loaded."""
    return field_encryption.encrypt(tenant_id, f"{table}.phone", row_id, number) if number else None


def unseal(tenant_id: int, table: str, row_id: int, sealed: bytes | None) -> str:
    """Return the number that was sealed for this row, "" for None."""
    return field_encryption.decrypt(tenant_id, f"{table}.phone", row_id, sealed) if sealed else ""
