"""Finding records by words (global search, type-ahead) and what happened to one, as far as the actor may know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import NotFound
from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Field
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.records.reading import context_of, seen_rows, visible_rows
from ratoon.platform.storage import history, search
from ratoon.platform.storage.lists import ListRequest

if TYPE_CHECKING:
    from ratoon.platform.records.service import RecordService


def shown_history(service: RecordService, object: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Entries cut down to what the actor may read; one of which nothing is left is left out itself."""
    if service.actor.admin:
        return entries
    policy, actor, links = service.engine.policy, service.actor, service.plan(object).links
    readable = policy.readable_keys(actor, object)
    readable -= {key for key, field in links.items() if policy.row_filter(actor, field.targets[0], "read")}
    kept = []
    field = service.plan(object).object.stage_field
    for entry in entries:
        if entry["action"] in (history.TICKED, history.UNTICKED):
            if field is not None and field.name in readable:
                kept.append(entry)
            continue
        changes = {k: v for k, v in (entry["changes"] or {}).items() if k in readable}
        if changes or not entry["changes"]:
            kept.append({**entry, "changes": changes})
    return kept


def search_all(
    service: RecordService, text: str, objects: Sequence[str] | None, limit: int
) -> list[tuple[str, str, str]]:
    """Hits of the global search that the actor may see.

    Where some searchable field is hidden from the actor, a hit counts only when the others have the words, and comes
    in an order that says nothing about the hidden ones.
    """
    policy = service.engine.policy
    allowed = [o.name for o in policy.objects(service.actor) if objects is None or o.name in objects]
    wanted = limit * 3
    while True:
        hits = search.search(service.connection, text, allowed, wanted)
        found = _visible_hits(service, text, hits)
        if len(found) >= limit or len(hits) < wanted or wanted >= search.CANDIDATES:
            return found[:limit]
        wanted = min(wanted * 4, search.CANDIDATES)


def _visible_hits(
    service: RecordService, text: str, hits: Sequence[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    by_object: dict[str, list[str]] = {}
    for object, record, _ in hits:
        by_object.setdefault(object, []).append(record)
    open_, veiled = {}, []
    for object, ids in by_object.items():
        plan, readable = service.plan(object), service.engine.policy.readable_keys(service.actor, object)
        rows = visible_rows(service, object, ids)
        if readable.issuperset(plan.searchable):
            open_.update({(object, record): row for record, row in rows.items()})
            continue
        keys = [key for key in plan.searchable if key in readable]
        for record in sorted(rows):
            texts = [str(rows[record][key]) for key in keys if rows[record].get(key) is not None]
            if search.covers(text, texts):
                veiled.append((object, record, _titled(plan, rows[record])))
    seen = [(o, r, _titled(service.plan(o), open_[o, r])) for o, r, _ in hits if (o, r) in open_]
    return [*seen, *veiled]


def _titled(plan: ObjectPlan, row: Mapping[str, Any]) -> str:
    name = row.get(plan.object.title)
    return "" if name is None else str(name)


def suggest(
    service: RecordService, object: str, name: str, text: str, so_far: Mapping[str, Any], limit: int
) -> list[tuple[str, str, str]]:
    """Records a lookup may point at: (object, id, title), matching ``text`` and passing the lookup filter.

    A polymorphic lookup looks among all its objects, or only in the one that ``so_far`` already names.
    """
    found = service.plan(object).object.fields.get(name)
    policy, actor = service.engine.policy, service.actor
    known = {*policy.readable_keys(actor, object), *policy.editable_keys(actor, object)}
    if found is None or not found.targets or not (actor.admin or name in known):
        raise NotFound("{object} has no lookup {name}.", object=object, name=name)
    hits: list[tuple[str, str, str]] = []
    chosen = so_far.get(f"{name}_object")
    for target in [chosen] if chosen in found.targets else found.targets:
        if not service.engine.policy.may(service.actor, target, "read"):
            continue
        plan = service.plan(target)
        title = plan.object.title
        if not actor.admin and title not in policy.readable_keys(actor, target):
            title = "id"
        condition = _suggestion_filter(service, plan, found, title, text)
        request = ListRequest(
            object=target,
            fields=tuple(dict.fromkeys(("id", title))),
            filter=condition,
            **seen_rows(service, target),
            sort=((title, False),),
            limit=limit,
            context=replace(context_of(service), source=so_far),
        )
        page = service.engine.store.lists.fetch(service.connection, request)
        hits += [(target, row["id"], "" if title == "id" else str(row[title] or "")) for row in page.rows]
    return hits[:limit]


def _suggestion_filter(service: RecordService, plan: ObjectPlan, found: Field, title: str, text: str) -> Formula | None:
    parts = [f"({found.lookup_filter.source})"] if found.lookup_filter is not None else []
    if text.strip() and title == "id":
        parts.append("FALSE")  # what they may not read cannot be looked for
    elif text.strip():
        quoted = text.strip().lower().replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'CONTAINS(LOWER({title}), "{quoted}")')
    if not parts:
        return None
    return service.engine.filter(plan.name, " && ".join(parts), source_object=found.object)
