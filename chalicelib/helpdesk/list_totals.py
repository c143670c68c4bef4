"""Totals of long lists.

Up to list_store.MAX_COUNTED entries are counted for each request. The total of a longer list is counted once a minute,
so that requests do not take longer the more conversations there are; it may be so much out of date.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from chalicelib.adapters import cache
from chalicelib.helpdesk.list_store import MAX_COUNTED

TTL_SECONDS = 60


def get_total(tenant_id: int, principal: str, name: tuple[Any, ...], counted: int, count: Callable[[], int]) -> int:
    """Return the number of entries of a list.

    Args:
        name: identifies the list among those of its reader.
        counted: the number of entries, at most MAX_COUNTED + 1.
        count: counts all of them.
    """
    return counted if counted <= MAX_COUNTED else get_cached(tenant_id, principal, name, count)


def get_cached(tenant_id: int, principal: str, name: tuple[Any, ...], count: Callable[[], int]) -> int:
    """Return the result of `count`, which may be TTL_SECONDS old. Without Redis it is counted."""
    digest = hashlib.sha256(repr(name).encode()).hexdigest()[:32]
    key = f"list_total:1:{{{tenant_id}:{principal}}}:{digest}"
    text = cache.read(key)
    if text and text != cache.TOMBSTONE:
        return int(text)
    total = count()
    cache.write(key, str(total), TTL_SECONDS)
    return total
