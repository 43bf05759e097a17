"""Step 14: field history, stage history and the search index of everything the transaction touched; and in the audit
trail who was made, changed in what decides who gets in (``policy.ADMIN_ONLY``), deleted or brought back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ratoon.platform.access.policy import ADMIN_ONLY
from ratoon.platform.records import duplicates
from ratoon.platform.records.plan import ObjectPlan
from ratoon.platform.storage import history, search
from ratoon.platform.storage.audit import Happening, by_whom, note

if TYPE_CHECKING:
    from ratoon.platform.records.saving import Saving, Touched

GIVES = frozenset({"is_admin", "service"})
"""What is worth telling of a user who is made; everybody is active and has an address."""


def write(saving: Saving) -> None:
    """Writes what there is to remember about the touched records."""
    duplicates.settle(saving)
    entries: list[history.Entry] = []
    for object, records in saving.touched.items():
        plan = saving.engine.plans[object]
        whole: dict[str, list[str]] = {}
        for record, touched in records.items():
            if touched.event == "updated":
                entries += _entries(saving, plan, record, touched)
            else:
                whole.setdefault(touched.event, []).append(record)
        for event, ids in whole.items():
            who = saving.actor
            history.write_events(saving.connection, object, event, ids, saving.now, who.id, who.source)
        if plan.searchable:
            _index(saving, plan, records)
    if entries:
        history.write_history(saving.connection, entries)
    if saving.moves:
        history.write_stage_moves(saving.connection, saving.moves)
    told = [
        happening
        for object, keys in ADMIN_ONLY.items()
        for record, touched in saving.touched.get(object, {}).items()
        for happening in _who_gets_in(saving, saving.engine.plans[object], record, touched, keys)
    ]
    if told:
        note(saving.connection, saving.now, *told)


def _who_gets_in(
    saving: Saving, plan: ObjectPlan, record: str, touched: Touched, keys: Collection[str]
) -> Iterator[Happening]:
    """What the audit trail keeps of a user who was saved; nothing where only other fields changed."""
    old, new = touched.old or {}, touched.new
    made = touched.event == "created"
    changes = {
        key: [_json(plan, key, old.get(key)), _json(plan, key, new.get(key))]
        for key in sorted(keys)
        if old.get(key) != new.get(key) and not (made and not (new.get(key) and key in GIVES))
    }
    if touched.event == "updated" and not changes:
        return
    by, said = by_whom("command line" if saving.actor.source == "command" else saving.actor.id)
    action = {"created": "made", "updated": "changed"}.get(touched.event, touched.event)
    detail = {**said, **({"changes": changes} if changes else {})}
    yield Happening("access", f"{plan.name}_{action}", by, plan.name, record, detail)


def _index(saving: Saving, plan: ObjectPlan, records: Mapping[str, Touched]) -> None:
    new: list[tuple[str, str, str]] = []
    changed: list[tuple[str, str, str]] = []
    gone: list[str] = []
    for record, touched in records.items():
        if touched.event == "deleted":
            gone.append(record)
        elif touched.event == "created":
            new.append((record, *search_text(plan, touched.new)))
        elif _text_changed(plan, touched):
            changed.append((record, *search_text(plan, touched.new)))
    search.index(saving.connection, plan.name, changed)
    search.index(saving.connection, plan.name, new, new=True)
    search.remove(saving.connection, plan.name, gone)


def _entries(saving: Saving, plan: ObjectPlan, record: str, touched: Touched) -> list[history.Entry]:
    common = (plan.name, record, touched.event)
    trail = (saving.now, saving.actor.id, saving.actor.source)
    old, new = touched.old or {}, touched.new
    return [
        history.Entry(*common, key, _json(plan, key, old.get(key)), _json(plan, key, new.get(key)), *trail)
        for key in plan.tracked
        if old.get(key) != new.get(key)
    ]


def _json(plan: ObjectPlan, key: str, value: Any) -> Any:
    dump = plan.dump[key]
    return value if value is None or dump is None else dump(value)


def _text_changed(plan: ObjectPlan, touched: Touched) -> bool:
    if touched.event != "updated" or touched.old is None:
        return True
    return any(touched.old.get(key) != touched.new.get(key) for key in plan.searchable)


def search_text(plan: ObjectPlan, row: dict[str, Any]) -> tuple[str, str]:
    """The title and the other searchable texts of a row."""
    title, *others = plan.searchable
    text = " ".join([str(row[key]) for key in others if row.get(key) is not None]) if others else ""
    return str(row.get(title) or ""), text
