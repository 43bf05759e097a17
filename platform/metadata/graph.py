"""Who must be recomputed when a key changes: the dependency graph of formula and rollup fields.

A node is a stored computed field, ``(object, field)``. An *edge* hangs on a key ``(object, key)`` and says: when that
key changes on some rows of that object, walk ``back`` along lookups (from the object pointed at to the one that holds
the lookup), then, for a rollup or a SUM over related records, forward along ``via`` to the parents, then back again
(``then``); the rows reached must recompute ``target``.

    line.total (formula quantity * price)      (line, quantity) → Edge(target=(line, total))
    invoice.amount = rollup sum of line.total  (line, total)    → Edge(target=(invoice, amount), via=(line, invoice))
    pet.owner_city (formula owner.city)        (owner, city)    → Edge(target=(pet, owner_city), back=((pet, owner),))
    order.owed (formula SUM(account.invoices.amount))
        (invoice, amount) → Edge(target=(order, owed), via=(invoice, account), then=((order, account),))

When a record comes or goes, ``over`` says what aggregates over its object.

Ranks order the nodes so that a field is recomputed after everything it reads: one pass in rank order is enough.
A cycle has no order; ``Graph.cycles`` names its fields and the metadata check refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from ratoon.platform.formulas.tree import MANY

if TYPE_CHECKING:
    from ratoon.platform.formulas import Formula
    from ratoon.platform.metadata.model import Field, Object, Registry

Node = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Edge:
    """What a change of one key reaches."""

    target: Node
    back: tuple[Node, ...] = ()
    """(object, lookup key) steps from the changed rows back to the rows that read them."""
    via: Node | None = None
    """Aggregation: the (object, lookup) from those rows forward to the records it points at."""
    then: tuple[Node, ...] = ()
    """Steps like ``back`` from those records to the ones that aggregate through them."""


@dataclass(frozen=True, slots=True)
class Over:
    """A stored field that aggregates over the records of an object."""

    edge: Edge
    """From a record of the object to the records that have the field."""
    keys: frozenset[str]
    """What it reads of each record: keys of the object."""


@dataclass(frozen=True)
class Graph:
    """The graph of one registry."""

    edges: Mapping[Node, tuple[Edge, ...]]
    rank: Mapping[Node, int]
    formulas: Mapping[str, tuple[str, ...]]
    """Object → its stored formula fields in the order they must be computed."""
    over: Mapping[str, tuple[Over, ...]]
    """Child object → the fields that aggregate over it."""
    watched: Mapping[str, tuple[Over, ...]]
    """Child object → the validation rules that aggregate over it; the target of the edge is (object, rule)."""
    cycles: tuple[tuple[str, ...], ...]
    """Each a list of ``object.field`` that depend on one another in a circle."""


def build_graph(registry: Registry) -> Graph:
    """The graph over all stored formula and rollup fields of the registry."""
    edges: dict[Node, list[Edge]] = {}
    before: dict[Node, set[Node]] = {}
    over: dict[str, dict[Edge, set[str]]] = {}
    for obj in registry:
        for field in obj.fields.values():
            target = (obj.name, field.name)
            if field.formula is not None and not field.volatile:
                before[target] = set()
                found = list(_formula_edges(registry, obj, field.formula, target))
            elif field.rollup is not None:
                before[target] = set()
                found = list(_rollup_edges(registry, field, target))
            else:
                continue
            for source, edge in found:
                edges.setdefault(source, []).append(edge)
                before[target].add(source)
            _note_over(over, found)
    rank, cycles = rank_nodes(before)
    return Graph(
        edges={node: tuple(dict.fromkeys(hanging)) for node, hanging in edges.items()},
        rank=rank,
        formulas=_formula_order(registry, rank),
        over=_frozen(over),
        watched=_watched(registry),
        cycles=cycles,
    )


def _note_over(over: dict[str, dict[Edge, set[str]]], found: Iterable[tuple[Node, Edge]]) -> None:
    """Adds what aggregates: from the related object, with the keys of it that are read."""
    for source, edge in found:
        if edge.via is not None:
            whole = Edge(edge.target, (), edge.via, edge.then)
            first = edge.back[-1] if edge.back else source
            over.setdefault(edge.via[0], {}).setdefault(whole, set()).add(first[1])


def _frozen(over: Mapping[str, Mapping[Edge, set[str]]]) -> dict[str, tuple[Over, ...]]:
    return {child: tuple(Over(edge, frozenset(keys)) for edge, keys in edges.items()) for child, edges in over.items()}


def _watched(registry: Registry) -> dict[str, tuple[Over, ...]]:
    over: dict[str, dict[Edge, set[str]]] = {}
    for obj in registry:
        for rule in obj.rules:
            if rule.active and any(MANY in path for path in rule.error_when.paths):
                _note_over(over, _formula_edges(registry, obj, rule.error_when, (obj.name, rule.name)))
    return _frozen(over)


def _formula_edges(
    registry: Registry, obj: Object, formula: Formula, target: Node, via: Node | None = None
) -> Iterator[tuple[Node, Edge]]:
    for path in sorted(formula.paths):
        if path.startswith("$"):
            continue
        here: Object = obj
        back: tuple[Node, ...] = ()
        then: tuple[Node, ...] = ()
        forward = via
        *steps, last = path.split(".")
        for step in steps:
            child, many, lookup = step.partition(MANY)
            if many:
                here, forward, then, back = registry.objects[child], (child, lookup), back, ()
                yield forward, Edge(target, (), forward, then)
                continue
            yield (here.name, step), Edge(target, back, forward, then)
            back = ((here.name, step), *back)
            here = registry.objects[here.field_of[step].targets[0]]
        yield (here.name, last), Edge(target, back, forward, then)


def _rollup_edges(registry: Registry, field: Field, target: Node) -> Iterator[tuple[Node, Edge]]:
    rollup = field.rollup
    if rollup is None or rollup.child not in registry.objects:
        return
    child = registry.objects[rollup.child]
    via = (child.name, rollup.via)
    yield via, Edge(target, (), via)
    if rollup.key is not None:
        yield (child.name, rollup.key), Edge(target, (), via)
    if rollup.filter is not None:
        yield from _formula_edges(registry, child, rollup.filter, target, via)


def rank_nodes(before: Mapping[Node, set[Node]]) -> tuple[dict[Node, int], tuple[tuple[str, ...], ...]]:
    """The place of every node after those it reads, and the circles (each ``a.x``, ``b.y`` …, ``a.x``)."""
    graph = {node: set(sources) for node, sources in before.items()}
    cycles: list[tuple[str, ...]] = []
    while True:
        try:
            order = list(TopologicalSorter(graph).static_order())
            break
        except CycleError as error:
            nodes: list[Node] = list(reversed(error.args[1]))
            cycles.append(tuple(".".join(node) for node in nodes))
            graph[nodes[1]].discard(nodes[0])
            graph[nodes[0]].discard(nodes[1])
    return {node: place for place, node in enumerate(n for n in order if n in before)}, tuple(cycles)


def _formula_order(registry: Registry, rank: Mapping[Node, int]) -> dict[str, tuple[str, ...]]:
    order: dict[str, tuple[str, ...]] = {}
    for obj in registry:
        names = [f.name for f in obj.fields.values() if f.formula is not None and not f.volatile]
        order[obj.name] = tuple(sorted(names, key=lambda name: rank[(obj.name, name)]))
    return order
