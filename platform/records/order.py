"""The published order of execution: what happens when a record is saved, step by step.

``STEPS`` is the one list; ``Saving`` carries it out, ``explain`` shows it for one object and event with every rule,
automation and hook in its place, and tests compare what ran with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ratoon.platform.errors import NotFound
from ratoon.platform.metadata.model import Object, Registry
from ratoon.platform.metadata.names import nearest
from ratoon.platform.metadata.pipeline_model import Stage
from ratoon.platform.records.engine import Event, Reactions, Step
from ratoon.platform.records.plan import ObjectPlan

STEPS: tuple[tuple[int, str], ...] = (
    (1, "load and lock the old rows"),
    (2, "coerce and check types"),
    (3, "defaults"),
    (4, "before-save automations"),
    (5, "formulas materialised for the rules"),
    (6, "locks of approvals, required, conditional, picklist, unique, reference, lookup-filter and hierarchy checks"),
    (7, "stage gates"),
    (8, "validation rules, all collected"),
    (9, "duplicate rules"),
    (10, "write"),
    (11, "after-save automations"),
    (12, "rollups and formulas of other records, automatic moves"),
    (13, "validation rules again on rows that automation or rollups changed"),
    (14, "field history, stage history, search index, keys of duplicate rules"),
    (15, "jobs enqueued in the same transaction"),
    (16, "commit"),
    (17, "jobs run"),
)


@dataclass(frozen=True, slots=True)
class Explained:
    """One step with what takes part in it."""

    number: int
    title: str
    parts: tuple[Step, ...]

    def as_json(self) -> dict[str, object]:
        """For ``--json`` and the API."""
        parts = [{"kind": p.kind, "name": p.name, "detail": p.detail} for p in self.parts]
        return {"step": self.number, "title": self.title, "parts": parts}


def explain(registry: Registry, object: str, event: Event, reactions: Reactions) -> tuple[Explained, ...]:
    """The order of execution for one object and event. Raises ``NotFound`` for an unknown object or event."""
    if object not in registry.objects:
        near = nearest(object, registry.objects)
        message = "There is no object {object}." + (" Did you mean {near}?" if near else "")
        raise NotFound(message, object=object, near=near)
    if event not in ("created", "updated", "deleted", "restored"):
        raise NotFound("{event} is not one of created, updated, deleted, restored.", event=event)
    obj = registry[object]
    plan = ObjectPlan(obj, registry)
    return tuple(
        Explained(number, title, tuple(_parts(registry, obj, plan, event, reactions, number)))
        for number, title in STEPS
    )


def _parts(
    registry: Registry, obj: Object, plan: ObjectPlan, event: Event, reactions: Reactions, number: int
) -> Iterator[Step]:
    saving = event in ("created", "updated")
    match number:
        case 3 if event == "created":
            yield from (Step("default", name, formula.source) for name, formula in plan.defaults)
            yield from (Step("autonumber", f.name, str(f.spec.option("format"))) for f in plan.autonumbers)
        case 4:
            yield from reactions.explain(obj, event, "before")
            if saving:
                yield from (
                    Step("stage to field", f"{p.name}.{what}", key) for p in obj.pipelines for what, key in p.carry
                )
        case 5 if saving:
            yield from (Step("formula", name, formula.source) for name, formula in plan.formulas)
        case 6 if saving:
            yield from _checks(plan)
        case 7 if saving:
            yield from _gates(obj)
        case 8 if saving:
            yield from (Step(f"rule ({r.severity})", r.name, r.error_when.source) for r in plan.rules)
        case 9 if saving:
            for rule in obj.duplicates:
                compared = " + ".join(f"{m.key} as {m.method}" for m in rule.match)
                yield Step(f"duplicate rule ({rule.action})", rule.name, compared)
        case 11:
            yield from reactions.explain(obj, event, "after")
        case 12:
            yield from _reached(registry, obj)
        case 13:
            for over in registry.graph.watched.get(obj.name, ()):
                target, name = over.edge.target
                found = next(rule for rule in registry[target].rules if rule.name == name)
                yield Step(f"rule ({found.severity})", f"{target}.{name}", found.error_when.source)
        case 14:
            yield from (Step("history", key) for key in sorted(plan.tracked))
        case 15:
            yield from reactions.explain(obj, event, "job")
        case _:
            return


def _checks(plan: ObjectPlan) -> Iterator[Step]:
    yield from (Step("lock while pending", a.name) for a in plan.object.approvals if a.lock)
    yield from (Step("required", f.name) for f in plan.required)
    for field in plan.conditional:
        for kind in ("visible_when", "required_when", "read_only_when"):
            formula = getattr(field, kind)
            if formula is not None:
                yield Step(kind, field.name, formula.source)
    yield from (Step("unique", f.name) for f in plan.unique)
    yield from (Step("unique together", key.name, ", ".join(key.fields)) for key in plan.keys)
    for field in plan.references:
        if field.lookup_filter is not None:
            yield Step("lookup filter", field.name, field.lookup_filter.source)
    yield from (Step("no circle", f.name) for f in plan.hierarchies)


def _gates(obj: Object) -> Iterator[Step]:
    for pipeline in obj.pipelines:
        for stage in pipeline.stages:
            gates: Sequence[str] = [
                *(f"exit: {r.error_when.source}" for r in stage.exit),
                *(f"entry: {r.error_when.source}" for r in stage.entry),
                *(f"requires {name}" for name in stage.required_fields),
                *([f"next: {', '.join(_moves(stage))}"] if stage.next is not None else []),
                *(f"to do: {task.label}" for task in stage.checklist if task.required),
                *([f"requires {pipeline.loss_reason}"] if pipeline.loss_reason and stage.category == "lost" else []),
            ]
            if gates:
                yield Step("stage", f"{pipeline.name}.{stage.name}", "; ".join(gates))


def _moves(stage: Stage) -> Iterator[str]:
    for name in stage.next or ():
        roles = stage.next_roles.get(name)
        yield f"{name} ({' or '.join(sorted(roles))})" if roles else name


def _reached(registry: Registry, obj: Object) -> Iterator[Step]:
    targets = {edge.target for (o, _), edges in registry.graph.edges.items() if o == obj.name for edge in edges}
    for target in sorted(targets, key=lambda node: registry.graph.rank[node]):
        field = registry[target[0]].fields[target[1]]
        if field.rollup is not None:
            rollup = field.rollup
            yield Step("rollup", ".".join(target), f"{rollup.operation} of {rollup.child}.{rollup.key or '*'}")
        elif target[0] != obj.name and field.formula is not None:
            yield Step("formula", ".".join(target), field.formula.source)
    for pipeline in obj.pipelines:
        for stage in pipeline.stages:
            for move in stage.advance:
                yield Step("moves on", f"{pipeline.name}.{stage.name}", f"to {move.to} when {move.when.source}")
