"""The reference page of the formula language, written from the functions themselves."""

from __future__ import annotations

from ratoon.platform.formulas.functions import Function, FunctionSet

_ORDER = ("Operators", "Logic", "Text", "Numbers", "Dates", "Picklists", "Change")


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
        for function in sorted(groups[group], key=lambda f: f.name):
            lines += _entry(function)
    return "\n".join(lines).rstrip() + "\n"


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
