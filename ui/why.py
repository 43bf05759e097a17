"""Why a computed value is what it is, and the reference of the formula language."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from ratoon.platform.formulas.explain import Part, sentence, shown
from ratoon.platform.formulas.reference import reference_json
from ratoon.platform.records.explaining import Explanation, explain_field
from ratoon.ui.screen import Screen, wants_fragment


@dataclass(frozen=True)
class Step:
    """One part of a formula as the screen lists it."""

    depth: int
    text: str
    value: str
    used: bool
    failed: bool


def why(screen: Screen, object: str, id: str, field: str) -> ResponseReturnValue:
    """The explanation of a formula or rollup field of a record: a fragment beside the value, or a page."""
    screen.object(object)
    with screen.read() as records:
        found = explain_field(records, object, id, field)
    context: dict[str, Any] = {
        "found": found,
        "label": screen.translate(found.field.label, found.field.owner),
        "sentence": sentence(found.part, gettext) if found.part is not None else "",
        "steps": list(_steps(found.part)) if found.part is not None else [],
        "child_url": _child_url(screen, found),
        "value_of": lambda value: shown(value, gettext),
    }
    if wants_fragment(f"why-{field}"):
        return render_template("_why.html", **context)
    back = screen.record_url(object, id)
    return render_template("why.html", screen=screen, current=object, back=back, **context)


def functions(screen: Screen) -> ResponseReturnValue:
    """Every function of the language with its signatures and examples, by group."""
    groups: dict[str, list[Any]] = {}
    for function in reference_json(screen.environment.functions):
        groups.setdefault(str(function["group"]), []).append(function)
    return render_template("formulas.html", screen=screen, current="", groups=groups)


def _child_url(screen: Screen, found: Explanation) -> Any:
    rollup = found.field.rollup
    return (lambda id: screen.record_url(rollup.child, id)) if rollup is not None else (lambda id: "")


def _steps(part: Part, depth: int = 0) -> Iterator[Step]:
    """The parts, outermost first; what is written out in the formula says itself."""
    value = part.error if part.error is not None else shown(part.value, gettext)
    yield Step(depth, part.text, value, part.used, part.error is not None)
    for inner in part.parts:
        if inner.form != "constant":
            yield from _steps(inner, depth + 1)
