"""Derived indexes: what the metadata declares that it will query.

``Object.indexes`` holds the declared column lists, then for every reference the lookup column, then for every view its
sort, and for every stored column its filter reads, that column followed by the sort; then what row rights read. Each
list ends with ``id``, because lists page by key; storage makes them partial on live rows. A list that begins another
one is left out. Unique fields, external ids and keys are not here: storage gives them unique indexes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ratoon.platform.metadata.model import Automation, Field
from ratoon.platform.metadata.screen_model import View

MAX_FILTER_COLUMNS = 3
"""Columns of one view's filter that get an index; more would make every save pay for one list."""
LONG = frozenset(
    {
        "textarea",
        "richtext",
        "json",
        "secret",
        "file",
        "image",
        "multipicklist",
        "geolocation",
        "address",
        "many_to_many",
    }
)
"""Types that make no good key: long, or not one value."""
_LONGEST = 500
"""Texts that may be longer are not indexed (PostgreSQL refuses index rows over 2.7 kB)."""
_UNINDEXED = frozenset({"created_by", "modified_by", "version", "deleted_at"})

Columns = tuple[str, ...]


def derive_indexes(
    fields: Mapping[str, Field], declared: Iterable[Columns], views: Sequence[View], rights: Iterable[Columns] = ()
) -> tuple[Columns, ...]:
    """Declared plus derived column lists."""
    indexable = {
        part.key for field in fields.values() if _indexable(field) for part in field.parts if part.sql is not None
    }
    wanted: list[Columns] = [(*columns, "id") if columns[-1] != "id" else columns for columns in declared]
    wanted += [
        (field.name, "id")
        for field in fields.values()
        if field.type.reference and field.name not in _UNINDEXED and field.name in indexable
    ]
    for view in views:
        wanted += _of_view(view, indexable)
    wanted += [columns for columns in rights if indexable.issuperset(columns)]
    usable = [columns for columns in dict.fromkeys(wanted) if columns != ("id",)]
    return tuple(columns for columns in usable if not _begins_another(columns, usable))


def swept(automations: Iterable[Automation]) -> list[Columns]:
    """The dates that date-relative automations look for."""
    dates = [a.triggers.date for a in automations if a.triggers.date is not None]
    return [(trigger.field, "id") for trigger in dates]


def _of_view(view: View, indexable: set[str]) -> list[Columns]:
    sort: list[str] = []
    for key, _ in view.sort:
        if key not in indexable or key == "id":
            break
        sort.append(key)
    found: list[Columns] = [(*sort, "id")]
    paths = sorted(view.filter.paths) if view.filter is not None else []
    own = [path for path in paths if path in indexable and path not in sort and path != "id"]
    found += [(path, *sort, "id") for path in own[:MAX_FILTER_COLUMNS]]
    if view.group_by in indexable and view.group_by not in sort:
        found.append((str(view.group_by), *sort, "id"))
    if view.date_field in indexable:
        found.append((str(view.date_field), "id"))
    return found


def _begins_another(columns: Columns, all_columns: Sequence[Columns]) -> bool:
    """(account, id) beside (account, amount, id): the second serves both."""
    stem = columns[:-1]
    return any(other != columns and other[: len(stem)] == stem and len(other) > len(columns) for other in all_columns)


def _indexable(field: Field) -> bool:
    if field.type.name in LONG or field.type.name == "url":
        return False
    length = field.spec.option("max_length")
    return not isinstance(length, int) or length <= _LONGEST
