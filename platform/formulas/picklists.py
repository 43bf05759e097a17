"""Picklists and membership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratoon.platform.formulas.functions import Run, define
from ratoon.platform.formulas.operators import equal_build
from ratoon.platform.formulas.tree import Read, Typed, walk


def _includes(values: tuple[str, ...] | None, value: str | None) -> bool:
    return value is not None and value in (values or ())


def _in(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    subject, *rest = args

    def run(row: Any, context: Any) -> bool:
        value = subject(row, context)
        if value is None or value == "":
            return False
        return any(value == part(row, context) for part in rest)

    return run


def _label(args: Sequence[Run], nodes: Sequence[Typed]) -> Run:
    (only,) = args
    labels = labels_under(nodes[0])

    def run(row: Any, context: Any) -> str | None:
        value = only(row, context)
        return context.words(labels.get(value, value)) if value else None

    return run


def labels_under(node: Typed) -> dict[str, str]:
    """Value → label of every picklist that a part reads."""
    found: dict[str, str] = {}
    for read in walk(node):
        if isinstance(read, Read) and read.name.labels is not None:
            found.update(read.name.labels)
    return found


def _count(values: tuple[str, ...] | None) -> int:
    return len(values or ())


FUNCTIONS = (
    define(
        "ISPICKVAL",
        "field: picklist|text, value: text",
        "boolean",
        build=equal_build(lambda a, b: a == b, True),
        strict=False,
        group="Picklists",
        doc="True when the picklist has this value; an empty text asks for no value.",
        examples=[],
    ),
    define(
        "LABEL",
        "field: picklist",
        "text",
        build=_label,
        strict=False,
        volatile=True,
        group="Picklists",
        doc="What people read for a picklist's value, in their language; TEXT gives the value itself.",
        examples=[],
    ),
    define(
        "INCLUDES",
        "field: multipicklist, value: text",
        "boolean",
        _includes,
        strict=False,
        group="Picklists",
        doc="True when the value is among the chosen ones.",
        examples=[],
    ),
    define(
        "PICKLISTCOUNT",
        "field: multipicklist",
        "number",
        _count,
        strict=False,
        group="Picklists",
        doc="How many values are chosen.",
        examples=[],
    ),
    define(
        "IN",
        "subject: T, value: T, more: T*",
        "boolean",
        build=_in,
        strict=False,
        group="Logic",
        doc="True when the first argument equals one of the others. A blank is in nothing.",
        examples=[("IN(2, 1, 2, 3)", True), ('IN("a", "b")', False)],
    ),
)
