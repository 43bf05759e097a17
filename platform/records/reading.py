"""Reading records: one, a page, counts and sums, titles, search, type-ahead. Everything under the actor's rights."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import BadRequest, Forbidden, FormulaError, NotFound
from ratoon.platform.formulas import Formula
from ratoon.platform.formulas.tree import MANY
from ratoon.platform.formulas.types import EvalContext, Type
from ratoon.platform.metadata.model import Field, Object
from ratoon.platform.records import cursors
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage.lists import ListRequest
from ratoon.platform.storage.paths import Visible
from ratoon.platform.storage.rates import StoredRates

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService

EXPANDED = "expanded"
"""Key under which ``expand`` puts the referenced records: lookup name → record."""
ORDERED = frozenset({Type.NUMBER, Type.TEXT, Type.PICKLIST, Type.DATE, Type.DATETIME, Type.TIME})
"""Types whose values have a smallest and a largest."""
NEWEST_FIRST = "-created_at"
COUNT_CEILING = 10_000
"""Counting stops here: “more than 10,000” is answer enough and costs no full scan."""


@dataclass(frozen=True)
class Query:
    """Which records, in which order, with which keys."""

    object: str
    filter: str | Formula | None = None
    sort: Sequence[str] | None = None
    """Keys, ``-`` before a key for descending; ``None`` = the view's, or newest first."""
    limit: int = 50
    cursor: str | None = None
    fields: Sequence[str] | None = None
    """Fields to return; ``None`` = all readable ones."""
    expand: Sequence[str] = ()
    """Lookups whose records come along."""
    view: str | None = None
    written: bool = False
    """The records are only written as JSON: exact numbers may be the texts that this takes."""
    deleted: bool = False
    """The recycle bin instead of the live records."""
    count: bool = False


@dataclass(frozen=True)
class Page:
    """A page of records."""

    records: list[dict[str, Any]]
    next_cursor: str | None = None
    total: int | None = None
    """Only when asked for; at most ``COUNT_CEILING`` + 1."""
    keys: tuple[str, ...] = field(default=())
    """The keys of each record, in order."""


def context_of(service: RecordService, now: datetime | None = None) -> EvalContext:
    """What formulas see beside the row; ``now`` when it is not the clock's."""
    engine, actor = service.engine, service.actor
    home = str(engine.organization.get("currency") or "")
    return EvalContext(
        now=now or engine.world.clock(),
        time_zone=actor.zone,
        user=actor.facts,
        organization=engine.organization,
        rates=StoredRates(engine.store, service.connection, home),
        words=partial(engine.registry.text, locale=actor.locale),
    )


def keys_of(service: RecordService, plan: ObjectPlan, fields: Sequence[str] | None) -> tuple[str, ...]:
    """The record keys for the fields asked for. Raises ``BadRequest`` with the nearest name for an unknown one."""
    readable = None if service.actor.admin else service.engine.policy.readable_keys(service.actor, plan.name)
    if fields is None:
        everything = plan.readable
        return everything if readable is None else tuple(k for k in everything if k in readable)
    keys: dict[str, None] = {"id": None, "version": None}
    for name in fields:
        found = plan.object.fields.get(name)
        parts = [p.key for p in found.parts] if found else [name] if name in plan.object.parts else []
        if not parts:
            raise _unknown_field(plan.object, name, "fields", readable)
        if readable is not None and not readable.issuperset(parts):
            raise _unknown_field(plan.object, name, "fields", readable)
        keys.update(dict.fromkeys(parts))
    return tuple(keys)


def _unknown_field(obj: Object, name: str, parameter: str, readable: frozenset[str] | None) -> BadRequest:
    """There is no such field, or none that the actor may read: both are answered alike."""
    near = difflib.get_close_matches(name, [key for key in obj.parts if readable is None or key in readable], n=1)
    message = "There is no field {name} on {object}." + (" Did you mean {near}?" if near else "")
    return BadRequest(message, field=parameter, name=name, object=obj.name, near=near[0] if near else None)


