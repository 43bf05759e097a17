"""Which fields of an object anything makes use of: screens, formulas, rules, keys, rollups, other objects."""

from __future__ import annotations

from collections.abc import Iterator

from ratoon.platform.formulas import Formula
from ratoon.platform.metadata.model import Object, Registry


def used_fields(obj: Object, registry: Registry) -> set[str]:
    """Names of the fields that something shows, reads or needs; system fields are not among them."""
    keys = set(_screens(obj)) | set(_rules(obj)) | {obj.title}
    keys |= {key for one in obj.keys for key in one.fields}
    for field in obj.fields.values():
        depends = field.spec.option("depends_on")
        keys |= {str(depends)} if depends else set()
        if field.unique or field.external_id or field.searchable or field.spec.type in {"stage", "master_detail"}:
            keys.add(field.name)
        if field.spec.type == "many_to_many" or field.spec.type == "autonumber":
            keys.add(field.name)
    for other in registry:
        for formula in formulas_of(other):
            keys |= _reached(formula, other, obj, registry)
        for field in other.fields.values():
            rollup = field.rollup
            if rollup is not None and rollup.child == obj.name:
                keys |= {rollup.via, *((rollup.key,) if rollup.key else ())}
                keys |= set(rollup.filter.paths) if rollup.filter is not None else set()
        for layout in other.layouts:
            for related in layout.related:
                if related.object == obj.name:
                    keys |= {related.field, *related.columns}
        for automation in (*other.automations, *other.resting):
            for action in automation.actions:
                if action.object == obj.name or (action.path and other.name == obj.name):
                    keys |= {*action.values, action.path or ""}
    return {obj.field_of[key].name for key in keys if key in obj.field_of} | (keys & obj.fields.keys())


def formulas_of(obj: Object) -> Iterator[Formula]:
    """Every formula that an object's metadata has."""
    for field in obj.fields.values():
        found = (
            field.default,
            field.visible_when,
            field.required_when,
            field.read_only_when,
            field.formula,
            field.lookup_filter,
        )
        yield from (formula for formula in found if formula is not None)
    yield from (rule.error_when for rule in obj.rules)
    for view in obj.views:
        if view.filter is not None:
            yield view.filter
    for pipeline in obj.pipelines:
        if pipeline.when is not None:
            yield pipeline.when
        for stage in pipeline.stages:
            yield from (rule.error_when for rule in (*stage.entry, *stage.exit))
    for layout in obj.layouts:
        yield from (s.visible_when for s in layout.sections if s.visible_when is not None)
    for automation in (*obj.automations, *obj.resting):
        if automation.condition is not None:
            yield automation.condition
        for action in automation.actions:
            yield from action.values.values()


def _screens(obj: Object) -> Iterator[str]:
    for layout in obj.layouts:
        yield from layout.highlights
        for section in layout.sections:
            yield from section.fields
    for view in obj.views:
        yield from view.columns
        yield from (key for key, _ in view.sort)
        yield from (key for key in (view.group_by, view.date_field) if key)


def _rules(obj: Object) -> Iterator[str]:
    for pipeline in obj.pipelines:
        for stage in pipeline.stages:
            yield from stage.required_fields
    for automation in (*obj.automations, *obj.resting):
        yield from automation.fields
        for action in automation.actions:
            if action.kind == "set_fields":
                yield from action.values


def _reached(formula: Formula, home: Object, obj: Object, registry: Registry) -> set[str]:
    """Keys of ``obj`` that a formula of ``home`` reads, whichever way it gets there."""
    found: set[str] = set()
    for path in (*formula.paths, *formula.old_paths):
        here: Object | None = home
        steps = path.removeprefix("$source.").split(".")
        for step in steps:
            if here is None:
                break
            if here.name == obj.name:
                found.add(step)
            field = here.field_of.get(step)
            here = registry.objects.get(field.targets[0]) if field is not None and len(field.targets) == 1 else None
        if "@" in path or path.startswith("$source."):
            found.update(steps)
    return found
