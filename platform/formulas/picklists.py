"""Picklists and membership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratoon.platform.formulas.functions import Run, define
from ratoon.platform.formulas.operators import equal_build
from ratoon.platform.formulas.tree import Typed


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
