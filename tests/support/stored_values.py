"""Search of all columns of the test database for a value that must not be stored in plain text."""

import base64
from functools import cache

from chalicelib.adapters import mysql

TEXT_TYPES = ("char", "varchar", "text", "mediumtext", "longtext", "json", "binary", "varbinary", "blob", "longblob")


def find_stored(tenant_id: int, value: str) -> list[str]:
    """Return the columns, as table.column, in which a row of the tenant contains a value, also in hex or Base64."""
    forms = [form for text in (value, value.lower()) for form in _list_forms(text.encode())]
    found = []
    for table, columns in _list_columns().items():
        places = [
            f"SUM({' OR '.join(f'LOCATE(%(form{n})s, CAST({column} AS BINARY)) > 0' for n in range(len(forms)))})"
            for column in columns
        ]
        row = mysql.autocommit.fetch_one(
            f"SELECT {', '.join(f'{place} AS {name}' for place, name in zip(places, columns, strict=True))} "
            f"FROM {table} WHERE tenant_id = %(tenant_id)s",
            tenant_id=tenant_id,
            **{f"form{n}": form for n, form in enumerate(forms)},
        )
        found += [f"{table}.{column}" for column, number in (row or {}).items() if number]
    return sorted(found)


def _list_forms(value: bytes) -> list[bytes]:
    """Return the value itself, in hex, and what all Base64 texts that contain it have in common."""
    aligned = [base64.b64encode(b"\0" * shift + value)[shift and 4 : -4] for shift in range(3)]
    return [value, value.hex().encode(), *aligned]


@cache
def _list_columns() -> dict[str, list[str]]:
    """Return the columns that can hold text, by table; every table of people's data has a tenant_id."""
    rows = mysql.autocommit.fetch_all(
        """
        SELECT c.table_name AS name, c.column_name AS column_name FROM information_schema.columns c
        WHERE c.table_schema = DATABASE() AND c.data_type IN %(types)s AND EXISTS (
            SELECT 1 FROM information_schema.columns t
            WHERE t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.column_name = 'tenant_id'
        )
        ORDER BY c.table_name, c.ordinal_position
        """,
        types=TEXT_TYPES,
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row["column_name"])
    return found
