"""Many-to-many values: the set that a caller sends becomes records of the junction object.

``{"tags": ["id", {"id": "id", "since": "2026-01-01"}]}`` is the whole set: links that are missing are added,
attributes that differ are changed, links that are not named are removed. They go through the same save as everything
else. What changed
is an entry of the record's history: the links before and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ratoon.platform.errors import ValidationFailed
from ratoon.platform.records.drafts import Change, Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving

SOURCE, TARGET = "source", "target"


def save_links(saving: Saving, plan: ObjectPlan, draft: Draft) -> None:
    """Brings the junction records of one record in line with the values given for its many-to-many fields."""
    for key, wanted in draft.links.items():
        junction = plan.links[key].junction
        if junction is None:
            continue
        there = current(saving, junction, [draft.id]).get(draft.id, [])
        by_target = {link[TARGET]: link for link in there}
        named = {link["id"]: {k: v for k, v in link.items() if k != "id"} for link in wanted}
        new = [{SOURCE: draft.id, TARGET: t, **more} for t, more in named.items() if t not in by_target]
        changed = [Change(by_target[t]["id"], more) for t, more in named.items() if t in by_target and more]
        kept = _hidden(saving, plan.links[key].targets[0], [t for t in by_target if t not in named])
        gone = [link["id"] for t, link in by_target.items() if t not in named and t not in kept]
        nested = saving.service.nested(f"{plan.name}.{key}")
        if gone:
            nested.delete(junction, gone)
        places = {target: place for place, target in enumerate(named)}
        if changed:
            with _placed(draft, key, [places[t] for t, more in named.items() if t in by_target and more]):
                nested.update(junction, changed)
        if new:
            with _placed(draft, key, [places[link[TARGET]] for link in new]):
                nested.create(junction, new)
        if draft.old is not None and (gone or changed or new):
            _remember(saving, plan, draft, key, there)


def _hidden(saving: Saving, target: str, ids: list[str]) -> set[str]:
    """Ends of links that the actor may not see: whoever sends the whole set cannot name them, so they stay."""
    where = () if saving.depth else saving.engine.policy.row_filter(saving.actor, target, "read")
    if not where or not ids:
        return set()
    return set(ids) - saving.store.visible(saving.connection, target, ids, where)


@contextmanager
def _placed(draft: Draft, key: str, places: Sequence[int]) -> Iterator[None]:
    """What is wrong with a link is a problem of the record that was sent, at the link's place in the list."""
    try:
        yield
    except ValidationFailed as refused:
        problems = []
        for problem in refused.problems:
            inner = () if problem.field is None else ("id" if problem.field == TARGET else problem.field,)
            within = (places[problem.index or 0], *inner)
            problems.append(replace(problem, field=key, index=draft.index, within=within))
        raise ValidationFailed(problems) from None


def _remember(saving: Saving, plan: ObjectPlan, draft: Draft, key: str, before: Sequence[Mapping[str, Any]]) -> None:
    """The links before and after, as values of the touched record: its history tells them like any other change."""
    junction = saving.engine.plans[plan.links[key].junction or ""]
    after = current(saving, junction.name, [draft.id]).get(draft.id, [])
    touched = saving.touched[plan.name][draft.id]
    touched.old = {**(touched.old or {}), key: _told(junction, before)}
    touched.new = {**touched.new, key: _told(junction, after)}


def _told(junction: ObjectPlan, links: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Links as the API writes them, in a steady order; attributes that are blank are left out."""
    told = []
    for link in sorted(links, key=lambda link: str(link["id"])):
        entry = {"id": link[TARGET]}
        for field in junction.object.fields.values():
            if field.system or field.name in (SOURCE, TARGET):
                continue
            for key in (part.key for part in field.parts):
                value, dump = link.get(key), junction.dump[key]
                if value is not None:
                    entry[key] = dump(value) if dump is not None else value
        told.append(entry)
    return told


def current(saving: Saving, junction: str, sources: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Source id → its live junction rows."""
    pairs = saving.store.children(saving.connection, junction, SOURCE, sources)
    rows = saving.store.load(saving.connection, junction, [record for record, _ in pairs])
    found: dict[str, list[dict[str, Any]]] = {}
    for record, source in pairs:
        if record in rows:
            found.setdefault(source, []).append(rows[record])
    return found
