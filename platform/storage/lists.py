"""Lists page by page, counts and aggregates: the statements behind every list view, filter and chart.

A list is read in an order and in segments that an index serves (``segments.py``), so the thousandth page costs what the
first did.

Who may see records in several ways is answered in one of two manners, both exact. Somebody who sees much finds a page
among the first few hundred rows, each of them asked: the list is *walked*. Somebody who sees little would walk far, so
each way is asked for its first rows. A walk ends after so many rows; whose page that does not fill walks no more for
a while.

Filters are formulas; a dotted path in them costs one join per distinct path. Row filters of the access room come in
as ``where``. Statements are compiled once per shape (``conditions.py``).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    and_,
    func,
    literal,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.sql.expression import Select

from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.types import EvalContext
from ratoon.platform.storage.aggregates import Grouping, Having, Measure
from ratoon.platform.storage.conditions import Condition, Recent, ways_of
from ratoon.platform.storage.paths import Visible
from ratoon.platform.storage.segments import Segment, Sort, filled_keys, follows, segments_of, total_order
from ratoon.platform.storage.sight import MAX_READERS, Sight
from ratoon.platform.storage.statements import Row, parameter

if TYPE_CHECKING:
    from ratoon.platform.storage.store import RecordStore

MOST_WAYS = 8
"""Ways to a record that are asked for one by one; further ones are asked together."""
SEEN = "ratoon_seen"


@dataclass(frozen=True)
class ListRequest:
    """What a list asks for."""

    object: str
    fields: tuple[str, ...] | None = None
    """Keys (and dotted paths) to return; ``None`` = every column. ``id`` and the sort keys are always there."""
    filter: Formula | None = None
    where: tuple[ColumnElement[Any], ...] = ()
    """Further conditions on the object's own table (row filters)."""
    by_row: tuple[ColumnElement[Any], ...] = ()
    """The conditions of ``where`` written to be asked of one row after another; empty = no list is walked."""
    reader: str | None = None
    """For whom the conditions hold: how much they see is remembered by this."""
    visible: Visible | None = None
    """What behind lookups and of related records the filter, the sort and groups may see; ``None`` = all."""
    sort: Sort = ()
    limit: int = 50
    after: tuple[Any, ...] | None = None
    """``Page.next`` of the page before."""
    deleted: bool = False
    """List deleted records instead of live ones."""
    written: bool = False
    """The rows are only written out: exact numbers may be their texts. Not with a sort by such a number."""
    context: EvalContext = field(default_factory=EvalContext)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list."""

    rows: list[Row]
    next: tuple[Any, ...] | None
    """Where the next page starts: the sort values and the id of the last row; ``None`` after the last page."""


class Lists:
    """The list statements of one registry snapshot."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._found: Recent[Hashable, Sight] = Recent(MAX_READERS)

    def fetch(self, conn: Connection, request: ListRequest) -> Page:
        """One page. Raises ``ValueError`` when ``after`` does not fit the sort."""
        order = total_order(request.sort)
        if request.after is not None and len(request.after) != len(order):
            raise ValueError("the position does not belong to this sort order")
        conditions = _conditions(self._store, request)
        guards = _guards(self._store, request, (*(key for key, _ in order), *(request.fields or ())))
        beside = (*conditions, *guards.values())
        given = {f"k{at}": value for at, value in enumerate(request.after or ())}
        rows = self._walked(conn, request, order, guards, given)
        wanted = request.limit + 1
        if len(rows) == wanted:
            return _page(rows, request, order)
        rows = []
        paths = _paths_of(request)
        end = request.limit if any(len(ways_of(element)) > 1 for element in request.where) else None
        for segment in segments_of(order, request.after, filled_keys(request.deleted)):
            shape = ("list", request.object, request.fields, order, request.deleted, end, paths, segment, *guards)
            build = partial(_query, self._store, request, order, segment, conditions, guards)
            statement, values = self._store.shapes.get(shape, beside, build)
            run = statement.written_rows if request.written else statement.rows
            rows += run(conn, limit=wanted - len(rows), **given, **values)
            if len(rows) >= wanted:
                break
        return _page(rows, request, order)

    def _walked(
        self,
        conn: Connection,
        request: ListRequest,
        order: Sort,
        guards: Mapping[str, Condition],
        given: Mapping[str, Any],
    ) -> list[Row]:
        """The rows of a page, found by looking at one after another; empty when they are to be found otherwise."""
        if not any(self._store.shapes.condition(element).searches for element in request.by_row):
            return []
        paths = _paths_of(request)
        source = request.filter.source if request.filter is not None else None
        sight = self._sight((request.reader, request.object), (request.deleted, order, source))
        distances = sight.worth_walking()
        if not distances:
            return []
        segment = next(segments_of(order, request.after, filled_keys(request.deleted)))
        asked = _conditions(self._store, replace(request, where=request.by_row))
        for far in distances:
            most = far * (request.limit + 1)
            shape = ("walk", request.object, request.fields, order, request.deleted, most, paths, segment, *guards)
            build = partial(_walking, self._store, request, order, segment, asked, guards, most)
            statement, values = self._store.shapes.get(shape, (*asked, *guards.values()), build)
            run = statement.written_rows if request.written else statement.rows
            rows = run(conn, **given, **values)
            if len(rows) > request.limit:
                return rows
            sight.was_in_vain(far)
        return []

    def _sight(self, reader: tuple[str | None, str], list: Hashable) -> Sight:
        """How much somebody sees of a list; at first what was found last of another list of the object."""
        found = self._found.get((reader, list))
        if found is None:
            found = self._found.keep((reader, list), Sight(self._found.get((reader, None))))
            self._found.keep((reader, None), found)
        return found

    def count(self, conn: Connection, request: ListRequest, ceiling: int) -> int:
        """How many rows the whole list has; ``ceiling + 1`` when there are more than ``ceiling``."""
        conditions = _conditions(self._store, request)
        guards = _guards(self._store, request, ())

        def build() -> Select[Any]:
            most: Any = parameter("limit", Integer())
            rest, ways = _ways(request, conditions)
            if not ways:
                inner = _filtered(self._store, request, select(literal(1).label("one")), rest, (), guards)
                return select(func.count()).select_from(inner.limit(most).subquery())
            table = self._store.tables.table(request.object)
            found = [
                _filtered(self._store, request, select(table.c.id), [*rest, way], (), guards).limit(most).subquery()
                for way in ways
            ]
            either = union(*(select(one.c.id) for one in found)).subquery()
            return select(func.count()).select_from(select(either.c.id).limit(most).subquery())

        shape = ("count", request.object, request.deleted, _paths_of(request), *guards)
        statement, values = self._store.shapes.get(shape, (*conditions, *guards.values()), build)
        counted: int = statement.first_column(conn, limit=ceiling + 1, **values)[0]
        return counted

    def aggregate(
        self,
        conn: Connection,
        object: str,
        group_by: Sequence[str] = (),
        measures: Sequence[Measure] = (("count", None),),
        filter: Formula | None = None,
        where: tuple[ColumnElement[Any], ...] = (),
        context: EvalContext | None = None,
        *,
        having: Sequence[Having] = (),
        limit: int = 1000,
        visible: Visible | None = None,
    ) -> list[Row]:
        """Groups of the live records with their measures, ordered by group, blanks last; see ``aggregates.py``.

        Raises ``ValueError`` for an operation or measure that does not exist.
        """
        request = ListRequest(object, filter=filter, where=where, visible=visible, context=context or EvalContext())
        conditions = _conditions(self._store, request)
        grouping = Grouping(tuple(group_by), tuple(measures), tuple(having))
        column = partial(self._store.paths.column, object, context=request.context)
        guards = _guards(self._store, request, grouping.paths)
        shape = ("aggregate", object, _paths_of(request), grouping.shape, *guards)

        def build() -> Select[Any]:
            query = grouping.query(column).limit(parameter("limit", Integer()))
            elements = [condition.element for condition in conditions]
            return _filtered(self._store, request, query, elements, grouping.paths, guards)

        statement, values = self._store.shapes.get(shape, (*conditions, *guards.values()), build)
        found = statement.tuples(conn, limit=limit, **grouping.given, **values)
        return grouping.rows(found, column)