def compile_filter(service: RecordService, plan: ObjectPlan, source: str | Formula | None) -> Formula | None:
    """The compiled filter; ``BadRequest`` tells what is wrong with it and where."""
    if source is None or source == "":
        return None
    if isinstance(source, Formula):
        return source
    try:
        formula = service.engine.filter(plan.name, source, actor=service.actor)
    except FormulaError as error:
        at = "" if error.position is None else f" (at character {error.position + 1})"
        raise BadRequest("The filter is not valid: {reason}", field="filter", reason=error.text() + at,
                         position=error.position) from error  # fmt: skip
    if formula.type is not Type.BOOLEAN:
        raise BadRequest("The filter is never true.", field="filter")
    if formula.sql_refusal:
        raise BadRequest("The filter cannot be used on a list: {reason}", field="filter", reason=formula.sql_refusal)
    if not service.actor.admin:
        for path in formula.paths:
            require_readable(service, plan.object, path, "filter")
    return formula


def seen_rows(service: RecordService, object: str, *, deleted: bool = False) -> dict[str, Any]:
    """What a ``ListRequest`` says of the rows that the actor may see."""
    policy, actor = service.engine.policy, service.actor
    if deleted:  # few, and what makes a master's rows easy to find knows of live ones only
        return {"where": policy.row_filter(actor, object, "read")}
    where = policy.row_filter(actor, object, "read", manner="found")
    by_row = policy.row_filter(actor, object, "read", manner="walked") if where else ()
    return {"where": where, "by_row": by_row, "reader": actor.id}


def visible_to(service: RecordService) -> Visible | None:
    """The conditions under which the actor sees records of an object; ``None`` = all."""
    if service.actor.admin:
        return None
    return partial(service.engine.policy.row_guard, service.actor)


def require_readable(service: RecordService, obj: Object, path: str, parameter: str) -> None:
    """Every step of a path is readable by the actor; a hidden field is answered like an unknown one."""
    policy, actor = service.engine.policy, service.actor
    here = obj
    steps = path.split(".")
    for place, step in enumerate(steps):
        child, many, via = step.partition(MANY)
        readable = policy.readable_keys(actor, here.name)
        if via not in policy.readable_keys(actor, child) if many else step not in readable:
            raise _unknown_field(here, step, parameter, readable)
        targets = (child,) if many else here.field_of[step].targets
        if place < len(steps) - 1 and targets:
            here = service.engine.registry[targets[0]]
            if not policy.may(actor, here.name, "read"):
                raise Forbidden("You may not read {object}.", object=here.name)


def sort_of(
    plan: ObjectPlan, wanted: Sequence[str], readable: frozenset[str] | None, parameter: str = "sort"
) -> tuple[tuple[str, bool], ...]:
    """(key, descending) pairs. Raises ``BadRequest`` for a key that is unknown or cannot be sorted by."""
    sort: list[tuple[str, bool]] = []
    for name in wanted:
        key, down = name.removeprefix("-"), name.startswith("-")
        part = plan.object.parts.get(key)
        if part is None or (readable is not None and key not in readable):
            raise _unknown_field(plan.object, key, parameter, readable)
        if part.sql is None or not part.sortable:
            raise BadRequest("{name} cannot be sorted by.", field=parameter, name=key)
        if all(key != other for other, _ in sort):
            sort.append((key, down))
    return tuple(sort)


def measured(plan: ObjectPlan, operation: str, key: str, readable: frozenset[str] | None) -> None:
    """Raises ``BadRequest`` for a key that is unknown or has no such figure: only numbers have a sum."""
    sort_of(plan, [key], readable, "measures")
    kind = plan.object.parts[key.lstrip("-+")].formula
    fits = kind is Type.NUMBER if operation in ("sum", "avg") else operation == "count" or kind in ORDERED
    if not fits:
        raise BadRequest("{key} has no {operation}.", field="measures", key=key, operation=operation)


