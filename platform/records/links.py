"""Many-to-many values: the set that a caller sends becomes records of the junction object.

``{"tags": ["id", {"id": "id", "since": "2026-01-01"}]}`` is the whole set: links that are missing are added,
attributes that differ are changed, links that are not named are removed. They go through the same save as everything
else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        there = current(saving, junction, [draft.id])
        by_target = {link[TARGET]: link for link in there.get(draft.id, [])}
        named = {link["id"]: {k: v for k, v in link.items() if k != "id"} for link in wanted}
        new = [{SOURCE: draft.id, TARGET: t, **more} for t, more in named.items() if t not in by_target]
        changed = [Change(by_target[t]["id"], more) for t, more in named.items() if t in by_target and more]
        gone = [link["id"] for t, link in by_target.items() if t not in named]
        nested = saving.service.nested(f"{plan.name}.{key}")
        if gone:
            nested.delete(junction, gone)
        if changed:
            nested.update(junction, changed)
        if new:
            nested.create(junction, new)


def current(saving: Saving, junction: str, sources: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Source id → its live junction rows."""
    pairs = saving.store.children(saving.connection, junction, SOURCE, sources)
    rows = saving.store.load(saving.connection, junction, [record for record, _ in pairs])
    found: dict[str, list[dict[str, Any]]] = {}
    for record, source in pairs:
        if record in rows:
            found.setdefault(source, []).append(rows[record])
    return found