def _page(rows: list[Row], request: ListRequest, order: Sort) -> Page:
    """A page of what was found, which is one row more when there is a further page."""
    if len(rows) <= request.limit:
        return Page(rows, None)
    last = rows[request.limit - 1]
    return Page(rows[: request.limit], tuple(last[key] for key, _ in order))


def _conditions(store: RecordStore, request: ListRequest) -> tuple[Condition, ...]:
    where = (store.shapes.condition(element) for element in request.where)
    if request.filter is None:
        return tuple(where)
    return (store.condition(request.object, request.filter, request.context, request.visible), *where)


def _guards(store: RecordStore, request: ListRequest, paths: Sequence[str]) -> dict[str, Condition]:
    """Step → the condition under which somebody may look there."""
    if request.visible is None:
        return {}
    steps = store.paths.steps(request.object, (*_paths_of(request), *paths))
    found = store.paths.guards(request.object, steps, request.visible)
    return {step: store.shapes.condition(element) for step, element in found.items()}


def _ways(
    request: ListRequest, conditions: Sequence[Condition]
) -> tuple[list[ColumnElement[Any]], list[ColumnElement[Any]]]:
    """The conditions that all rows meet, and the ways of which rows meet one.

    Whoever sees records in several ways (owned, shared, by a rule) would make the database read the list in its order
    until enough rows pass; it finds each way by an index of its own. So each is asked for its first rows alone.
    """
    elements = [condition.element for condition in conditions]
    for at in range(len(elements) - len(request.where), len(elements)):
        ways = ways_of(elements[at])
        if len(ways) > 1:
            if len(ways) > MOST_WAYS:
                ways = [*ways[: MOST_WAYS - 1], or_(*ways[MOST_WAYS - 1 :])]
            return elements[:at] + elements[at + 1 :], ways
    return elements, []


