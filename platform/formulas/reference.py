"""The reference page of the formula language, written from the functions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratoon.platform.formulas.functions import Function, FunctionSet

_ORDER = ("Operators", "Logic", "Text", "Numbers", "Dates", "Picklists", "Related records", "Money", "Change")
EXAMPLE_NOTE = (
    "Examples about `lines` are worked out for a record with four related records: price 10.00, quantity 1, active; "
    "20.00, 3, active; 15.00, 2, not active; and one that is blank."
)
"""What the examples of the page stand on; the tests have that record."""


def reference_page(functions: FunctionSet) -> str:
    """Every function and operator as Markdown: signature, what it does, examples with their results."""
    groups: dict[str, list[Function]] = {}
    for function in functions:
        groups.setdefault(function.group, []).append(function)
    order = [*_ORDER, *sorted(set(groups) - set(_ORDER))]
    lines = ["# Formula functions", ""]
    for group in order:
        if group not in groups:
            continue
        lines += [f"## {group}", ""]
        if group == "Related records":
            lines += [EXAMPLE_NOTE, ""]
        for function in sorted(groups[group], key=lambda f: f.name):
            lines += _entry(function)
    return "\n".join(lines).rstrip() + "\n"


def reference_json(functions: FunctionSet) -> list[Mapping[str, Any]]:
    """The same for programs and for the editor of the screens: one mapping per function, sorted by name."""
    return [
        {
            "name": function.name,
            "group": function.group,
            "doc": function.doc,
            "operator": function.operator,
            "signatures": list(dict.fromkeys(o.signature for o in function.overloads)),
            "examples": [{"formula": f, "result": result_text(r)} for f, r in function.examples],
            "in_sql": sql_form(function),
        }
        for function in sorted(functions, key=lambda f: f.name)
    ]


def sql_form(function: Function) -> bool:
    """True when every form of the function can be asked of PostgreSQL (SQLite can do all but the Change group)."""
    from ratoon.platform.formulas.postgresql_refusal import has_form

    return all(has_form(overload) for overload in function.overloads)


def _entry(function: Function) -> list[str]:
    lines = [f"### {function.name}", "", function.doc, ""]
    if not function.operator:
        lines += [f"- `{signature}`" for signature in dict.fromkeys(o.signature for o in function.overloads)]
    for formula, result in function.examples:
        lines.append(f"- `{formula}` gives `{result_text(result)}`")
    return [*lines, ""]


def result_text(result: object) -> str:
    """An example's result as the page shows it."""
    if result is None:
        return "blank"
    return str(result).upper() if isinstance(result, bool) else str(result).replace("\n", "\\n")
