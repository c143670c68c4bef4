"""Pages of long lists: the newest entries first, each page after the last entry of the page before (keyset pagination).

The next page begins at a position, not at a number of rows: it costs as much as the first one, and neither skips nor
repeats an entry when others are added meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator, Field

from chalicelib import clock
from chalicelib.adapters.mysql import Row
from chalicelib.http.fields import POSITION_PATTERN, Date, PageSize, WireModel, empty_to_none

T = TypeVar("T")
FIRST_INSTANT, LAST_INSTANT = 0, 2**62


@dataclass(frozen=True, slots=True)
class Position:
    """Where an entry is in a list that is sorted by a key and, among equal keys, by row."""

    key: int  # an instant, or a day as its ordinal number
    row_id: int

    def __str__(self) -> str:
        return f"{self.key}.{self.row_id}"


@dataclass(frozen=True, slots=True)
class PageBounds:
    """The rows of a page."""

    before: Position | None  # the last entry of the page before; None for the first page
    size: int

    @property
    def limit(self) -> int:
        """Return how many rows to fetch: one more shows whether there is a next page."""
        return self.size + 1


BeforePosition = Annotated[
    Annotated[str, Field(pattern=POSITION_PATTERN)] | None,
    BeforeValidator(empty_to_none),
]
"""The field `next` of the page before; empty: the first page."""


class ListQuery(WireModel):
    """The days that a list covers, and where its page begins."""

    from_date: Date | None = Field(None, description="从这一天起", examples=["2026-01-01"])
    to_date: Date | None = Field(None, description="到这一天为止", examples=["2036-12-31"])
    before: BeforePosition = Field(None, description="上一页返回的 next，原样传回；空：第一页", examples=[""])
    page_size: PageSize = Field(20, examples=[20])

    @property
    def bounds(self) -> PageBounds:
        """Return the rows of the page."""
        if self.before is None:
            return PageBounds(None, self.page_size)
        key, _, row_id = self.before.partition(".")
        return PageBounds(Position(int(key), int(row_id)), self.page_size)

    @property
    def since(self) -> int:
        """Return the instant from which on entries are listed."""
        return clock.to_instant(self.from_date) if self.from_date else FIRST_INSTANT

    @property
    def until(self) -> int:
        """Return the instant before which entries are listed."""
        return clock.to_instant(self.to_date) + clock.DAY if self.to_date else LAST_INSTANT


class ListPage(WireModel, Generic[T]):
    """One page of a list, the newest entry first."""

    list: list[T]
    next: str = Field(description="下一页的 before；空：没有更早的记录", examples=[""])


def build_page(
    rows: Sequence[Row], bounds: PageBounds, key: Callable[[Row], Position], build: Callable[[Row], T]
) -> ListPage[T]:
    """Return a page of the rows that were fetched for it, of which the last one may belong to the next page."""
    shown = rows[: bounds.size]
    return ListPage[Any](
        list=[build(row) for row in shown], next=str(key(shown[-1])) if len(rows) > bounds.size else ""
    )


def build_condition(key: str, row_id: str, bounds: PageBounds) -> str:
    """Return the SQL condition of a page, to be used with `build_params`.

    Args:
        key: the column by which the list is sorted.
        row_id: the primary key.
    """
    if bounds.before is None:
        return ""
    return f"AND {key} <= %(before_key)s AND ({key} < %(before_key)s OR {row_id} < %(before_id)s)"


def build_params(bounds: PageBounds, key: Callable[[int], Any] = int) -> dict[str, Any]:
    """Return the parameters of the condition and of `LIMIT %(limit)s`.

    Args:
        key: converts the key of a position into a value of the column.
    """
    before = bounds.before
    return {
        "before_key": key(before.key) if before else None,
        "before_id": before.row_id if before else None,
        "limit": bounds.limit,
    }