def _filtered(
    store: RecordStore,
    request: ListRequest,
    query: Select[Any],
    conditions: Sequence[ColumnElement[Any]],
    paths: Sequence[str],
    guards: Mapping[str, Condition],
) -> Select[Any]:
    deleted_at = store.tables.table(request.object).c.deleted_at
    elements = {step: guard.element for step, guard in guards.items()}
    source = store.paths.joined(request.object, (*_paths_of(request), *paths), elements)
    state = deleted_at.is_not(None) if request.deleted else deleted_at.is_(None)
    return query.select_from(source).where(state, *conditions)


def _query(
    store: RecordStore,
    request: ListRequest,
    order: Sort,
    segment: Segment,
    conditions: tuple[Condition, ...],
    guards: Mapping[str, Condition],
) -> Select[Any]:
    keys = [key for key, _ in order]
    rest, ways = _ways(request, conditions)
    query = select(*_selected(store, request, keys))
    if not ways:
        return _ranged(store, request, order, segment, query, rest, guards)
    table = store.tables.table(request.object)
    most: Any = literal_column(str(request.limit + 1))
    sorted_by = dict.fromkeys(key for key in keys if key != "id")
    shown = [table.c.id, *(store.paths.column(request.object, key, request.context).label(key) for key in sorted_by)]
    found = [
        _ranged(store, request, order, segment, select(*shown), [*rest, way], guards, most).subquery() for way in ways
    ]
    either = union(*(select(*one.c) for one in found)).subquery()
    first = select(either.c.id).limit(most)
    for place in range(segment.level + segment.blank, len(order)):
        first = first.order_by(_ordered(request, order, segment, place, either.c[keys[place]]))
    return _ranged(store, request, order, segment, query, [table.c.id.in_(first)], guards)


def _ranged(
    store: RecordStore,
    request: ListRequest,
    order: Sort,
    segment: Segment,
    query: Select[Any],
    conditions: Sequence[ColumnElement[Any]],
    guards: Mapping[str, Condition],
    most: Any = None,
) -> Select[Any]:
    """The rows of one segment that meet the conditions, in order, as many as are wanted (or ``most``)."""
    keys = [key for key, _ in order]
    columns = [store.paths.column(request.object, key, request.context) for key in keys]
    places = [parameter(f"k{at}", column.type) for at, column in enumerate(columns)]
    query = _filtered(store, request, query, conditions, (*keys, *(request.fields or ())), guards)
    for at, equal in enumerate(segment.before):
        query = query.where(columns[at] == places[at] if equal else columns[at].is_(None))
    level = segment.level
    if segment.blank:
        query = query.where(columns[level].is_(None))
        level += 1
    elif segment.after:
        query = query.where(follows(columns, places, order, level, segment.after))
    elif keys[level] not in filled_keys(request.deleted):
        query = query.where(columns[level].is_not(None))
    for at in range(level, len(order)):
        query = query.order_by(_ordered(request, order, segment, at, columns[at]))
    return query.limit(parameter("limit", Integer()) if most is None else most)


def _ordered(
    request: ListRequest, order: Sort, segment: Segment, at: int, column: ColumnElement[Any]
) -> ColumnElement[Any]:
    key, descending = order[at]
    ordered = column.desc() if descending else column.asc()
    filled = key in filled_keys(request.deleted) or (at == segment.level and not segment.blank)
    return ordered if filled else ordered.nulls_last()


def _walking(
    store: RecordStore,
    request: ListRequest,
    order: Sort,
    segment: Segment,
    conditions: tuple[Condition, ...],
    guards: Mapping[str, Condition],
    most: int,
) -> Select[Any]:
    """The first ``most`` rows of one segment in order, each asked whether it may be seen, until enough may."""
    keys = [key for key, _ in order]
    at = len(conditions) - len(request.by_row)
    seen = and_(*(condition.element for condition in conditions[at:])).label(SEEN)
    others = [condition.element for condition in conditions[:at]]
    # The numbers are part of the text: for a parameter PostgreSQL would expect a tenth of the table.
    end: Any = literal_column(str(most))
    query = select(*_selected(store, request, keys), seen)
    passed = _ranged(store, request, order, segment, query, others, guards, end).subquery("passed")
    found = select(*(column for column in passed.c if column.key != SEEN)).where(passed.c[SEEN])
    for place in range(segment.level + segment.blank, len(order)):
        found = found.order_by(_ordered(request, order, segment, place, passed.c[keys[place]]))
    return found.limit(literal_column(str(request.limit + 1)))


def _selected(store: RecordStore, request: ListRequest, keys: Sequence[str]) -> Iterator[ColumnElement[Any]]:
    table = store.tables.table(request.object)
    wanted = request.fields if request.fields is not None else tuple(c.key for c in table.c if c.key != "deletion_id")
    for key in dict.fromkeys(("id", *wanted, *keys)):
        if "." in key:
            yield store.paths.column(request.object, key, request.context).label(key)
        elif key in table.c:
            yield table.c[key]


def _paths_of(request: ListRequest) -> frozenset[str]:
    return request.filter.paths if request.filter is not None else frozenset()
