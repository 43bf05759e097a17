"""Why a formula says what it says: every part with its value, and a sentence.

``explain(formula, row, context)`` gives a tree of ``Part``: the text of each part as written, its value, and whether it
was used (the branch of an IF that was not taken is not). ``sentence`` tells in words what decided a truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ratoon.platform.errors import FormulaError
from ratoon.platform.formulas import closures
from ratoon.platform.formulas.aggregates import relation_under
from ratoon.platform.formulas.batch import write_value
from ratoon.platform.formulas.formula import Formula
from ratoon.platform.formulas.tree import Apply, Constant, Typed
from ratoon.platform.formulas.types import EvalContext, Type, as_written

Say = Callable[[str], str]
"""Translates a template of ``TEMPLATES``."""

SHOWN_RECORDS = 10
"""Related records an explanation tells one by one."""
LOGIC = frozenset({"AND", "OR", "NOT"})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a formula with its value for one row."""

    text: str
    type: Type
    value: Any
    form: str = ""
    error: str | None = None
    used: bool = True
    parts: tuple[Part, ...] = ()

    def json(self) -> Mapping[str, Any]:
        """As JSON."""
        value: dict[str, Any] = {"text": self.text, "type": self.type.value, "value": write_value(self.value)}
        if self.error is not None:
            value["error"] = self.error
        if not self.used:
            value["used"] = False
        if self.parts:
            value["parts"] = [part.json() for part in self.parts]
        return value


def explain(formula: Formula, row: Mapping[str, Any], context: EvalContext) -> Part:
    """The formula's parts with their values for a row. What fails is told in ``error``, nothing is raised."""
    return _part(formula, formula.tree, row, context, True)


def _part(formula: Formula, node: Typed, row: Mapping[str, Any], context: EvalContext, used: bool) -> Part:
    text = " ".join(formula.source[node.position : node.end].split())
    value, error = None, None
    try:
        value = closures.top(node, formula.blanks)(row, context)
    except (FormulaError, ArithmeticError, ValueError) as failure:
        error = str(failure)
    if not isinstance(node, Apply):
        return Part(text, node.type, value, "constant" if isinstance(node, Constant) else "name", error, used)
    if node.overload.aggregate:
        parts = list(_each(formula, node, row, context, used))
        return Part(text, node.type, value, node.overload.form, error, used, tuple(parts))
    taken = _taken(formula, node, row, context)
    parts = [_part(formula, a, row, context, used and index in taken) for index, a in enumerate(node.args)]
    return Part(text, node.type, value, node.overload.form, error, used, tuple(parts))


def _each(formula: Formula, node: Apply, row: Mapping[str, Any], context: EvalContext, used: bool) -> Iterator[Part]:
    """The value of every related record, the first ``SHOWN_RECORDS`` of them; those that do not count are not used."""
    related = row.get(relation_under(node.args)) or ()
    value = node.args[0]
    text = " ".join(formula.source[value.position : value.end].split())
    for number, one in enumerate(related[:SHOWN_RECORDS], 1):
        here = {**row, **one}
        counts = len(node.args) == 1 or closures.build(node.args[1], formula.blanks)(here, context) is True
        answer, error = None, None
        try:
            answer = closures.top(value, formula.blanks)(here, context)
        except (FormulaError, ArithmeticError, ValueError) as failure:
            error = str(failure)
        yield Part(f"{text} [{number}]", value.type, answer, "each", error, used and counts)
    if len(related) > SHOWN_RECORDS:
        yield Part(f"… {len(related) - SHOWN_RECORDS}", value.type, None, "constant", None, used)


def _taken(formula: Formula, node: Apply, row: Mapping[str, Any], context: EvalContext) -> Sequence[int] | range:
    """Which arguments decide the value."""
    if node.overload.form != "IF":
        return range(len(node.args))
    try:
        yes = closures.build(node.args[0], formula.blanks)(row, context)
    except (FormulaError, ArithmeticError, ValueError):
        return (0,)
    return (0, 1) if yes else (0, 2)


def tree_lines(part: Part, depth: int = 0) -> Iterator[str]:
    """The tree as indented lines ``text = value``; constants are left out below the top."""
    mark = "" if part.used else "  (not used)"
    yield f"{'  ' * depth}{part.text} = {part.error or shown(part.value)}{mark}"
    for inner in part.parts:
        if inner.form != "constant":
            yield from tree_lines(inner, depth + 1)


TEMPLATES = (
    "It fails: {reason}",
    "It is {value}",
    "It is {value}, because {reasons}",
    "{condition} holds",
    "{condition} does not hold",
    "{name} is {value}",
    "{first} and {second}",
    "true",
    "false",
    "blank",
)
"""What ``sentence`` puts together: these are translated."""


def shown(value: Any, say: Say = as_written) -> str:
    """A value for eyes: texts in quotes, truths in words."""
    if value is None:
        return say("blank")
    if isinstance(value, bool):
        return say("true" if value else "false")
    written = write_value(value)
    if isinstance(value, Decimal) and "." in written:
        whole, _, places = written.partition(".")
        return f"{whole}.{places[:2]}{places[2:].rstrip('0')}"
    return f'"{written}"' if isinstance(value, str) else str(written)


def sentence(part: Part, say: Say = as_written) -> str:
    """What decided: ``It is true, because amount > 1000 holds (amount is 1200) and …``.

    ``say`` translates the templates (``TEMPLATES``).
    """
    if part.error is not None:
        return say("It fails: {reason}").format(reason=part.error)
    value = shown(part.value, say)
    deciding: Part | None = part
    if part.type is not Type.BOOLEAN or part.form == "name":
        tests = [p for p in part.parts if p.used and p.type is Type.BOOLEAN] if part.form == "IF" else []
        deciding = tests[0] if tests else None
    if deciding is None:
        return say("It is {value}").format(value=value)
    return say("It is {value}, because {reasons}").format(value=value, reasons=_reasons(deciding, say))


def _reasons(part: Part, say: Say) -> str:
    """The parts of a truth that made it what it is."""
    if part.form == "NOT":
        return _reasons(part.parts[0], say)
    if part.form not in ("AND", "OR"):
        return _told(part, say)
    decisive = [p for p in part.parts if p.value is part.value] or list(part.parts)
    all_needed = (part.form == "AND") == (part.value is True)
    told = [_reasons(p, say) for p in (decisive if all_needed else decisive[:1])]
    together = told[0]
    for more in told[1:]:
        together = say("{first} and {second}").format(first=together, second=more)
    return together


def _told(part: Part, say: Say) -> str:
    name = say("{name} is {value}")
    if part.form == "name":
        return name.format(name=part.text, value=shown(part.value, say))
    values = ", ".join(name.format(name=p.text, value=shown(p.value, say)) for p in _names(part))
    verdict = say("{condition} holds") if part.value is True else say("{condition} does not hold")
    return verdict.format(condition=part.text) + (f" ({values})" if values else "")


def _names(part: Part, seen: set[str] | None = None) -> Iterator[Part]:
    """The fields and aggregations below a part, each once."""
    seen = set() if seen is None else seen
    if part.form == "name" or part.form.endswith("_EACH"):
        if part.text not in seen:
            seen.add(part.text)
            yield part
        return
    for inner in part.parts:
        yield from _names(inner, seen)