def fetch_page(service: RecordService, query: Query) -> Page:
    """A page of records, by key."""
    plan = service.plan(query.object)
    service.engine.policy.require(service.actor, plan.name, "read")
    view = next((v for v in plan.object.views if v.name == query.view), None) if query.view else None
    if query.view and view is None:
        raise NotFound("{object} has no view {view}.", object=plan.name, view=query.view)
    if not 1 <= query.limit <= service.engine.limits.page:
        raise BadRequest("limit must be between 1 and {most}.", field="limit", most=service.engine.limits.page)
    readable = None if service.actor.admin else service.engine.policy.readable_keys(service.actor, plan.name)
    keys = keys_of(service, plan, query.fields)
    wanted = query.sort
    if wanted is None:
        # A view is the admin's: what this actor may not read is left out of its order instead of closing the list.
        order = [(key, down) for key, down in view.sort if readable is None or key in readable] if view else []
        wanted = [("-" if down else "") + key for key, down in order] or [NEWEST_FIRST]
    sort = sort_of(plan, wanted, readable)
    formula = compile_filter(service, plan, query.filter)
    if view is not None and view.filter is not None:
        both = [view.filter.source, *([formula.source] if formula else [])]
        formula = service.engine.filter(plan.name, " && ".join(f"({source})" for source in both))
    shape = f"{plan.name}|{formula.source if formula else ''}|{sort}|{query.deleted}"
    secret = service.engine.secret()
    after = cursors.decode(secret, shape, query.cursor) if query.cursor else None
    request = ListRequest(
        object=plan.name,
        fields=_columns(plan, keys, query.expand),
        filter=formula,
        **seen_rows(service, plan.name, deleted=query.deleted),
        visible=visible_to(service),
        sort=sort,
        limit=query.limit,
        after=after,
        deleted=query.deleted,
        written=query.written and not plan.volatile and all(_stays(plan, key) for key, _ in sort),
        context=context_of(service),
    )
    page = service.engine.store.lists.fetch(service.connection, request)
    records = finish(service, plan, page.rows, keys, query.expand)
    total = None
    if query.count:
        total = service.engine.store.lists.count(service.connection, request, COUNT_CEILING)
    cursor = cursors.encode(secret, shape, page.next) if page.next is not None else None
    return Page(records, cursor, total, keys)


def _stays(plan: ObjectPlan, key: str) -> bool:
    """Whether a sort key has the same value when rows are only written out: the next page begins after it."""
    return plan.object.parts[key].formula is not Type.NUMBER


def _columns(plan: ObjectPlan, keys: Sequence[str], expand: Sequence[str]) -> tuple[str, ...] | None:
    """The columns to select: those asked for, and what volatile formulas among them read."""
    parts = plan.object.parts
    needed = dict.fromkeys(k for k in (*keys, *expand) if k in parts and parts[k].sql is not None)
    for name, formula in plan.volatile:
        if name in keys:
            return None
        needed.update(dict.fromkeys(p for p in formula.paths if p in parts and parts[p].sql is not None))
    for name in expand:
        found = plan.object.fields.get(name)
        needed.update(dict.fromkeys(p.key for p in found.parts) if found else {})
    return tuple(needed)


