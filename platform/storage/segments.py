"""The order of a list, and the parts of it that an index serves.

A list goes on after the last row it showed (its sort values and id), never by counting rows, so the thousandth page
costs what the first did. The order is total: the sort keys, then ``id`` in the direction of the last sort key.

Blanks come last in both directions on both databases. No index keeps that order for both, so a list is read in
*segments*, each of which an index does serve: first the rows where the first sort key is filled, then those where it is
blank; after a given row, what shares its first values and follows by the later ones, then the rest. A segment is asked
for only when the ones before did not fill the page, so a page is nearly always one statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, tuple_

from ratoon.platform.storage.tables import ALWAYS_FILLED

Sort = tuple[tuple[str, bool], ...]
"""(key or dotted path, descending) …"""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a list that one index range holds: keys before ``level`` are given, the rest is in order.

    ``before`` says of each earlier key whether it equals its value (True) or is blank (False). ``after``: how many keys
    from ``level`` on must come after their values; 0 = all rows. ``blank``: the key at ``level`` is blank.
    """

    level: int
    before: tuple[bool, ...]
    after: int = 0
    blank: bool = False


def total_order(sort: Sort) -> Sort:
    """The sort with ``id`` behind it, in the direction of its last key."""
    seen = dict(reversed(sort))
    kept = tuple((key, seen.pop(key)) for key, _ in sort if key in seen)
    if any(key == "id" for key, _ in kept):
        return kept
    return (*kept, ("id", kept[-1][1] if kept else False))


def filled_keys(deleted: bool) -> frozenset[str]:
    """Keys that no live (or no deleted) row has blank."""
    return ALWAYS_FILLED | {"deleted_at"} if deleted else ALWAYS_FILLED


def segments_of(order: Sort, after: tuple[Any, ...] | None, filled: frozenset[str]) -> Iterator[Segment]:
    """The segments of a list in order, beginning after the given position."""
    if after is None:
        yield Segment(0, ())
        if order[0][0] not in filled:
            yield Segment(0, (), blank=True)
        return
    there = [value is not None for value in after]
    level = len(order) - 1
    while level >= 0:
        if there[level]:
            first = level
            while first and _mergeable(order, there, first, filled):
                first -= 1
            yield Segment(first, tuple(there[:first]), after=level - first + 1)
            if order[first][0] not in filled:
                yield Segment(first, tuple(there[:first]), blank=True)
            level = first
        level -= 1


def _mergeable(order: Sort, there: Sequence[bool], level: int, filled: frozenset[str]) -> bool:
    """One row comparison can cover this key and the one before: same direction, and no blanks in between."""
    return order[level][0] in filled and there[level - 1] and order[level][1] == order[level - 1][1]


def follows(
    columns: Sequence[ColumnElement[Any]], places: Sequence[Any], order: Sort, level: int, width: int
) -> ColumnElement[bool]:
    """Whether a row comes after the one with these values, by ``width`` keys from ``level`` on."""
    descending = order[level][1]
    if width == 1:
        return columns[level] < places[level] if descending else columns[level] > places[level]
    left, right = tuple_(*columns[level : level + width]), tuple_(*places[level : level + width])
    return and_(left < right if descending else left > right)
