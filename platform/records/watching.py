"""Step 13, validation rules that aggregate over related records: asked of a record when its related records change.

A rule of an invoice that says ``SUM(lines.amount) > 1000`` must also hold after a line was added, changed, moved,
deleted or restored, though nobody saved the invoice. ``to_check`` finds the records and loads them as they stand now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.metadata.graph import Over
from ratoon.platform.metadata.model import Rule
from ratoon.platform.records.drafts import Draft
from ratoon.platform.records.plan import ObjectPlan

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving


def to_check(saving: Saving) -> Iterator[tuple[ObjectPlan, list[Draft], tuple[Rule, ...]]]:
    """Object by object: the records whose related records this transaction changed, and the rules to ask of them."""
    wanted: dict[str, dict[str, set[str]]] = {}
    watched = saving.engine.registry.graph.watched
    for object, records in list(saving.touched.items()):
        for over in watched.get(object, ()):
            ids = _reached(saving, over, records)
            target, rule = over.edge.target
            for record in ids:
                wanted.setdefault(target, {}).setdefault(record, set()).add(rule)
    for object, found in wanted.items():
        plan = saving.engine.plans[object]
        rules = tuple(rule for rule in plan.rules if any(rule.name in names for names in found.values()))
        paths = plan.rule_paths
        rows = saving.store.load(saving.connection, object, sorted(found), paths=paths, context=saving.context())
        yield plan, [Draft(0, record, row, dict(row), frozenset()) for record, row in rows.items()], rules


def _reached(saving: Saving, over: Over, records: Mapping[str, Any]) -> set[str]:
    """The records whose related records changed in something that the rule reads."""
    assert over.edge.via is not None
    via = over.edge.via[1]
    ids: set[str] = set()
    for touched in records.values():
        rows = [row for row in (touched.old, touched.new) if row is not None]
        whole = touched.event != "updated" or len(rows) < 2
        if whole or any(rows[0].get(key) != rows[1].get(key) for key in (via, *over.keys)):
            ids.update(row[via] for row in rows if row.get(via) is not None)
    for object, key in over.edge.then:
        ids = saving.store.back(saving.connection, object, key, list(ids))
    return ids