def finish(
    service: RecordService,
    plan: ObjectPlan,
    rows: list[dict[str, Any]],
    keys: Sequence[str],
    expand: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Rows → records: volatile formulas worked out, many-to-many values and expanded records added."""
    volatile = [(name, f) for name, f in plan.volatile if name in keys]
    if volatile and rows:
        context = context_of(service)
        # One volatile field may read another, so all are worked out in order and then cut down to what was asked.
        paths = frozenset(p for _, f in plan.volatile for p in f.paths if "." in p and not p.startswith("$"))
        if paths:
            service.engine.store.attach_paths(service.connection, plan.name, rows, paths, context)
        for row in rows:
            for name, formula in plan.volatile:
                try:
                    row[name] = plan.fit(name, formula.evaluate(row, context))
                except FormulaError:
                    row[name] = None
    links = [plan.links[k] for k in keys if k in plan.links]
    for found in links:
        _add_links(service, found, rows)
    if volatile or links or len(keys) < len(plan.columns):
        rows = [{key: row[key] for key in keys} for row in rows] if not expand else rows
    if expand:
        rows = _expand(service, plan, rows, keys, expand)
    return rows


def _add_links(service: RecordService, found: Field, rows: list[dict[str, Any]]) -> None:
    junction = found.junction or ""
    store = service.engine.store
    pairs = store.children(service.connection, junction, "source", [row["id"] for row in rows])
    links = store.load(service.connection, junction, [link for link, _ in pairs])
    attributes = [
        p.key
        for f in service.engine.registry[junction].fields.values()
        if not f.system and f.name not in ("source", "target")
        for p in f.parts
    ]
    by_source: dict[str, list[dict[str, Any]]] = {}
    where = service.engine.policy.row_filter(service.actor, found.targets[0], "read")
    if where:  # a link to what the actor may not see is not there for the actor
        ends = list({link["target"] for link in links.values()})
        seen = store.visible(service.connection, found.targets[0], ends, where)
        links = {id: link for id, link in links.items() if link["target"] in seen}
    for link in links.values():
        entry = {"id": link["target"], **{key: link[key] for key in attributes}}
        by_source.setdefault(link["source"], []).append(entry)
    for row in rows:
        row[found.name] = by_source.get(row["id"], [])


def _expand(
    service: RecordService, plan: ObjectPlan, rows: list[dict[str, Any]], keys: Sequence[str], expand: Sequence[str]
) -> list[dict[str, Any]]:
    records = [{key: row[key] for key in keys} for row in rows]
    for record in records:
        record[EXPANDED] = {}
    for name in expand:
        found = plan.object.fields.get(name)
        readable = None if service.actor.admin else service.engine.policy.readable_keys(service.actor, plan.name)
        if found is None or (readable is not None and name not in readable):
            raise _unknown_field(plan.object, name, "expand", readable)
        if not found.type.reference:
            raise BadRequest("{name} is not a lookup of {object} and cannot be expanded.", field="expand", name=name,
                             object=plan.name)  # fmt: skip
        loaded: dict[str, dict[str, Any]] = {}
        for target in found.targets:
            ids = [r[name] for r in rows if r[name] and (len(found.parts) == 1 or r[found.parts[1].key] == target)]
            loaded.update(visible_rows(service, target, ids))
        for row, record in zip(rows, records, strict=True):
            record[EXPANDED][name] = loaded.get(row[name])
    return records


def visible_rows(service: RecordService, object: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The live records among ``ids`` that the actor may see, with the keys the actor may read."""
    wanted = list(dict.fromkeys(ids))
    policy, actor = service.engine.policy, service.actor
    if not wanted or not policy.may(actor, object, "read"):
        return {}
    where = policy.row_filter(actor, object, "read")
    if where:
        seen = service.engine.store.visible(service.connection, object, wanted, where)
        wanted = [i for i in wanted if i in seen]
    plan = service.plan(object)
    keys = tuple(k for k in keys_of(service, plan, None) if k not in plan.links)
    rows = list(service.engine.store.load(service.connection, object, wanted).values())
    return {r["id"]: r for r in finish(service, plan, rows, keys)}


def fetch_one(
    service: RecordService, object: str, record: str, fields: Sequence[str] | None, expand: Sequence[str]
) -> dict[str, Any]:
    """One record, with its many-to-many values unless ``fields`` says otherwise: an edit form that sends back what
    it got must not lose them. Raises ``NotFound`` when there is none or the actor may not see it."""
    plan = service.plan(object)
    service.engine.policy.require(service.actor, object, "read")
    where = service.engine.policy.row_filter(service.actor, object, "read")
    hidden = where and record not in service.engine.store.visible(service.connection, object, [record], where)
    row = None if hidden else service.engine.store.load(service.connection, object, [record]).get(record)
    if row is None:
        raise NotFound("There is no {object} with id {id}.", object=object, id=record)
    keys = whole_keys(service, plan) if fields is None else keys_of(service, plan, fields)
    return finish(service, plan, [row], keys, expand)[0]


def whole_keys(service: RecordService, plan: ObjectPlan) -> tuple[str, ...]:
    """Every readable key of one record, its many-to-many values too."""
    keys = keys_of(service, plan, None)
    if not plan.links:
        return keys
    readable = None if service.actor.admin else service.engine.policy.readable_keys(service.actor, plan.name)
    return (*keys, *(key for key in plan.links if readable is None or key in readable))


def shown(service: RecordService, object: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row cut down to what the actor may read."""
    if service.actor.admin:
        return dict(row)
    readable = service.engine.policy.readable_keys(service.actor, object)
    return {key: value for key, value in row.items() if key in readable}


def titles(service: RecordService, object: str, ids: Iterable[str]) -> dict[str, str]:
    """What the records are called. Records that are gone or hidden are left out."""
    title = service.plan(object).object.title
    found = {record: row.get(title) for record, row in visible_rows(service, object, ids).items()}
    return {record: "" if name is None else str(name) for record, name in found.items()}
