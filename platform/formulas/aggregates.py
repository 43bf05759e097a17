"""Aggregation over related records: ``SUM(lines.amount)``, ``COUNT(lines, lines.active)``, ``AVG``, ``MIN``, ``MAX``.

The name before the dot is a relationship: the records of another object that point at this one. A path may lead there
through lookups (``account.contracts.amount``) and go on behind it (``lines.product.price``). The first argument is
worked out for each related record, the second, when there is one, says which of them count. Both may read the record
itself as well: ``COUNT(lines, lines.price > limit)``.

Deleted records do not count. A blank counts as nothing: the sum of no numbers is 0, their smallest, biggest and average
are blank. What fails for one record fails for all.

In a row the related records are a list of flat rows below the relationship's key (``tree.relation_of``), with full
keys::

    {"amount": …, "line@bill": [{"line@bill.amount": Decimal(5)}, {"line@bill.amount": Decimal(7)}]}

Whoever loads rows puts it there for the paths of ``Formula.paths`` (``RecordStore.attach_paths``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas.functions import Function, Overload, Run, define, overload
from ratoon.platform.formulas.numeric import EXACT, ZERO, divide, settle
from ratoon.platform.formulas.tree import Apply, Read, Typed, relation_of, walk

ORDERED = ("number", "date", "datetime", "time")
"""Types that have a smallest and a biggest value."""


def relations(nodes: Iterable[Typed]) -> dict[str, Read]:
    """The relationships that parts read from without an aggregation around it, each with a read of it."""
    found: dict[str, Read] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, Apply) and not node.overload.aggregate:
            stack.extend(node.args)
        elif isinstance(node, Read):
            relation = relation_of(node.key)
            if relation is not None:
                found.setdefault(relation, node)
    return found


def relation_under(nodes: Sequence[Typed]) -> str:
    """The relationship that the arguments of an aggregation are about."""
    return next(iter(relations(nodes)))


def _related(nodes: Sequence[Typed]) -> Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """The rows that the arguments are worked out on: the related ones, with the record's own keys when they need it."""
    relation = relation_under(nodes)
    mixed = any(isinstance(n, Read) and relation_of(n.key) != relation for node in nodes for n in walk(node))

    def rows(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
        found = row.get(relation)
        if found is None:
            raise FormulaError("not_loaded", "The related records were not loaded")
        return [{**row, **one} for one in found] if mixed else found

    return rows


def _values(args: Sequence[Run], nodes: Sequence[Typed], settled: bool = False) -> Callable[[Any, Any], list[Any]]:
    """The values of the first argument, without blanks, of the related records that count."""
    from ratoon.platform.formulas.closures import inexact  # it imports the functions

    rows, value = _related(nodes), args[0]
    counts = args[1] if len(args) > 1 else None
    settled = settled and inexact(nodes[0])

    def values(row: Any, context: Any) -> list[Any]:
        found = []
        for one in rows(row):
            if counts is None or counts(one, context) is True:
                answer = value(one, context)
                if answer is not None and answer != "":
                    found.append(settle(answer) if settled else answer)
        return found

    return values


def _sum(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    values, add = _values(args, nodes), EXACT.add

    def run(row: Any, context: Any) -> Decimal:
        total = ZERO
        for value in values(row, context):
            total = add(total, value)
        return total

    return run


def _average(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    values, add = _values(args, nodes), EXACT.add

    def run(row: Any, context: Any) -> Decimal | None:
        found = values(row, context)
        total = ZERO
        for value in found:
            total = add(total, value)
        return divide(total, Decimal(len(found))) if found else None

    return run


def _count(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    values = _values(args, nodes)
    return lambda row, context: Decimal(len(values(row, context)))


def _best(choose: Callable[[list[Any]], Any]) -> Callable[[Sequence[Run], Sequence[Typed]], Run]:
    def build(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
        values = _values(args, nodes, settled=True)

        def run(row: Any, context: Any) -> Any:
            found = values(row, context)
            return choose(found) if found else None

        return run

    return build


def best(name: str) -> list[Overload]:
    """The overloads of MIN or MAX over related records."""
    build = _best(min if name == "MIN" else max)
    return [
        overload(name, f"values: {kind}, which: boolean?", kind, build=build, strict=False, aggregate=True,
                 form=f"{name}_EACH")
        for kind in ORDERED
    ]  # fmt: skip


def _aggregate(
    name: str, values: str, build: Callable[..., Run], doc: str, example: tuple[str, Any], *, inexact: bool = False
) -> Function:
    return define(
        name,
        f"values: {values}, which: boolean?",
        "number",
        build=build,
        strict=False,
        aggregate=True,
        inexact=inexact,
        group="Related records",
        doc=doc,
        examples=[example],
        form=f"{name}_EACH",
    )


FUNCTIONS = (
    _aggregate(
        "SUM",
        "number",
        _sum,
        "The sum over the related records (for which the second argument is true); 0 when there are none.",
        ("SUM(lines.price * lines.quantity, lines.active)", "70.00"),
    ),
    _aggregate(
        "COUNT",
        "any",
        _count,
        "How many related records there are, or how many have a value: COUNT(lines), COUNT(lines.price).",
        ("COUNT(lines, lines.price > 10)", "2"),
    ),
    _aggregate(
        "AVG",
        "number",
        _average,
        "The average over the related records; blank when none has a value.",
        ("AVG(lines.price)", "15"),
        inexact=True,
    ),
)
